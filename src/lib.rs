//! Python's DSPy, the real one, as a typed and supervised part of Rust programs.
//!
//! * **Typed at compile time.** [`#[dspy_module]`](dspy_module) turns a struct into a DSPy module with typed inputs
//!   and outputs. A class, keyword or field that DSPy would reject is a compile error. No Python is needed to build.
//! * **Supervised at run time.** DSPy runs in a pool of Python worker processes that start in milliseconds, are
//!   cancelled for real, are replaced when they die, and never outlive the program.
//! * **The program stays in charge.** Language models can be Rust functions; sessions, instances and keys live in Rust.
//!
//! ```no_run
//! use dspex::prelude::*;
//!
//! #[derive(FieldType, Debug)]
//! enum Urgency {
//!     Low,
//!     High,
//! }
//!
//! /// Triage a support ticket.
//! #[dspy_module("dspy.ChainOfThought")]
//! struct Triage {
//!     /// What the customer wrote.
//!     #[input]
//!     ticket: String,
//!     #[output]
//!     urgency: Urgency,
//!     #[output]
//!     tags: Vec<String>,
//! }
//!
//! # async fn run() -> dspex::Result<()> {
//! let dspex = Dspex::builder().lm(Lm::new("openai/gpt-4o-mini")).start().await?;
//! let out = Triage::call(&dspex, TriageInputs { ticket: "The checkout is down".into() }).await?;
//! println!("{:?} {:?} because {}", out.urgency, out.tags, out.reasoning);
//! # Ok(()) }
//! ```

pub use dspex_macros::{FieldType, Signature, dspex_tool, dspex_tools, dspy_module, signature};
pub use dspex_runtime::*;

#[cfg(feature = "mcp")]
pub use dspex_mcp as mcp;

#[doc(hidden)]
pub use dspex_macros::__tools;
#[doc(hidden)]
pub use dspex_runtime::__private;

/// Puts the bindings of the crate's build script here: a module `dspy`, and one for each of your own Python packages.
///
/// ```toml
/// [build-dependencies]
/// schema-gen = "0.1"
/// ```
///
/// ```ignore
/// // build.rs
/// fn main() -> Result<(), schema_gen::Error> {
///     schema_gen::configure().compile()
/// }
///
/// // lib.rs
/// dspex::include_bindings!();
///
/// let session = dspex.session();
/// let answer = dspy::ChainOfThought::new("question -> answer").create(&session).await?;
/// let out = answer.execute(serde_json::json!({"question": "What is 6 times 7?"})).await?;
/// ```
///
/// A file other than the default, given to `out_file`, is included with Rust's own `include!`.
#[macro_export]
macro_rules! include_bindings {
    () => {
        ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/dspex/dspy.rs"));
    };
}

/// Several tools in order, as a [`ToolSet`]: functions with [`#[dspex_tool]`](dspex_tool), by their paths.
///
/// ```
/// use dspex::{dspex_tool, tools};
///
/// /// Plan of a customer, by e-mail.
/// #[dspex_tool]
/// async fn plan_of(email: String) -> String {
///     format!("the plan of {email}")
/// }
///
/// mod billing {
///     /// Refund an invoice.
///     #[dspex::dspex_tool]
///     pub fn refund(invoice: u32) -> bool {
///         invoice > 0
///     }
/// }
///
/// let tools = tools![plan_of, billing::refund];
/// assert_eq!(tools.len(), 2);
/// ```
///
/// No tool at all, one that is there twice, and two of one name are compile errors. Tools of a service come from its
/// method `tools()`, which [`#[dspex_tools]`](dspex_tools) writes; put both together with [`ToolSet::and`].
#[macro_export]
macro_rules! tools {
    ($($tools:tt)*) => {
        $crate::__tools!(($crate) $($tools)*)
    };
}

/// What most programs need: `use dspex::prelude::*;`.
pub mod prelude {
    pub use crate::tools;
    pub use dspex_macros::{FieldType, Signature, dspex_tool, dspex_tools, dspy_module, signature};
    pub use dspex_runtime::{
        Adapter, Binding, Caller, CancellationToken, Dspex, Error, FieldType, Instance, InstanceSpec,
        LanguageModel, Lm, LmError, LmRequest, LmResponse, Module, Prediction, Session, SessionConfig,
        Signature, State, Tool, ToolContext, ToolError, ToolSet,
    };
}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the page on calls compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/calls.md")]
struct Calls;
