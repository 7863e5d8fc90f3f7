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

/// Who takes care of it.
#[derive(FieldType, Debug, Clone, Copy, PartialEq, Eq)]
enum Team {
    Billing,
    Checkout,
    Product,
}

/// What the ticket is about.
#[derive(FieldType, Debug)]
struct Topic {
    /// The team that takes care of it, if one is obvious.
    team: Option<Team>,
    /// A short title.
    title: String,
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
    /// A team besides the topic's own that should know, if any.
    #[output]
    inform: Option<Team>,
    #[output]
    topic: Topic,
}

/// Summarise a support ticket in one sentence.
#[dspy_module("dspy.Predict")]
#[derive(Debug)]
struct Summarise {
    #[input]
    ticket: String,
    #[input]
    urgency: Urgency,
    #[output]
    summary: String,
}

const TICKETS: [&str; 2] = [
    "The checkout fails since this morning and we lose orders. Urgency is High! Sara, ACME webshop",
    "Could you add a dark mode to the product some day? Low priority.",
];

fn name(team: Option<Team>) -> String {
    team.map_or("nobody".to_owned(), |team| format!("{team:?}"))
}

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
        println!("topic:      {} (team: {})", out.topic.title, name(out.topic.team));
        println!("inform:     {}", name(out.inform));
        println!("because:    {}\n", out.reasoning);
    }

    // In a session: one instance, many calls.
    let session = dspex.session();
    let summarise = Summarise::create(&session).await?;
    let prediction =
        summarise.run(SummariseInputs { ticket: TICKETS[0].into(), urgency: Urgency::High }).await?;
    println!("summary:    {}", prediction.summary);
    println!("tokens:     {}", prediction.usage().total_tokens());
    Ok(())
}
