//! The procedural macros of dspex. Use them through the facade crate `dspex`, which the generated code refers to.
//!
//! Each macro goes the same way: its input is parsed into a small model that keeps the spans, the model is checked
//! with all errors collected, and what passed is expanded, which cannot fail. On an error the item itself is
//! emitted again next to the errors, with stand-ins for what would have been generated, so that an editor keeps
//! understanding the rest of the file.

mod attribute;
mod context;
mod docs;
mod fallback;
mod field_type;
mod index;
mod module;
mod prelude;
mod signature;
mod timing;
mod tool;
mod types;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a struct a typed module of DSPy.
///
/// The fields marked `#[input]` and `#[output]` are the signature, the doc comment of the struct is its instructions,
/// and the doc comments of the fields are their descriptions. The first argument is the class; it and its keywords
/// are checked against the schema of DSPy while compiling.
///
/// ```
/// use dspex::{Caller, FieldType, dspy_module};
///
/// #[derive(Debug, FieldType)]
/// enum Urgency {
///     High,
///     Low,
/// }
///
/// /// Triage a support ticket.
/// #[dspy_module("dspy.ChainOfThought", temperature = 0.2)]
/// struct Triage {
///     /// What the customer wrote.
///     #[input]
///     ticket: String,
///     #[output]
///     urgency: Urgency,
/// }
///
/// async fn triage(caller: &impl Caller, ticket: String) -> dspex::Result<()> {
///     let out = Triage::call(caller, TriageInputs { ticket }).await?;
///     println!("{:?}, because {}", out.urgency, out.reasoning);
///     Ok(())
/// }
/// ```
///
/// # What is generated
///
/// | item | what it is |
/// |---|---|
/// | `XInputs` | the `#[input]` fields, with serde and a JSON Schema |
/// | `XOutputs` | the `#[output]` fields, and the outputs that the class adds, such as `reasoning` |
/// | `impl Module for X` | what the runtime needs to know |
/// | `X::create(&session)` | makes an instance |
/// | `X::call(&caller, inputs)` | creates, executes once, and drops |
///
/// The struct stays as it is. Derives that stand below `#[dspy_module]` are put on `XInputs` and `XOutputs` too.
///
/// # Arguments
///
/// | argument | meaning |
/// |---|---|
/// | `"dspy.Predict"` | the class, always first |
/// | `keyword = literal` | a keyword of the class's constructor, or a usual setting of language models that it passes on, such as `temperature`: a number, boolean, string or array |
/// | `config(setting = literal)` | settings that it passes on whatever they are called, such as a provider's own |
/// | `signature = "question -> answer: float"` | the signature as text, for a struct without fields |
/// | `signature = path::Type` | a struct that derives [`Signature`](macro@Signature), shared by several modules |
/// | `execute = "forward"` | the method that takes the inputs, instead of a call of the instance itself |
/// | `methods(reset, dump_state)` | further methods: `X::reset(&instance)`, with the types that the schema knows |
/// | `tools(lookup, billing::refund)` | functions with [`#[dspex_tool]`](macro@dspex_tool) that the class may call |
/// | `transform = path -> Type` | a function from `XOutputs` to `Type`, or to a `Result` with it; calls then give a `Type` |
/// | `unchecked` | the class is not looked up: any dotted path, any keyword, such as of your team's own modules |
/// | `crate = ::path` | where the facade crate is, if it is not `::dspex` |
///
/// # A signature as text
///
/// The text is DSPy's own form of a signature, read and checked while compiling, more strictly than DSPy does. `str`,
/// `int`, `list[..]`, `dict[str, ..]`, `tuple[..]`, `Optional[..]`, `Any` and their like become the Rust types that hold
/// the same values; a `Literal` and alternatives such as `int | str` become enums; `dspy.Image`, `dspy.Audio`,
/// `dspy.File`, `dspy.History`, `dspy.Code`, `dspy.Reasoning` and `dspy.ToolCalls` are the types of `dspex::types`; your own types stand there by their paths, or by
/// names that begin with a capital letter. A name that is nearly one of Python's or DSPy's is taken for a slip; a path
/// such as `self::Image` never is.
///
/// ```
/// use dspex::{Caller, FieldType, dspy_module, types::Image};
///
/// #[derive(Debug, FieldType)]
/// struct Animal {
///     name: String,
///     legs: u8,
/// }
///
/// /// Say what is to be seen.
/// #[dspy_module(
///     "dspy.Predict",
///     signature = "photo: dspy.Image, depth: int -> animals: list[Animal], mood: Literal['calm', 'wild']",
///     transform = legs -> u32
/// )]
/// struct Look;
///
/// fn legs(outputs: LookOutputs) -> u32 {
///     match outputs.mood {
///         LookMood::Calm => outputs.animals.iter().map(|animal| u32::from(animal.legs)).sum(),
///         LookMood::Wild => 0,
///     }
/// }
///
/// async fn look(caller: &impl Caller) -> dspex::Result<u32> {
///     Look::call(caller, LookInputs { photo: Image::from_url("https://example.com/a.png"), depth: 1 }).await
/// }
/// ```
///
/// # Attributes of fields
///
/// `#[schemars(range(min = 1, max = 5))]` and its like become part of the field's JSON Schema. `#[serde(..)]` is
/// passed on, except where it would change the field's name, which is its name in DSPy.
#[proc_macro_attribute]
pub fn dspy_module(args: TokenStream, item: TokenStream) -> TokenStream {
    timing::timed(|| module::expand(args.into(), item.into()).into())
}

/// Makes an enum or a struct usable as the type of a field.
///
/// It implements `Serialize`, `Deserialize` and `JsonSchema` without the crate having to depend on serde and
/// schemars. An enum whose variants hold nothing becomes a choice of strings. Doc comments of variants and fields
/// become descriptions that the language model sees.
///
/// ```
/// use dspex::FieldType;
///
/// /// How soon somebody has to look at it.
/// #[derive(Debug, FieldType)]
/// enum Urgency {
///     /// Somebody is losing money.
///     High,
///     Low,
/// }
/// ```
///
/// The helper attributes `#[serde(..)]` and `#[schemars(..)]` work as they do with the derives of those crates.
/// `#[field(crate = ::path)]` says where the facade crate is, if it is not `::dspex`.
#[proc_macro_derive(FieldType, attributes(field, serde, schemars))]
pub fn derive_field_type(item: TokenStream) -> TokenStream {
    field_type::expand(item.into()).into()
}

/// Makes a struct a signature that several modules share.
///
/// The fields are marked and documented as with [`dspy_module`], and the doc comment is the instructions; a module's
/// own doc comment wins. `XInputs` and `XOutputs` are generated next to the struct `X`. A module whose class adds
/// outputs, such as `reasoning`, has them beside those of the signature, which its outputs dereference to.
///
/// ```
/// use dspex::{Caller, Signature, dspy_module};
///
/// /// Answer the question.
/// #[derive(Signature)]
/// #[signature(derive(Debug))]
/// struct Ask {
///     #[input]
///     question: String,
///     #[output]
///     answer: f64,
/// }
///
/// #[dspy_module("dspy.Predict", signature = Ask)]
/// struct Quick;
///
/// #[dspy_module("dspy.ChainOfThought", signature = Ask)]
/// struct Thorough;
///
/// async fn ask(caller: &impl Caller, question: &str) -> dspex::Result<()> {
///     let quick = Quick::call(caller, AskInputs { question: question.into() }).await?;
///     let thorough = Thorough::call(caller, AskInputs { question: question.into() }).await?;
///     println!("{} or {}, because {}", quick.answer, thorough.answer, thorough.reasoning);
///     Ok(())
/// }
/// ```
///
/// `#[signature(derive(..))]` puts derives on the inputs and outputs; `#[signature(crate = ::path)]` says where the
/// facade crate is, if it is not `::dspex`.
#[proc_macro_derive(Signature, attributes(signature, input, output, serde, schemars))]
pub fn derive_signature(item: TokenStream) -> TokenStream {
    signature::expand(item.into()).into()
}

/// A signature in the middle of an expression: a value with a setter for each input, and the calls `predict` and
/// `chain_of_thought` once all are set.
///
/// ```
/// use dspex::{Caller, signature};
///
/// async fn ask(caller: &impl Caller) -> dspex::Result<()> {
///     let ask = signature!("question, digits: int -> answer: float").question("What is pi?").digits(3);
///     let out = ask.chain_of_thought(caller).await?;
///     println!("{}, because {}", out.answer, out.reasoning);
///     Ok(())
/// }
/// ```
///
/// An input that may be missing, such as `note: Optional[str]`, can be left out. The values of a `Literal` are chosen
/// from those that there are, and one of several types is given as it is:
///
/// ```
/// use dspex::{Caller, signature};
///
/// async fn answer(caller: &impl Caller) -> dspex::Result<String> {
///     let ask = signature!(
///         "question, tone: Literal['calm', 'very wild'], limit: int | str, note: Optional[str] -> answer",
///         instructions = "Answer in the tone.",
///         describe(limit = "How long the answer may be.", answer = "Without a greeting.")
///     );
///     let ask = ask.question("What is pi?").tone(|tone| tone.very_wild).limit("a paragraph");
///     Ok(ask.predict(caller).await?.answer)
/// }
/// ```
///
/// `instructions` is a constant expression. `crate = ::path` says where the facade crate is, if it is not `::dspex`. An
/// input made of several choices, such as `list[int | str]`, is for [`dspy_module`], since nobody could name its types.
#[proc_macro]
pub fn signature(text: TokenStream) -> TokenStream {
    signature::expression::expand(text.into()).into()
}

/// Makes a function a tool: one that DSPy programs can call, with a schema that the language model is told.
///
/// The function stays as it was written. The doc comment says to the model what the tool does and when to use it, and has
/// to be there; those of parameters describe them. Functions that are not async run where they may block.
///
/// ```
/// use dspex::prelude::*;
/// use serde_json::json;
///
/// # struct Db;
/// # impl Db { async fn plan(&self, _: &str, _: u32) -> Option<Plan> { Some(Plan { name: "free".into() }) } }
/// #[derive(Debug, FieldType)]
/// struct Plan {
///     name: String,
/// }
///
/// /// Plan of a customer, by e-mail.
/// #[dspex_tool(timeout = "30s", read_only)]
/// async fn plan_of(
///     #[ctx] db: State<Db>,
///     /// The customer's e-mail address.
///     email: String,
///     /// How many invoices to include.
///     #[tool(default = 3, range(0..=50))]
///     invoices: u32,
///     region: Option<String>,
/// ) -> Result<Plan, ToolError> {
///     let plan = db.plan(&email, invoices).await;
///     plan.ok_or_else(|| ToolError::new(format!("no customer has the address {email}; ask for another")))
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let tools = tools![plan_of];
/// assert_eq!(tools.get("plan_of").unwrap().spec().parameters()[1].default(), Some(&json!(3)));
/// let plan = plan_of(State::new(Db), "sara@acme.io".into(), 1, None).await?;
/// # Ok(()) }
/// ```
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `name = "get-plan"` | the name that the model is told, if not the function's: letters, digits, `_`, `-`, at most 64 |
/// | `timeout = "30s"` | how long one run may take: a number with `ms`, `s`, `m` or `h` |
/// | `concurrency = 4` | how many runs there may be at once |
/// | `read_only` | it changes nothing |
/// | `stream` | it returns a stream, whose items are events of the call |
/// | `examples(plan_of(email = "a@b.c") -> answer, ..)` | calls of it, each with its answer or without |
/// | `crate = ::path` | where the facade crate is, if it is not `::dspex` |
///
/// Examples are part of what is told of the tool, and a test is generated: their arguments fit the parameters, and a tool
/// without `#[ctx]` answers as they say. The test stands beside the function, so the function should not stand in a body.
///
/// # Parameters
///
/// The type of a parameter is one that serde reads and schemars describes: numbers, `String`, `bool`, `Vec`, maps, and your
/// own types with [`FieldType`](macro@FieldType). An `Option` may be left out.
///
/// | `#[tool(..)]` | meaning |
/// |---|---|
/// | `default = expression` | what it is where it is not given, told to the model |
/// | `range(0..=50)` | the bounds of a number; either end may be open |
/// | `length(1..=80)` | the length of a text or a list |
/// | `pattern = "^[a-z]+$"` | what a text looks like |
///
/// Parameters with `#[ctx]` are none of the model's: the runtime gives them by their types. There are `ToolContext`,
/// `Session`, `Option<Session>`, `Dspex`, `CancellationToken`, `CallId` and `State<T>`.
///
/// # Answers
///
/// Anything that serde writes, `()`, a `ToolOutput`, or a `Result` with one of them under whatever name, such as
/// `anyhow::Result<T>`. An error is told to the model in the words of its `Display`; a `ToolError` says more, such as
/// whether to try again. With `stream`: an `impl Stream<Item = T> + Send`, whose items may be results, itself perhaps in a
/// `Result`.
///
/// # What is generated
///
/// A struct of the function's name, with braces so that it is no value: the tool. `plan_of {}` implements
/// `dspex::Tool`, and wherever the function is imported, the tool is too.
#[proc_macro_attribute]
pub fn dspex_tool(args: TokenStream, item: TokenStream) -> TokenStream {
    tool::expand(args.into(), item.into()).into()
}

/// Makes methods of a service tools, which share it.
///
/// Methods with [`#[dspex_tool]`](macro@dspex_tool) and `&self` are the tools; others stay as they are. The method `tools` is
/// added, which gives the set. The sets of one service hold the same tools, with the same limits.
///
/// ```
/// use std::sync::Arc;
///
/// use dspex::prelude::*;
///
/// struct Billing {
///     refunds: std::sync::Mutex<Vec<u32>>,
/// }
///
/// #[dspex_tools]
/// impl Billing {
///     /// Refunds an invoice.
///     #[dspex_tool(concurrency = 1)]
///     async fn refund(
///         &self,
///         /// The invoice's number.
///         invoice: u32,
///     ) -> bool {
///         self.refunds.lock().is_ok_and(|mut refunds| {
///             refunds.push(invoice);
///             true
///         })
///     }
/// }
///
/// let billing = Arc::new(Billing { refunds: Default::default() });
/// assert_eq!(billing.tools().len(), 1);
/// ```
///
/// `crate = ::path` says where the facade crate is, if it is not `::dspex`. An answer may borrow from the service, a stream
/// too. Examples of methods are checked against the parameters, and not run.
#[proc_macro_attribute]
pub fn dspex_tools(args: TokenStream, item: TokenStream) -> TokenStream {
    tool::expand_service(args.into(), item.into()).into()
}

/// `tools![..]` of the facade, with its path in front.
#[doc(hidden)]
#[proc_macro]
pub fn __tools(input: TokenStream) -> TokenStream {
    tool::expand_set(input.into()).into()
}
