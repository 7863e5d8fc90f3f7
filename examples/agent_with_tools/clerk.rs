//! The agent: what it is asked, what it answers, and what happens meanwhile.

use std::sync::Arc;

use dspex::CallEvent;
use dspex::bindings::SignatureSpec;
use dspex::prelude::*;

use super::crm::{Billing, find_customers, overdue_invoices, ticket};

/// What one customer was reminded of.
#[derive(FieldType, Debug, Clone, PartialEq)]
pub struct Reminder {
    /// The company's name.
    pub company: String,
    /// The numbers of the invoices.
    pub invoices: Vec<String>,
    /// What they come to.
    pub amount: f64,
}

/// Do what the accountant asks for. Leave out invoices that are disputed.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
pub struct Clerk {
    #[input]
    request: String,
    #[output]
    reminders: Vec<Reminder>,
    /// The sum of all reminders.
    #[output]
    total: f64,
    /// Overdue invoices that nobody was reminded of.
    #[output]
    left_out: Vec<String>,
    /// One sentence for the accountant.
    #[output]
    summary: String,
}

/// Lets the agent work, and tells what it does.
pub async fn work(dspex: &Dspex, billing: &Arc<Billing>, request: &str) -> dspex::Result<ClerkOutputs> {
    // Functions alone could stand in the attribute: `#[dspy_module("dspy.ReAct", tools(..))]`. A service exists only now.
    let tools = tools![find_customers, overdue_invoices, ticket].and(billing.tools());
    let signature = SignatureSpec::of::<Clerk>()?;
    let session = dspex.session();
    let agent = dspex.react(signature).arg("max_iters", 10).tools(tools).create(&session).await?;

    let mut events = agent.execute::<ClerkOutputs>(ClerkInputs { request: request.into() }).stream();
    let mut outcome = None;
    while let Some(event) = events.try_next().await? {
        match event {
            CallEvent::ToolStart { tool, arguments, .. } => println!("{tool}({arguments})"),
            CallEvent::ToolEnd { result: Ok(result), .. } => {
                println!("  -> {}", shortened(&result.to_string()))
            }
            // The agent reads it as well, and acts on it.
            CallEvent::ToolEnd { result: Err(error), .. } => println!("  -> error: {error}"),
            CallEvent::Done(prediction) => outcome = Some(prediction.into_outputs()),
            _ => {}
        }
    }
    outcome.ok_or_else(|| Error::Cancelled("its events ended without an answer".to_owned()))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{} ..", &text[..end]),
        None => text.to_owned(),
    }
}
