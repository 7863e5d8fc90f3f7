//! The untyped door: DSPy and your own Python modules by dotted paths, with JSON in and out.

use std::sync::Arc;

use serde_json::{Value, json};

use super::bindings::{Args, Bound, Callable, IntoTools, ModuleSpec, Part};
use super::call_settings::call_settings;
use super::caller::{CallContext, CallOptions, Caller, decode_document, encode_document};
use super::steering::{Binding, Steering};
use super::{Prediction, Session};
use crate::bridge::{Spec, Target};
use crate::error::{Error, Result};
use crate::pool::PoolError;
use crate::proto::{Hello, Payload};

/// DSPy by dotted paths. Only the public API of DSPy and of the modules given to
/// [`allow_module`](super::DspexBuilder::allow_module) can be reached; anything else is
/// [`Error::NotAllowed`](crate::Error::NotAllowed) or [`Error::NotFound`](crate::Error::NotFound).
///
/// Values are JSON; what JSON cannot hold, such as NaN or bytes, is written as [`wire`](crate::wire) describes.
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
///
/// Settings hold for all calls on the handle: `dspex.dspy().idempotent(true).deadline(limit)`.
#[derive(Clone)]
pub struct Dspy {
    context: CallContext,
    options: CallOptions,
}

call_settings!([] Dspy);

/// What an untyped instance is made of.
#[derive(Clone, Debug)]
#[must_use]
pub struct InstanceSpec {
    class: String,
    signature: Option<Value>,
    args: Args,
}

impl InstanceSpec {
    /// An instance of a class by its dotted path.
    pub fn new(class: impl Into<String>) -> Self {
        Self { class: class.into(), signature: None, args: Args::default() }
    }

    /// Its signature: `{"text": "question -> answer", "instructions": null}`, or the structured form
    /// `{"name", "instructions", "inputs": [{"name", "desc", "schema"}], "outputs": [..]}` with JSON Schemas.
    pub fn signature(mut self, signature: impl Into<Value>) -> Self {
        self.signature = Some(signature.into());
        self
    }

    /// A keyword argument of the constructor.
    pub fn arg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.args.document(&name.into(), value.into());
        self
    }

    /// Its tools, where it takes any: `tools![..]`, those that a session has now (`&session`), or none (`[]`).
    pub fn tools(mut self, tools: impl IntoTools) -> Self {
        self.args.tools("tools", tools);
        self
    }

    /// A keyword argument that is a function of the program: a metric, a reward, an embedder.
    pub fn callable(mut self, name: &str, callable: impl Into<Callable>) -> Self {
        self.args.callable(name, callable.into());
        self
    }

    /// A keyword argument that is another instance.
    pub fn module(mut self, name: &str, module: impl Into<ModuleSpec>) -> Self {
        self.args.module(name, module.into());
        self
    }

    /// Has a worker build the instance, and binds it to a session.
    ///
    /// # Errors
    ///
    /// As [`Dspy::create_instance`], and [`Error::Tools`](crate::Error::Tools) for tools that cannot be together.
    pub async fn create(self, session: &Session) -> Result<Bound> {
        let spec = Arc::new(self.into_spec()?);
        session.context().check(&spec).await?;
        Ok(Bound::new(session.clone(), spec))
    }

    pub(crate) fn into_spec(self) -> Result<Spec> {
        let (args, functions) = self.args.finish(&self.class)?;
        Ok(Spec::new(&self.class, self.signature, args).with_functions(functions))
    }

    pub(crate) fn into_part(self) -> Part {
        let Part { document: args, functions, problem } = self.args.into_part();
        let document = json!({"class": self.class, "signature": self.signature, "args": args});
        Part { document, functions, problem }
    }
}

/// An untyped instance. It is data, as a typed one is.
#[derive(Clone, Debug)]
pub struct DynInstance {
    spec: Arc<Spec>,
    steering: Arc<Steering>,
}

impl DynInstance {
    pub(crate) fn new(spec: Arc<Spec>, steering: Arc<Steering>) -> Self {
        Self { spec, steering }
    }

    fn options(&self, of: &CallOptions) -> CallOptions {
        CallOptions { steering: Some(self.steering.clone()), ..of.clone() }
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The class's dotted path.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.spec.class
    }
}

/// What runs in the workers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Availability {
    /// DSPy's version.
    pub dspy: String,
    /// Python's version.
    pub python: String,
    /// What the workers can do besides, such as `numpy` or `uvloop`.
    pub capabilities: Vec<String>,
}

impl Availability {
    pub(super) fn of(hello: &Hello) -> Self {
        Self {
            dspy: hello.dspy_version.clone(),
            python: hello.python_version.clone(),
            capabilities: hello.capabilities.clone(),
        }
    }
}

impl Dspy {
    pub(crate) fn new(context: CallContext) -> Self {
        Self { context, options: CallOptions::default() }
    }

    /// Calls a public function, or constructs a class and answers with its JSON form.
    ///
    /// # Errors
    ///
    /// Whatever the call ends with; see [`Error`](crate::Error).
    pub async fn call(&self, path: &str, args: &Value, kwargs: &Value) -> Result<Value> {
        let inputs = encode_document(&json!({"args": args, "kwargs": kwargs}))?;
        let target = Target::Function(path.to_owned());
        let payload = self.context.run(target, inputs, &self.options).await?;
        answer(&payload, path)
    }

    /// Has a worker build an instance, and keeps its spec.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) for an unknown class, [`Error::InvalidInput`](crate::Error) for a
    /// signature that does not hold, [`Error::Python`](crate::Error::Python) where the constructor raises.
    pub async fn create_instance(&self, spec: InstanceSpec) -> Result<DynInstance> {
        let spec = Arc::new(spec.into_spec()?);
        self.context.check_with(&spec, &self.options).await?;
        Ok(DynInstance::new(spec, Arc::default()))
    }

    /// Calls an instance itself.
    ///
    /// # Errors
    ///
    /// Whatever the call ends with; see [`Error`](crate::Error).
    pub async fn execute(&self, instance: &DynInstance, inputs: &Value) -> Result<Prediction<Value>> {
        let target = Target::Instance { spec: instance.spec.clone(), method: String::new() };
        let options = CallOptions { takes_inputs: true, ..instance.options(&self.options) };
        let payload = self.context.run(target, encode_document(inputs)?, &options).await?;
        prediction(&payload, &instance.spec.class)
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
        args: &Value,
    ) -> Result<Value> {
        let target = Target::Instance { spec: instance.spec.clone(), method: method.to_owned() };
        let payload =
            self.context.run(target, encode_document(args)?, &instance.options(&self.options)).await?;
        answer(&payload, &instance.spec.class)
    }

    /// Has a variable of the session steer the instance's calls; see [`Instance::bind`](crate::Instance::bind).
    ///
    /// # Errors
    ///
    /// As there, and [`Error::Binding`] outside of a session.
    pub async fn bind(&self, instance: &DynInstance, binding: impl Into<Binding>) -> Result<()> {
        let Some(session) = &self.context.session else {
            let problem =
                "variables belong to sessions, and this is `Dspex::dspy`; use `Session::dspy`".to_owned();
            return Err(Error::Binding { class: instance.class().to_owned(), problem });
        };
        instance.steering.bind(binding.into(), &session.variables(), &instance.spec).await
    }

    /// Which versions run in the workers.
    ///
    /// # Errors
    ///
    /// [`Error::Pool`](crate::Error::Pool) where no worker is ready.
    pub async fn check_availability(&self) -> Result<Availability> {
        let links = self.context.runtime.bridge.pool().links();
        let Some(link) = links.first() else {
            return Err(PoolError::Down("no worker is ready now".to_owned()).into());
        };
        Ok(Availability::of(link.hello()))
    }

    /// Describes the public classes and functions of modules: `["dspy"]`, or your own that were allowed. The answer is
    /// the document that `schema-gen dump` splits into files.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`](crate::Error::NotAllowed) for a module that was not allowed.
    pub async fn discover_schema(&self, modules: &[&str]) -> Result<Value> {
        let modules = modules.iter().map(|module| (*module).to_owned()).collect();
        let options = CallOptions { idempotent: true, ..self.options.clone() };
        let payload = self.context.run(Target::Introspect(modules), bytes::Bytes::new(), &options).await?;
        decode_document(&payload, "introspection")
    }

    /// How a signature resolves: `{"instructions", "inputs": [field], "outputs": [field]}`, where a field has `name`,
    /// `desc`, `type` in a few words, `schema` and whether it is `required`. Takes what
    /// [`InstanceSpec::signature`] takes, and calls no model.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error) for a signature that does not hold.
    pub async fn resolve_signature(&self, signature: &Value) -> Result<Value> {
        let options = CallOptions { idempotent: true, ..self.options.clone() };
        let inputs = encode_document(&json!({"signature": signature}))?;
        let payload = self.context.run(Target::Introspect(Vec::new()), inputs, &options).await?;
        decode_document(&payload, "introspection")
    }

    /// Builds, calls and forgets: one round trip.
    pub(crate) async fn predict_once(&self, spec: InstanceSpec, inputs: &Value) -> Result<Prediction<Value>> {
        let spec = Arc::new(spec.into_spec()?);
        self.execute(&DynInstance::new(spec, Arc::default()), inputs).await
    }
}

impl std::fmt::Debug for Dspy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dspy").finish_non_exhaustive()
    }
}

/// What a call answered that is no prediction, or a prediction's outputs.
fn answer(payload: &Payload, target: &str) -> Result<Value> {
    let mut document = decode_document(payload, target)?;
    let part = ["value", "outputs"].into_iter().find_map(|key| document.get_mut(key).map(Value::take));
    part.ok_or_else(|| Error::Protocol(format!("the answer of `{target}` has neither a value nor outputs")))
}

fn prediction(payload: &Payload, class: &str) -> Result<Prediction<Value>> {
    let document = decode_document(payload, class)?;
    let problem = |error| Error::Protocol(format!("the answer of `{class}` is no prediction: {error}"));
    serde_json::from_value(document).map_err(problem)
}
