//! All errors of an item are reported at once, and code that uses the item is not reported.

use dspex::dspy_module;

#[dspy_module("dspy.ChainOfThougt", temperature = 5u8, crate = dspex)]
pub struct Triage {
    #[input]
    demos: String,
    #[input]
    #[output]
    ticket: String,
    #[output]
    tags: Vec<&'static str>,
}

pub async fn triage(session: &dspex::Session) -> dspex::Result<String> {
    let inputs = TriageInputs { demos: String::new(), ticket: String::new() };
    let outputs: TriageOutputs = Triage::call(session, inputs).await?;
    let _ = Triage::create(session).await?;
    let _ = Triage { demos: String::new(), ticket: String::new(), tags: Vec::new() };
    Ok(outputs.ticket + &outputs.reasoning)
}

fn main() {}
