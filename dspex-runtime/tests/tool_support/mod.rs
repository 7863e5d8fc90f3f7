//! Arguments of tools as programs and servers declare them, with values that fit their schemas and values that do not.

#![allow(dead_code, unused_imports, reason = "each test uses its part")]

mod served;
mod structs;
mod written;

use std::sync::LazyLock;

use dspex_runtime::tool::{ToolArguments, ToolSpec};
use serde_json::Value;
pub use structs::*;

/// What a tool takes, and values to hold against it.
pub struct Case {
    pub spec: ToolSpec,
    pub fitting: Vec<Value>,
    pub unfit: Vec<Value>,
    /// Whether serde reads these arguments as the struct.
    pub reads: fn(ToolArguments) -> bool,
}

/// All of them, built once.
pub fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> =
        LazyLock::new(|| written::cases().into_iter().chain(served::cases()).collect());
    &CASES
}
