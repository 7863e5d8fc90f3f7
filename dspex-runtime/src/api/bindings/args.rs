//! Keyword arguments as they are collected, in the form that the worker takes.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Callable, Example, IntoTools, ModuleSpec, SignatureSpec};
use crate::error::{Error, Result};
use crate::functions::Functions;
use crate::tool::ToolSetError;
use crate::wire::{self, WireError};

/// Keyword arguments. Collecting them cannot fail; what is wrong with one is told when they are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    values: Map<String, Value>,
    functions: Functions,
    problem: Option<Problem>,
}

/// The first argument that cannot be given.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// It has no form on the wire.
    Wire { argument: String, error: Arc<WireError> },
    /// Tools that cannot be together.
    Tools(ToolSetError),
}

/// What stands in a spec, with the functions of the program that it names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) document: Value,
    pub(crate) functions: Functions,
    pub(crate) problem: Option<Problem>,
}

impl Args {
    /// Any data.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        match wire::to_vec(value).and_then(|json| wire::document_from_slice(&json)) {
            Ok(document) => self.document(name, document),
            Err(error) => {
                self.fail(Some(Problem::Wire { argument: name.to_owned(), error: Arc::new(error) }));
            }
        }
    }

    /// A value as it stands on the wire.
    pub(crate) fn document(&mut self, name: &str, document: Value) {
        self.values.insert(name.to_owned(), document);
    }

    /// A signature.
    pub(crate) fn signature(&mut self, name: &str, signature: SignatureSpec) {
        self.document(name, signature.into_document());
    }

    /// An instance by its spec.
    pub(crate) fn module(&mut self, name: &str, module: ModuleSpec) {
        let document = self.part(module.into_part());
        self.document(name, document);
    }

    /// Several instances by their specs.
    pub(crate) fn modules(&mut self, name: &str, modules: impl Iterator<Item = ModuleSpec>) {
        let documents = modules.map(|module| self.part(module.into_part())).collect();
        self.document(name, Value::Array(documents));
    }

    /// Examples.
    pub(crate) fn examples(&mut self, name: &str, examples: impl Iterator<Item = Example>) {
        let documents = examples.map(|example| self.part(example.into_part())).collect();
        self.document(name, Value::Array(documents));
    }

    /// Pairs of an instance and the inputs of one of its calls.
    pub(crate) fn pairs<T: Serialize>(&mut self, name: &str, pairs: impl Iterator<Item = (ModuleSpec, T)>) {
        let mut documents = Vec::new();
        for (module, inputs) in pairs {
            let module = self.part(module.into_part());
            let mut given = Self::default();
            given.value(name, &inputs);
            let mut given = self.part(given.into_part());
            documents.push(Value::Array(vec![module, given[name].take()]));
        }
        self.document(name, Value::Array(documents));
    }

    /// Tools of Rust, or of a session.
    pub(crate) fn tools(&mut self, name: &str, tools: impl IntoTools) {
        match tools.into_tools().and_then(|tools| tools.declare(&mut self.functions)) {
            Ok(declared) => self.document(name, declared),
            Err(error) => self.fail(Some(Problem::Tools(error))),
        }
    }

    /// A metric, a reward or an embedder.
    pub(crate) fn callable(&mut self, name: &str, callable: Callable) {
        let declared = callable.declare(name, &mut self.functions);
        self.document(name, declared);
    }

    /// Takes in a part, and gives its document.
    fn part(&mut self, part: Part) -> Value {
        let Part { mut document, functions, problem } = part;
        self.functions.absorb(&functions, &mut document);
        self.fail(problem);
        document
    }

    /// Keeps the first problem.
    pub(crate) fn fail(&mut self, problem: Option<Problem>) {
        if self.problem.is_none() {
            self.problem = problem;
        }
    }

    /// What was collected, problem and all.
    pub(crate) fn into_part(self) -> Part {
        Part { document: Value::Object(self.values), functions: self.functions, problem: self.problem }
    }

    /// What was collected for a call, whose functions are none of its instance's.
    pub(crate) fn finish_call(self, target: &str) -> Result<(Map<String, Value>, Functions)> {
        let (mut values, functions) = self.finish(target)?;
        let functions = functions.of_call(&mut values);
        Ok((values, functions))
    }

    /// What was collected, if all of it can be sent.
    pub(crate) fn finish(self, target: &str) -> Result<(Map<String, Value>, Functions)> {
        match self.problem {
            None => Ok((self.values, self.functions)),
            Some(Problem::Tools(error)) => Err(error.into()),
            Some(Problem::Wire { argument, error }) => Err(Error::Wire {
                what: format!("the argument `{argument}` of `{target}` cannot be sent"),
                problem: Arc::unwrap_or_clone(error),
            }),
        }
    }
}
