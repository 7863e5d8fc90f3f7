//! One call of a method or function, with its arguments and settings.

use std::future::IntoFuture;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::Args;
use super::{CallFuture, Callable, Example, IntoTools, ModuleSpec, SignatureSpec};
use crate::api::call_settings::call_settings;
use crate::api::caller::{CallOptions, decode, encode, encode_document};
use crate::api::steering::Steering;
use crate::api::{CallContext, CallStream, Caller, Prediction};
use crate::bridge::{Spec, Target};
use crate::error::Result;
use crate::proto::Payload;

/// A call of a method or function of Python. It starts when it is awaited.
#[must_use = "a call starts when it is awaited"]
pub struct Call<R> {
    context: CallContext,
    callee: Callee,
    args: Args,
    /// Instead of `args`: one value that holds them all.
    inputs: Option<Result<Bytes>>,
    options: CallOptions,
    read: fn(&Payload, &str) -> Result<R>,
}

enum Callee {
    Method { spec: Arc<Spec>, name: &'static str },
    Function(&'static str),
}

impl Callee {
    /// What errors call it.
    fn name(&self) -> &str {
        match self {
            Self::Method { spec, .. } => &spec.class,
            Self::Function(path) => path,
        }
    }
}

impl<R: DeserializeOwned + Send + 'static> Call<R> {
    pub(crate) fn method(context: CallContext, spec: Arc<Spec>, name: &'static str) -> Self {
        Self::new(context, Callee::Method { spec, name }, value)
    }

    /// A call of a public function by its dotted path.
    pub fn function(caller: &impl Caller, path: &'static str) -> Self {
        Self::new(caller.context(), Callee::Function(path), value)
    }
}

impl<O: DeserializeOwned + Send + 'static> Call<Prediction<O>> {
    pub(crate) fn prediction(context: CallContext, spec: Arc<Spec>, name: &'static str) -> Self {
        Self::new(context, Callee::Method { spec, name }, decode)
    }
}

impl<R> Call<R> {
    fn new(context: CallContext, callee: Callee, read: fn(&Payload, &str) -> Result<R>) -> Self {
        Self { context, callee, args: Args::default(), inputs: None, options: CallOptions::default(), read }
    }

    /// Variables steer the call.
    pub(super) fn steered(mut self, steering: &Arc<Steering>) -> Self {
        self.options.steering = Some(steering.clone());
        self
    }

    /// The pool of the instance.
    pub(super) fn in_pool(mut self, pool: Option<&Arc<str>>) -> Self {
        self.options.pool = pool.cloned();
        self
    }

    /// All arguments in one object.
    pub(crate) fn inputs<T: Serialize>(mut self, inputs: &T) -> Self {
        self.inputs = Some(encode(inputs));
        self.options.takes_inputs = true;
        self
    }

    /// A keyword argument that is data.
    pub fn value<T: Serialize>(mut self, name: &str, value: T) -> Self {
        self.args.value(name, &value);
        self
    }

    /// A keyword argument that is a signature.
    pub fn signature(mut self, name: &str, signature: impl Into<SignatureSpec>) -> Self {
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

    /// A keyword argument that is a list of tools: `tools![..]`, those that a session has now (`&session`), or none (`[]`).
    pub fn tools(mut self, name: &str, tools: impl IntoTools) -> Self {
        self.args.tools(name, tools);
        self
    }

    /// A keyword argument that is a function of the program: a metric, a reward, an embedder.
    pub fn callable(mut self, name: &str, callable: impl Into<Callable>) -> Self {
        self.args.callable(name, callable.into());
        self
    }

    /// Runs the call while its events are read; its answer is the last of them.
    pub fn stream(mut self) -> CallStream<R>
    where
        R: Send + 'static,
    {
        CallStream::new(move |events| {
            self.options.events = events;
            self.finish()
        })
    }

    /// A keyword argument that is a list of examples.
    pub fn examples(mut self, name: &str, examples: impl IntoIterator<Item = Example>) -> Self {
        self.args.examples(name, examples.into_iter());
        self
    }

    async fn finish(self) -> Result<R> {
        let name = self.callee.name().to_owned();
        let (args, functions) = self.args.finish_call(&name)?;
        let (args, options) =
            (Value::Object(args), CallOptions { functions: Arc::new(functions), ..self.options });
        let (target, document) = match self.callee {
            Callee::Method { spec, name } => (Target::Instance { spec, method: name.to_owned() }, args),
            Callee::Function(path) => {
                (Target::Function(path.to_owned()), json!({"args": [], "kwargs": args}))
            }
        };
        let inputs = match self.inputs {
            Some(inputs) => inputs?,
            None => encode_document(&document)?,
        };
        let payload = self.context.run(target, inputs, &options).await?;
        (self.read)(&payload, &name)
    }
}

call_settings!([R] Call<R>);

impl<R: Send + 'static> IntoFuture for Call<R> {
    type Output = Result<R>;
    type IntoFuture = CallFuture<R>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

impl<R> std::fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("target", &self.callee.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What a call answered that is no prediction, or a prediction's outputs.
fn value<R: DeserializeOwned>(payload: &Payload, target: &str) -> Result<R> {
    #[derive(Deserialize)]
    struct Answer<R> {
        #[serde(alias = "outputs")]
        value: R,
    }
    decode::<Answer<R>>(payload, target).map(|answer| answer.value)
}
