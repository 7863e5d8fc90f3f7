//! Typed answers from the real DSPy.
//!
//! `cargo run --example quickstart` needs no key: a stand-in model, written in Rust and labelled as such, answers.
//! `DSPEX_LM=openai/gpt-4o-mini OPENAI_API_KEY=.. cargo run --example quickstart` is the same with a real model.
//!
//! The first run provides a Python environment (about 80 packages with locked hashes); later ones start in a second.

use dspex::prelude::*;
use dspex::testing::StandInLm;

/// How soon somebody has to act.
#[derive(FieldType, Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    Low,
    Medium,
    High,
}

/// Who wrote.
#[derive(FieldType, Debug)]
struct Customer {
    /// The name, if the ticket has one.
    name: Option<String>,
    /// The product that the ticket is about.
    product: String,
}

/// Triage a support ticket.
#[dspy_module("dspy.ChainOfThought")]
#[derive(Debug)]
struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    #[output]
    urgency: Urgency,
    /// Short key words, for search.
    #[output]
    tags: Vec<String>,
    /// How sure you are, from 0 to 1.
    #[output]
    #[schemars(range(min = 0.0, max = 1.0))]
    confidence: f64,
    /// The order number, if the ticket names one.
    #[output]
    order: Option<String>,
    #[output]
    customer: Customer,
}

/// Write a friendly first answer to a support ticket.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Reply {
    #[input]
    ticket: String,
    #[input]
    urgency: Urgency,
    /// At most three sentences.
    #[output]
    answer: String,
}

const TICKETS: [&str; 2] = [
    "Our checkout returns error 500 since 9:00 and orders are lost. Order A-1042 is urgent! Sara, ACME webshop",
    "Could you add a dark mode to the invoice app some day? Low priority.",
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let lm = Lm::from_env().unwrap_or_else(|| {
        println!(
            "(no DSPEX_LM set: a stand-in model in Rust answers; its answers are plausible, not clever)\n"
        );
        Lm::host(StandInLm::new())
    });
    let dspex = Dspex::builder().lm(lm).workers(2).start().await?;

    // Without a session: build, call, forget.
    for ticket in TICKETS {
        let out = Triage::call(&dspex, TriageInputs { ticket: ticket.into() }).await?;
        println!("ticket:     {ticket}");
        println!("urgency:    {:?} (confidence {:.2})", out.urgency, out.confidence);
        println!("tags:       {}", out.tags.join(", "));
        println!("order:      {}", out.order.as_deref().unwrap_or("none"));
        println!(
            "customer:   {} / {}",
            out.customer.name.as_deref().unwrap_or("unknown"),
            out.customer.product
        );
        println!("because:    {}\n", out.reasoning);
    }

    // In a session: one instance, many calls.
    let session = dspex.session();
    let reply = Reply::create(&session).await?;
    let prediction = reply.run(ReplyInputs { ticket: TICKETS[0].into(), urgency: Urgency::High }).await?;
    println!("reply:      {}", prediction.answer);
    println!("tokens:     {}", prediction.usage().total_tokens());
    Ok(())
}
