//! `schema-gen signature`: resolved by the worker's own parser, as a spec's signature would be.

use std::process::ExitCode;

use clap::Args;
use dspex_runtime::{Dspex, Error};
use serde_json::{Value, json};

use super::{Failure, block_on, output};

/// What to resolve.
#[derive(Args)]
pub struct Options {
    /// The signature, such as "question, k: int -> answer: float".
    text: String,
    /// Print the whole resolution as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode, Failure> {
    let resolved = match block_on(resolve(&options.text))? {
        Ok(resolved) => resolved,
        Err(error) => return Err(explain(&options.text, error)),
    };
    if options.json {
        output::print_json(&resolved)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut rows = Vec::new();
    for side in ["inputs", "outputs"] {
        for field in resolved[side].as_array().into_iter().flatten() {
            let optional =
                if field["required"] == json!(true) || side == "outputs" { "" } else { "optional" };
            rows.push(vec![
                side.trim_end_matches('s').to_owned(),
                text(field, "name"),
                text(field, "type"),
                optional.to_owned(),
                field["schema"].to_string(),
            ]);
        }
    }
    let lines = output::columns(&rows).into_iter().map(|row| row.join("  ") + "\n").collect::<String>();
    output::print(&format!("{lines}\n{}\n", text(&resolved, "instructions")))?;
    Ok(ExitCode::SUCCESS)
}

async fn resolve(text: &str) -> Result<Value, Error> {
    let dspex = Dspex::builder().workers(1).start().await?;
    dspex.dspy().resolve_signature(&json!({"text": text})).await
}

/// The error with the signature below it and a caret under the place.
fn explain(text: &str, error: Error) -> Failure {
    let message = Failure::from(error).to_string();
    let position = message.split_once("(at character ").and_then(|(_, rest)| rest.split_once(')'));
    let Some(position) = position.and_then(|(number, _)| number.parse::<usize>().ok()) else {
        return Failure::new(message);
    };
    Failure::new(format!("{message}\n  {text}\n  {:>position$}", '^'))
}
