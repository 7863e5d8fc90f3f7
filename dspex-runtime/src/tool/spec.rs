//! What is told of a tool.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde_json::Value;

use super::check::ArgumentsCheck;
use super::schema::{self, Arguments};

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
    pub(super) arguments: Arguments,
    pub(super) returns: Option<Value>,
    pub(super) examples: Vec<ToolExample>,
    pub(super) timeout: Option<Duration>,
    pub(super) concurrency: Option<usize>,
    pub(super) read_only: bool,
    pub(super) streams: bool,
    /// Why the tool cannot be used at all; told where it is registered.
    pub(super) problem: Option<String>,
    pub(super) check: Compiled,
}

/// What arguments are held against; made of the parameters when the spec is built, unless there is a problem.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled(Option<Arc<ArgumentsCheck>>);

impl Compiled {
    pub(super) fn get(&self) -> Option<&ArgumentsCheck> {
        self.0.as_deref()
    }
}

impl PartialEq for Compiled {
    /// It follows from the parameters, which are compared.
    fn eq(&self, _: &Self) -> bool {
        true
    }
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
                arguments: Arguments::default(),
                returns: None,
                examples: Vec::new(),
                timeout: None,
                concurrency: None,
                read_only: false,
                streams: false,
                problem: None,
                check: Compiled::default(),
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
        &self.arguments.parameters
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

    /// The JSON Schema of all its arguments: an object that takes no other keys, unless a map is flattened into it.
    #[must_use]
    pub fn arguments_schema(&self) -> Value {
        schema::of_arguments(&self.arguments)
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

    /// Its JSON Schema with its description and default, as models are shown it.
    #[must_use]
    pub fn to_schema(&self) -> Value {
        let mut schema = self.schema.as_object().cloned().unwrap_or_default();
        if let Some(description) = &self.description {
            schema.insert("description".to_owned(), description.as_str().into());
        }
        if let Some(default) = &self.default {
            schema.insert("default".to_owned(), default.clone());
        }
        schema.into()
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
        self.spec.arguments.parameters.push(parameter);
        self
    }

    /// Takes the parameters from the fields of a struct, in their order, with their descriptions and defaults.
    ///
    /// References are replaced by what they refer to, so no type among them may be recursive: such a tool is refused
    /// when it is registered, with the type's name.
    pub fn arguments<T: JsonSchema>(mut self) -> Self {
        self.take(schema::arguments_of::<T>());
        self
    }

    /// Takes the parameters from the JSON Schema of an object, as servers of tools give it. It may have `$defs`, lists of types and
    /// what else earlier drafts allow. Keywords that dspex does not know inform the model, and are not enforced; neither is
    /// `format`, nor a `pattern` with look-around.
    ///
    /// ```
    /// use dspex_runtime::tool::ToolSpec;
    /// use serde_json::json;
    ///
    /// let spec = ToolSpec::builder("search", "Searches the index.")
    ///     .arguments_schema(&json!({
    ///         "type": "object",
    ///         "properties": {"query": {"type": "string"}, "lang": {"$ref": "#/$defs/Lang"}},
    ///         "required": ["query"],
    ///         "$defs": {"Lang": {"type": ["string", "null"], "description": "Two letters."}},
    ///     }))
    ///     .build();
    /// let lang = &spec.parameters()[1];
    /// assert_eq!(lang.schema(), &json!({"anyOf": [{"type": "string"}, {"type": "null"}]}));
    /// assert_eq!(lang.described(), Some("Two letters."));
    /// ```
    pub fn arguments_schema(mut self, schema: &Value) -> Self {
        self.take(Arguments::new(schema));
        self
    }

    fn take(&mut self, arguments: Result<Arguments, String>) {
        match arguments {
            Ok(arguments) => self.spec.arguments = arguments,
            Err(problem) => self.spec.problem = Some(problem),
        }
    }

    /// The type that it answers with.
    pub fn returns<T: JsonSchema>(mut self) -> Self {
        // The schema informs; a type that cannot be written without references is left untold.
        self.spec.returns = schema::of_returned::<T>().ok();
        self
    }

    /// The JSON Schema of what it answers with. One that cannot be written without references is left untold.
    pub fn returns_schema(mut self, schema: Value) -> Self {
        self.spec.returns = schema::normalised(&schema).ok().map(Value::Object);
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
            match self.compiled() {
                Ok(check) => self.spec.check = Compiled(Some(Arc::new(check))),
                Err(problem) => self.spec.problem = Some(problem),
            }
        }
        self.spec
    }

    fn compiled(&mut self) -> Result<ArgumentsCheck, String> {
        self.spec.arguments.parameters = schema::settle(&self.spec.arguments.parameters)?;
        match schema::problem_of(&self.spec) {
            Some(problem) => Err(problem),
            None => ArgumentsCheck::new(&self.spec.arguments),
        }
    }
}
