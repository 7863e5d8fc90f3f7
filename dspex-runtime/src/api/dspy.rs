//! The untyped door: DSPy and your own Python modules by dotted paths, with JSON in and out.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Prediction;
use super::caller::{CallContext, CallOptions, decode, encode};
use crate::bridge::{Spec, Target};
use crate::error::Result;

/// DSPy by dotted paths. Only the public API of DSPy and of the modules given to
/// [`allow_module`](super::DspexBuilder::allow_module) can be reached; anything else is
/// [`Error::NotAllowed`](crate::Error::NotAllowed) or [`Error::NotFound`](crate::Error::NotFound).
///
/// ```no_run
/// # async fn run(session: dspex_runtime::Session) -> dspex_runtime::Result<()> {
/// use dspex_runtime::InstanceSpec;
/// use serde_json::json;
///
/// let dspy = session.dspy();
/// let spec = InstanceSpec::new("dspy.ChainOfThought").signature(json!({"text": "question -> answer"}));
/// let instance = dspy.create_instance(spec).await?;
/// let answer = dspy.execute(&instance, &json!({"question": "What is 6 times 7?"})).await?;
/// println!("{}", answer["reasoning"]);
/// let state = dspy.call_instance_method(&instance, "dump_state", &json!({})).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dspy {
    context: CallContext,
}

/// What an untyped instance is made of.
#[derive(Clone, Debug)]
#[must_use]
pub struct InstanceSpec {
    class: String,
    signature: Option<Value>,
    args: Map<String, Value>,
}

impl InstanceSpec {
    /// An instance of a class by its dotted path.
    pub fn new(class: impl Into<String>) -> Self {
        Self { class: class.into(), signature: None, args: Map::new() }
    }

    /// Its signature: `{"text": "question -> answer", "instructions": null}`, or the structured form
    /// `{"name", "instructions", "inputs": [{"name", "desc", "schema"}], "outputs": [..]}` with JSON Schemas.
    pub fn signature(mut self, signature: impl Into<Value>) -> Self {
        self.signature = Some(signature.into());
        self
    }

    /// A keyword argument of the constructor.
    pub fn arg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.args.insert(name.into(), value.into());
        self
    }
}

/// An untyped instance. It is data, as a typed one is.
#[derive(Clone, Debug)]
pub struct DynInstance {
    spec: Arc<Spec>,
}

impl DynInstance {
    /// The class's dotted path.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.spec.class
    }
}

/// What runs in the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Availability {
    /// DSPy's version.
    pub dspy: String,
    /// Python's version.
    pub python: String,
    /// What the workers can do besides, such as `numpy` or `uvloop`.
    pub capabilities: Vec<String>,
}

impl Dspy {
    pub(crate) fn new(context: CallContext) -> Self {
        Self { context }
    }

    /// Calls a public function, or constructs a class and answers with its JSON form.
    ///
    /// # Errors
    ///
    /// Whatever the call ends with; see [`Error`](crate::Error).
    pub async fn call(
        &self,
        path: &str,
        args: &(impl Serialize + ?Sized),
        kwargs: &(impl Serialize + ?Sized),
    ) -> Result<Value> {
        let inputs = encode(&Arguments { args, kwargs })?;
        let target = Target::Function(path.to_owned());
        let payload = self.context.run(target, inputs, &CallOptions::default()).await?;
        decode::<Document>(&payload, path).map(Document::into_value)
    }

    /// Has a worker build an instance, and keeps its spec.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) for an unknown class, [`Error::InvalidInput`](crate::Error) for a
    /// signature that does not hold, [`Error::Python`](crate::Error::Python) where the constructor raises.
    pub async fn create_instance(&self, spec: InstanceSpec) -> Result<DynInstance> {
        let spec = Arc::new(Spec::new(&spec.class, spec.signature, spec.args));
        self.context.check(&spec).await?;
        Ok(DynInstance { spec })
    }

    /// Calls an instance itself.
    ///
    /// # Errors
    ///
    /// Whatever the call ends with; see [`Error`](crate::Error).
    pub async fn execute(
        &self,
        instance: &DynInstance,
        inputs: &(impl Serialize + ?Sized),
    ) -> Result<Prediction<Value>> {
        let target = Target::Instance { spec: instance.spec.clone(), method: String::new() };
        let payload = self.context.run(target, encode(inputs)?, &CallOptions::default()).await?;
        decode(&payload, &instance.spec.class)
    }

    /// Calls a public method of an instance with keyword arguments.
    ///
    /// # Errors
    ///
    /// Whatever the call ends with; see [`Error`](crate::Error).
    pub async fn call_instance_method(
        &self,
        instance: &DynInstance,
        method: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<Value> {
        let target = Target::Instance { spec: instance.spec.clone(), method: method.to_owned() };
        let payload = self.context.run(target, encode(args)?, &CallOptions::default()).await?;
        decode::<Document>(&payload, &instance.spec.class).map(Document::into_value)
    }

    /// Which versions run in the workers.
    ///
    /// # Errors
    ///
    /// [`Error::Pool`](crate::Error::Pool) where no worker runs.
    pub async fn check_availability(&self) -> Result<Availability> {
        let lease = self.context.runtime.bridge.pool().lease(None).await;
        let lease = lease.map_err(|_| crate::pool::PoolError::Closed)?;
        let hello = lease.link.hello();
        Ok(Availability {
            dspy: hello.dspy_version.clone(),
            python: hello.python_version.clone(),
            capabilities: hello.capabilities.clone(),
        })
    }

    /// Describes the public classes and functions of modules: `["dspy"]`, or your own that were allowed. The answer is
    /// the document that `schema-gen dump` splits into files.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`](crate::Error::NotAllowed) for a module that was not allowed.
    pub async fn discover_schema(&self, modules: &[&str]) -> Result<Value> {
        let modules = modules.iter().map(|module| (*module).to_owned()).collect();
        let options = CallOptions { idempotent: true, ..CallOptions::default() };
        let payload = self.context.run(Target::Introspect(modules), bytes::Bytes::new(), &options).await?;
        decode(&payload, "introspection")
    }

    /// Builds, calls and forgets: one round trip.
    pub(crate) async fn predict_once(
        &self,
        spec: InstanceSpec,
        inputs: &(impl Serialize + ?Sized),
    ) -> Result<Prediction<Value>> {
        let spec = Arc::new(Spec::new(&spec.class, spec.signature, spec.args));
        self.execute(&DynInstance { spec }, inputs).await
    }
}

impl std::fmt::Debug for Dspy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dspy").finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Arguments<'a, A: ?Sized, K: ?Sized> {
    args: &'a A,
    kwargs: &'a K,
}

/// Either form in which a worker answers.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Document {
    Value { value: Value },
    Prediction { outputs: Value },
}

impl Document {
    fn into_value(self) -> Value {
        match self {
            Self::Value { value } => value,
            Self::Prediction { outputs } => json!(outputs),
        }
    }
}
