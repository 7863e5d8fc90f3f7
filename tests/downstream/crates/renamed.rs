//! Depends on dspex alone, under another name.
#![deny(warnings, missing_docs)]

use renamed::{FieldType, Module, Signature, ToolSet, dspex_tool, dspex_tools, dspy_module, signature, tools};

/// How soon.
#[derive(Debug, Clone, FieldType)]
#[field(crate = ::renamed)]
pub enum Urgency {
    /// Now.
    High,
    /// Some day.
    Low,
}

/// Triage a support ticket.
#[dspy_module("dspy.ChainOfThought", crate = ::renamed, temperature = 0.2)]
#[derive(Debug, Clone)]
pub struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    /// How soon.
    #[output]
    urgency: Urgency,
}

/// A signature to share.
#[derive(Signature)]
#[signature(crate = "::renamed", derive(Debug, Clone))]
pub struct Shared {
    /// What the customer wrote.
    #[input]
    ticket: String,
    /// How soon.
    #[output]
    r#type: Urgency,
}

/// Shares it.
#[dspy_module("dspy.ChainOfThought", signature = Shared, crate = ::renamed)]
pub struct Sharing;

/// A signature as text, with types of its own.
#[dspy_module(
    "dspy.Predict",
    crate = ::renamed,
    signature = "mood: Literal['calm', 'wild'], value: int | str, urgency: Urgency -> image: dspy.Image, any: Any"
)]
pub struct Text;

/// Asks in passing.
///
/// # Errors
/// Those of the call.
pub async fn ask(caller: &impl renamed::Caller) -> renamed::Result<String> {
    let asking = signature!(
        "mood: Literal['calm', 'wild'], value: int | str, note: str | None -> type",
        crate = ::renamed,
        describe(r#type = "The type.")
    );
    Ok(asking.mood(|mood| mood.wild).value(3).predict(caller).await?.r#type)
}

/// The facade through a path of this crate.
pub mod nested {
    pub use renamed as facade;

    /// Asks.
    #[facade::dspy_module("dspy.Predict", crate = crate::nested::facade)]
    pub struct Ask {
        /// The question.
        #[input]
        question: String,
        /// The answer.
        #[output]
        answer: Option<Vec<String>>,
    }
}

/// Adds.
#[dspex_tool(crate = ::renamed, examples(add(left = 1) -> 4))]
#[must_use]
pub fn add(left: u32, #[tool(default = 3, range(1..))] right: u32, urgency: Option<Urgency>) -> u32 {
    let _ = urgency;
    left + right
}

/// A service.
pub struct Service;

#[dspex_tools(crate = ::renamed)]
impl Service {
    /// Subtracts.
    #[dspex_tool(timeout = "1s")]
    pub async fn subtract(&self, left: u32, right: u32) -> Result<u32, renamed::ToolError> {
        left.checked_sub(right).ok_or_else(|| renamed::ToolError::new("right is larger"))
    }
}

/// An agent.
#[dspy_module("dspy.ReAct", signature = "question -> answer", tools(add), crate = ::renamed)]
pub struct Agent;

/// The tools.
#[must_use]
pub fn all() -> (ToolSet, ToolSet) {
    (tools![add], std::sync::Arc::new(Service).tools())
}

/// The name of a module.
#[must_use]
pub fn name() -> &'static str {
    Triage::definition().name
}

/// Uses everything.
///
/// # Errors
/// Those of the call.
pub async fn triage(session: &renamed::Session) -> renamed::Result<String> {
    let out = Triage::call(session, TriageInputs { ticket: String::new() }).await?;
    Ok(format!("{:?}, {}", out.urgency, out.reasoning))
}
