//! Keyword arguments as they are collected, in the form that the worker takes.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Example, ModuleSpec, SignatureSpec};
use crate::error::{Error, Result};
use crate::wire::{self, WireError};

/// Keyword arguments. Collecting them cannot fail; what is wrong with one is told when they are used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    values: Map<String, Value>,
    problem: Option<Problem>,
}

/// The first argument that has no form on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    argument: String,
    error: Arc<WireError>,
}

impl Args {
    /// Any data.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        match wire::to_vec(value).and_then(|json| wire::document_from_slice(&json)) {
            Ok(document) => self.document(name, document),
            Err(error) => {
                self.fail(Some(Problem { argument: name.to_owned(), error: Arc::new(error) }));
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
        let (document, problem) = module.into_parts();
        self.document(name, document);
        self.fail(problem);
    }

    /// Several instances by their specs.
    pub(crate) fn modules(&mut self, name: &str, modules: impl Iterator<Item = ModuleSpec>) {
        let (documents, problems): (Vec<_>, Vec<_>) = modules.map(ModuleSpec::into_parts).unzip();
        self.document(name, Value::Array(documents));
        self.fail(problems.into_iter().flatten().next());
    }

    /// Examples.
    pub(crate) fn examples(&mut self, name: &str, examples: impl Iterator<Item = Example>) {
        let (documents, problems): (Vec<_>, Vec<_>) = examples.map(Example::into_parts).unzip();
        self.document(name, Value::Array(documents));
        self.fail(problems.into_iter().flatten().next());
    }

    /// Pairs of an instance and the inputs of one of its calls.
    pub(crate) fn pairs<T: Serialize>(&mut self, name: &str, pairs: impl Iterator<Item = (ModuleSpec, T)>) {
        let mut documents = Vec::new();
        for (module, inputs) in pairs {
            let (module, problem) = module.into_parts();
            self.fail(problem);
            let mut given = Self::default();
            given.value(name, &inputs);
            let (mut given, problem) = given.into_parts();
            self.fail(problem);
            documents.push(Value::Array(vec![module, given.remove(name).unwrap_or_default()]));
        }
        self.document(name, Value::Array(documents));
    }

    /// Keeps the first problem.
    pub(crate) fn fail(&mut self, problem: Option<Problem>) {
        if self.problem.is_none() {
            self.problem = problem;
        }
    }

    /// What was collected, problem and all.
    pub(crate) fn into_parts(self) -> (Map<String, Value>, Option<Problem>) {
        (self.values, self.problem)
    }

    /// What was collected, if all of it can be sent.
    pub(crate) fn finish(self, target: &str) -> Result<Map<String, Value>> {
        match self.problem {
            None => Ok(self.values),
            Some(Problem { argument, error }) => Err(Error::Wire {
                what: format!("the argument `{argument}` of `{target}` cannot be sent"),
                problem: Arc::unwrap_or_clone(error),
            }),
        }
    }
}
