//! A session whose variables steer a DSPy module, and which is there again after a restart: no key, no network.
//!
//! ```sh
//! cargo run --example sessions
//! ```

use std::time::Duration;

use dspex::prelude::*;
use dspex::state::{Event, Filter, VarSpec};
use dspex::testing::StandInLm;
use futures::StreamExt;

/// Triage a support ticket.
#[dspy_module("dspy.Predict")]
struct Triage {
    /// What the customer wrote.
    #[input]
    ticket: String,
    /// How soon somebody has to look at it.
    #[output]
    urgency: Urgency,
}

#[derive(FieldType, Debug)]
enum Urgency {
    Low,
    Medium,
    High,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("state.db");
    first(&file).await?;
    second(&file).await?;
    Ok(())
}

/// Makes the session, and ends the program's dspex.
async fn first(file: &std::path::Path) -> dspex::Result<()> {
    let dspex = Dspex::builder().durable(file).lm(Lm::host(StandInLm::new())).start().await?;
    let config = SessionConfig::new().ttl(Duration::from_secs(7200)).metadata("project", "triage");
    let session = dspex.sessions().create("tenant-7", config).await?;
    let variables = session.variables();
    let made = variables.create("temperature", VarSpec::float().range(0.0..=2.0), 0.7).await?;

    let triage = Triage::create(&session).await?;
    triage.bind("temperature").await?;
    triage.keep("triage").await?;

    let mut changes = variables.watch(Filter::glob("temp*")).await?;
    variables.update("temperature", 0.2).if_version(made.version).await?;
    if let Some(Event::Changed(change)) = changes.next().await.transpose()? {
        println!("{} is {:?} since revision {}", change.name, change.value, change.revision);
    }
    // Somebody who read it before may not overwrite it.
    if let Err(error) = variables.update("temperature", 0.9).if_version(made.version).await {
        println!("refused: {error}");
    }
    if let Err(error) = variables.update("temperature", 7.0).await {
        println!("refused: {error}");
    }
    dspex.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Finds everything again.
async fn second(file: &std::path::Path) -> dspex::Result<()> {
    let dspex = Dspex::builder().durable(file).lm(Lm::host(StandInLm::new())).start().await?;
    let session = dspex.sessions().get("tenant-7").await?;
    println!("after a restart: {:?}", session.info().await?.metadata);
    println!("the temperature is {}", session.variables().read::<f64>("temperature").await?.value);
    let triage = session.instances().open::<Triage>("triage").await?;
    let out =
        triage.execute(TriageInputs { ticket: "The checkout is down, this is urgent: High!".into() }).await?;
    println!("the stand-in model says {:?}", out.urgency);
    dspex.sessions().delete("tenant-7").await?;
    dspex.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
