//! A spec under construction.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::{Args, Part};
use super::{Bound, Callable, Example, IntoTools, ModuleSpec, SignatureSpec};
use crate::api::{Caller, Session};
use crate::bridge::Spec;
use crate::error::Result;

/// The class, signature and arguments of an instance that is yet to be created. The types of bindings are made of one.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `create`"]
pub struct Draft {
    class: &'static str,
    fingerprint: &'static str,
    signature: Option<Value>,
    args: Args,
    state: Option<Value>,
}

impl Draft {
    /// A draft without arguments. The fingerprint is that of the class in the schema which the bindings were made from.
    pub fn new(class: &'static str, fingerprint: &'static str) -> Self {
        Self { class, fingerprint, signature: None, args: Args::default(), state: None }
    }

    /// The signature of the class.
    pub fn signature(mut self, signature: impl Into<SignatureSpec>) -> Self {
        self.signature = Some(signature.into().into_document());
        self
    }

    /// A keyword argument that is data.
    pub fn value<T: Serialize>(mut self, name: &str, value: T) -> Self {
        self.args.value(name, &value);
        self
    }

    /// A keyword argument that is a signature, though not that of the class.
    pub fn signature_argument(mut self, name: &str, signature: impl Into<SignatureSpec>) -> Self {
        self.args.signature(name, signature.into());
        self
    }

    /// A keyword argument that is another instance.
    pub fn module(mut self, name: &str, module: impl Into<ModuleSpec>) -> Self {
        self.args.module(name, module.into());
        self
    }

    /// A keyword argument that is a list of instances.
    pub fn modules<M: Into<ModuleSpec>>(mut self, name: &str, modules: impl IntoIterator<Item = M>) -> Self {
        self.args.modules(name, modules.into_iter().map(Into::into));
        self
    }

    /// A keyword argument that is a list of instances, each with the inputs of one call.
    pub fn pairs<M: Into<ModuleSpec>, T: Serialize>(
        mut self,
        name: &str,
        pairs: impl IntoIterator<Item = (M, T)>,
    ) -> Self {
        self.args.pairs(name, pairs.into_iter().map(|(module, inputs)| (module.into(), inputs)));
        self
    }

    /// A keyword argument that is a list of examples.
    pub fn examples(mut self, name: &str, examples: impl IntoIterator<Item = Example>) -> Self {
        self.args.examples(name, examples.into_iter());
        self
    }

    /// What the instance has learned: demonstrations and instructions, as `dump_state` or an optimizer's `compile` gave them.
    pub fn state(mut self, state: Value) -> Self {
        self.state = Some(state);
        self
    }

    /// The tools: `tools![..]`, those that a session has now (`&session`), or none (`[]`).
    pub fn tools(mut self, name: &str, tools: impl IntoTools) -> Self {
        self.args.tools(name, tools);
        self
    }

    /// A function of the program: a metric, a reward, an embedder.
    pub fn callable(mut self, name: &str, callable: impl Into<Callable>) -> Self {
        self.args.callable(name, callable.into());
        self
    }

    /// Has a worker build the instance, and binds it to a session.
    ///
    /// # Errors
    ///
    /// [`Error::Wire`](crate::Error::Wire) for an argument that cannot be sent, [`Error::InvalidInput`](crate::Error::InvalidInput) for a
    /// signature or argument that does not hold, [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) where the worker's class is another
    /// than the bindings were made from, [`Error::Python`](crate::Error::Python) where the constructor raises.
    pub async fn create(self, session: &Session) -> Result<Bound> {
        let (args, functions) = self.args.finish(self.class)?;
        let mut spec = Spec::new(self.class, self.signature, args)
            .with_fingerprint(Some(self.fingerprint))
            .with_functions(functions);
        if let Some(state) = self.state {
            spec = spec.with_state(state);
        }
        let spec = Arc::new(spec);
        session.context().check(&spec).await?;
        Ok(Bound::new(session.clone(), spec))
    }

    pub(crate) fn into_part(self) -> Part {
        let Part { document: args, functions, problem } = self.args.into_part();
        let document =
            json!({"class": self.class, "signature": self.signature, "args": args, "state": self.state});
        Part { document, functions, problem }
    }
}
