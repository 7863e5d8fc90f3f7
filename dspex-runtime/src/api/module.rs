//! What `#[dspy_module]` implements, and the types that can be fields.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{CallContext, Caller, Instance, Run, Session};
use crate::bridge::{Spec, signature_of};
use crate::error::{Error, Result};
use crate::functions::Functions;
use crate::tool::ToolSet;

/// A type that can be an input or output of a signature, or part of one.
///
/// Implemented for everything that serde and schemars know: numbers, `String`, `bool`, `Vec`, `Option`, maps, tuples.
/// For your own structs and enums derive it: `#[derive(FieldType)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a DSPy signature",
    label = "not a field type",
    note = "derive it: `#[derive(FieldType)]`; or implement serde's `Serialize` and `Deserialize` and schemars' `JsonSchema`"
)]
pub trait FieldType {}

// The message above is the useful one; without this, rustc lists what serde implements instead.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + JsonSchema> FieldType for T {}

/// A DSPy module as a Rust type. `#[dspy_module("dspy.Predict")]` implements it; nobody needs to by hand.
pub trait Module: Sized + Send + Sync + 'static {
    /// What the module takes.
    type Inputs: Serialize + JsonSchema + Send + Sync;
    /// What it answers: the signature's outputs and what the class adds, such as `reasoning`.
    type Outputs: DeserializeOwned + JsonSchema + Send;
    /// What a call gives to the program: the outputs, or what `transform` makes of them.
    type Answer: Send + 'static;

    /// The class, the signature and the constructor's arguments.
    #[doc(hidden)]
    fn definition() -> &'static Definition;

    /// The functions of Rust that the class may call.
    #[doc(hidden)]
    fn tools() -> ToolSet {
        ToolSet::new()
    }

    /// Whether the class takes the signature that the fields make. A program of a team's own has its predictors'.
    #[doc(hidden)]
    const TAKES_SIGNATURE: bool = true;

    /// Makes the answer of the outputs.
    #[doc(hidden)]
    fn answer(outputs: Self::Outputs) -> Result<Self::Answer>;
}

/// What a transform may return: the answer, or a result with one.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the transform returns `{Self}`, and the answer is declared as `{Answer}`",
    label = "returns another type",
    note = "a transform returns the type after the arrow in `transform = path -> Type`, or a `Result` with it"
)]
pub trait IntoAnswer<Answer> {
    /// The answer.
    fn into_answer(self, module: &'static str) -> Result<Answer>;
}

impl<Answer> IntoAnswer<Answer> for Answer {
    fn into_answer(self, _: &'static str) -> Result<Answer> {
        Ok(self)
    }
}

impl<Answer, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoAnswer<Answer> for Result<Answer, E> {
    fn into_answer(self, module: &'static str) -> Result<Answer> {
        self.map_err(|error| Error::Transform { module: module.to_owned(), source: error.into() })
    }
}

/// What the macro knows about a module at compile time.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The struct's name.
    pub name: &'static str,
    /// The class's dotted path.
    pub class: &'static str,
    /// The hash of the class's ABI in the schema that the code was checked against.
    pub fingerprint: Option<&'static str>,
    /// The instructions; `None` leaves them to DSPy.
    pub instructions: Option<&'static str>,
    /// The names of the inputs, in order.
    pub inputs: &'static [&'static str],
    /// The names of the outputs that the signature declares, in order.
    pub outputs: &'static [&'static str],
    /// The names of the outputs that the class adds.
    pub extra_outputs: &'static [&'static str],
    /// The constructor's keyword arguments as a JSON object.
    pub args: &'static str,
    /// The method that takes the inputs; empty for calling the instance itself.
    pub method: &'static str,
}

/// The spec of a module: built at its first use, once in the life of the program.
pub(crate) fn spec_of<M: Module>() -> Result<Arc<Spec>> {
    static SPECS: OnceLock<RwLock<HashMap<TypeId, Arc<Spec>>>> = OnceLock::new();
    let specs = SPECS.get_or_init(RwLock::default);
    // Insertion cannot leave a half-written map.
    if let Some(spec) = specs.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<M>()) {
        return Ok(spec.clone());
    }
    let definition = M::definition();
    let signature = match M::TAKES_SIGNATURE {
        true => Some(signature_of::<M::Inputs, M::Outputs>(definition)?),
        false => None,
    };
    let args: Map<String, Value> = serde_json::from_str(definition.args).map_err(|error| Error::Schema {
        module: definition.name.to_owned(),
        problem: format!("its constructor arguments are no JSON object: {error}"),
    })?;
    let (mut args, mut functions, tools) = (args, Functions::default(), M::tools());
    if !tools.is_empty() {
        args.insert("tools".to_owned(), functions.add_tools(&tools));
    }
    let spec = Spec::new(definition.class, signature, args)
        .with_fingerprint(definition.fingerprint)
        .with_functions(functions);
    let spec = Arc::new(spec);
    specs.write().unwrap_or_else(PoisonError::into_inner).insert(TypeId::of::<M>(), spec.clone());
    Ok(spec)
}

/// `Module::create` of generated code.
#[doc(hidden)]
pub async fn create<M: Module>(session: &Session) -> Result<Instance<M>> {
    let spec = spec_of::<M>()?;
    session.context().check(&spec).await?;
    Ok(Instance::new(session.clone(), spec, Arc::default()))
}

/// `Module::call` of generated code.
#[doc(hidden)]
pub async fn call<M: Module, C: Caller + ?Sized>(caller: &C, inputs: M::Inputs) -> Result<M::Answer> {
    let (context, spec): (CallContext, _) = (caller.context(), spec_of::<M>()?);
    context.check_functions(&spec)?;
    Ok(Run::<M>::new(context, spec, inputs).await?.into_outputs())
}

/// A method of `methods(..)` of generated code: its arguments by name, and what it returns.
#[doc(hidden)]
pub async fn call_method<M: Module, T: DeserializeOwned>(
    instance: &Instance<M>,
    method: &str,
    arguments: Vec<(String, Result<Option<Value>, serde_json::Error>)>,
) -> Result<T> {
    let mut object = Map::new();
    for (name, value) in arguments {
        let value = value.map_err(|error| Error::Schema {
            module: M::definition().name.to_owned(),
            problem: format!("the argument `{name}` of `{method}` is no JSON: {error}"),
        })?;
        object.extend(value.map(|value| (name, value)));
    }
    instance.call_method(method, &Value::Object(object)).await
}
