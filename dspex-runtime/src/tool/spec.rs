//! What is told of a tool.

use std::time::Duration;

use schemars::JsonSchema;
use serde_json::Value;

use super::schema;

/// What the model is told of a tool, and its limits.
///
/// ```
/// use dspex_runtime::tool::{ToolParameter, ToolSpec};
/// use serde_json::json;
///
/// let spec = ToolSpec::builder("plan_of", "Plan of a customer, by e-mail.")
///     .parameter(ToolParameter::required("email", json!({"type": "string"})).description("Her address."))
///     .build();
/// assert_eq!(spec.parameters()[0].name(), "email");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) parameters: Vec<ToolParameter>,
    pub(super) returns: Option<Value>,
    pub(super) examples: Vec<ToolExample>,
    pub(super) timeout: Option<Duration>,
    pub(super) concurrency: Option<usize>,
    pub(super) read_only: bool,
    pub(super) streams: bool,
    /// Why the tool cannot be used at all; told where it is registered.
    pub(super) problem: Option<String>,
}

/// One parameter of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolParameter {
    pub(super) name: String,
    pub(super) description: Option<String>,
    /// A JSON Schema without references, as DSPy's functions accept it.
    pub(super) schema: Value,
    /// None: the argument is required. Null for an optional one without another default.
    pub(super) default: Option<Value>,
}

/// A call of a tool and what it answers. Shown by [`ToolSpec::examples`], and checked by the test that
/// `#[dspex_tool(examples(..))]` generates.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolExample {
    /// The arguments as a JSON object.
    pub arguments: Value,
    /// The answer, where it was given.
    pub returns: Option<Value>,
}

impl ToolSpec {
    /// A tool of this name, and what the model is told that it does.
    pub fn builder(name: impl Into<String>, description: impl Into<String>) -> ToolSpecBuilder {
        ToolSpecBuilder {
            spec: Self {
                name: name.into(),
                description: description.into(),
                parameters: Vec::new(),
                returns: None,
                examples: Vec::new(),
                timeout: None,
                concurrency: None,
                read_only: false,
                streams: false,
                problem: None,
            },
        }
    }

    /// Its name: a letter or underscore, then up to 63 letters, digits, underscores and hyphens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the model is told that it does.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Its parameters, in order.
    #[must_use]
    pub fn parameters(&self) -> &[ToolParameter] {
        &self.parameters
    }

    /// The JSON Schema of what it answers, where it is known.
    #[must_use]
    pub fn returns(&self) -> Option<&Value> {
        self.returns.as_ref()
    }

    /// Calls of it.
    #[must_use]
    pub fn examples(&self) -> &[ToolExample] {
        &self.examples
    }

    /// How long one run may take; none: as long as the call of DSPy that it is part of.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How many runs of it there may be at once.
    #[must_use]
    pub fn concurrency(&self) -> Option<usize> {
        self.concurrency
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it answers with a stream, whose items are events of the call.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.streams
    }

    /// Why the tool cannot be used, such as a parameter of a recursive type.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The JSON Schema of all its arguments: an object that takes no other keys.
    #[must_use]
    pub fn arguments_schema(&self) -> Value {
        schema::of_arguments(&self.parameters)
    }
}

impl ToolParameter {
    /// A parameter that has to be given, with its JSON Schema.
    pub fn required(name: impl Into<String>, schema: Value) -> Self {
        Self { name: name.into(), description: None, schema, default: None }
    }

    /// A parameter with a default. Null as a default means that its absence does.
    pub fn optional(name: impl Into<String>, schema: Value, default: Value) -> Self {
        Self { name: name.into(), description: None, schema, default: Some(default) }
    }

    /// What the model is told of it.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the model is told of it.
    #[must_use]
    pub fn described(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its JSON Schema, without references, descriptions and default of its own.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Whether it has to be given.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }

    /// What it is where it was not given.
    #[must_use]
    pub fn default(&self) -> Option<&Value> {
        self.default.as_ref()
    }
}

/// Builds a [`ToolSpec`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ToolSpecBuilder {
    spec: ToolSpec,
}

impl ToolSpecBuilder {
    /// Adds a parameter.
    pub fn parameter(mut self, parameter: ToolParameter) -> Self {
        self.spec.parameters.push(parameter);
        self
    }

    /// Takes the parameters from the fields of a struct, in their order, with their descriptions and defaults.
    pub fn arguments<T: JsonSchema>(mut self) -> Self {
        match schema::parameters_of::<T>() {
            Ok(parameters) => self.spec.parameters = parameters,
            Err(problem) => self.spec.problem = Some(problem),
        }
        self
    }

    /// The type that it answers with.
    pub fn returns<T: JsonSchema>(mut self) -> Self {
        // The schema informs; a type that cannot be written without references is left untold.
        self.spec.returns = schema::of_returned::<T>().ok();
        self
    }

    /// The JSON Schema of what it answers with.
    pub fn returns_schema(mut self, schema: Value) -> Self {
        self.spec.returns = Some(schema);
        self
    }

    /// Adds an example.
    pub fn example(mut self, arguments: Value, returns: Option<Value>) -> Self {
        self.spec.examples.push(ToolExample { arguments, returns });
        self
    }

    /// How long one run may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout = Some(timeout);
        self
    }

    /// How many runs of it there may be at once.
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.spec.concurrency = Some(runs);
        self
    }

    /// It changes nothing.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.spec.read_only = read_only;
        self
    }

    /// It answers with a stream.
    pub fn streams(mut self, streams: bool) -> Self {
        self.spec.streams = streams;
        self
    }

    /// The spec. What is wrong with it, such as a name that models cannot be told, is in [`ToolSpec::problem`].
    pub fn build(mut self) -> ToolSpec {
        if self.spec.problem.is_none() {
            self.spec.problem = schema::problem_of(&self.spec);
        }
        self.spec
    }
}
