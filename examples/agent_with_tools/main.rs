//! An agent of the real DSPy that works with functions of this program.
//!
//! ```sh
//! cargo run --example agent_with_tools          # no key: a stand-in model follows a plan
//! DSPEX_LM=openai/gpt-4o-mini OPENAI_API_KEY=.. cargo run --example agent_with_tools
//! ```
//!
//! * `crm.rs` holds the tools: three functions, and a service of two methods, over the records in `data/crm.json`.
//! * `clerk.rs` is the agent: what it is asked, what it answers, and what happens meanwhile.
//! * `stand_in.rs` is the model that needs no key. It takes its arguments and its answer from what the tools told it.

mod clerk;
mod crm;
mod stand_in;

use std::sync::Arc;

use dspex::prelude::*;

const REQUEST: &str =
    "Today is 2026-11-20. Remind our Team customers in Europe of all that is overdue, in a Friendly tone.";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let lm = Lm::from_env().unwrap_or_else(|| {
        println!("(no DSPEX_LM set: a stand-in model in Rust follows a plan)\n");
        Lm::host(stand_in::Planner)
    });
    let dspex = Dspex::builder().lm(lm).state(crm::Crm::load()?).start().await?;
    let billing = Arc::new(crm::Billing::default());

    println!("{REQUEST}\n");
    let outcome = clerk::work(&dspex, &billing, REQUEST).await?;

    println!();
    for reminder in &outcome.reminders {
        println!("{}: {:.2} for {}", reminder.company, reminder.amount, reminder.invoices.join(", "));
    }
    println!("total: {:.2}, left out: {}", outcome.total, outcome.left_out.join(", "));
    println!("{}\n", outcome.summary);
    billing.sent().iter().for_each(|letter| println!("sent: {letter}"));
    Ok(())
}
