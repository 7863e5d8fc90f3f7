//! Parameters.

#![allow(unused_variables, dead_code)]

use dspex::{CallId, CancellationToken, Dspex, Session, State, ToolContext, dspex_tool};

/// Not marked.
#[dspex_tool]
fn unmarked(
    context: ToolContext,
    session: Session,
    optional: Option<dspex::Session>,
    token: CancellationToken,
    state: State<u8>,
    call: CallId,
    dspex: Dspex,
) {
}

/// Marked too much.
#[dspex_tool]
fn marked(
    #[ctx(all)] context: ToolContext,
    #[ctx]
    #[tool(default = 3)]
    number: State<u8>,
    #[ctx] session: &Session,
) {
}

/// Options.
#[dspex_tool]
fn options(
    #[tool] bare: u8,
    #[tool(defualt = 3)] misspelt: u8,
    #[tool(default = 3, default = 4)] twice: u8,
    #[tool(default = None)] optional: Option<u8>,
    #[tool(default)] without: u8,
    #[tool(name = "other")] renamed: u8,
) {
}

/// Bounds.
#[dspex_tool]
fn bounds(
    #[tool(range(5..=1))] reversed: u8,
    #[tool(range(3..3))] empty: u8,
    #[tool(range(..))] all: u8,
    #[tool(range(5))] number: u8,
    #[tool(range = 5)] value: u8,
    #[tool(default = 51, range(0..=50))] outside: u8,
    #[tool(default = 1.0, range(0.0..1.0))] at_the_end: f64,
    #[tool(length(-1..))] negative: String,
    #[tool(length(1..))] of_a_number: u8,
    #[tool(pattern = "a")] of_a_flag: Option<bool>,
    #[tool(pattern = 3)] no_pattern: String,
) {
}

fn main() {}
