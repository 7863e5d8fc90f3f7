//! The procedural macros of dspex. Use them through the facade crate `dspex`, which the generated code refers to.
//!
//! Each macro goes the same way: its input is parsed into a small model that keeps the spans, the model is checked
//! with all errors collected, and what passed is expanded, which cannot fail. On an error the item itself is
//! emitted again next to the errors, with stand-ins for what would have been generated, so that an editor keeps
//! understanding the rest of the file.

mod context;
mod docs;
mod fallback;
mod field_type;
mod index;
mod module;
mod prelude;
mod timing;
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
/// | `keyword = literal` | a keyword of the class's constructor: a number, boolean, string or array |
/// | `crate = ::path` | where the facade crate is, if it is not `::dspex` |
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
