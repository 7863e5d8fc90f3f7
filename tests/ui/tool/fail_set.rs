//! Sets.

#![allow(unused_variables, dead_code)]

use dspex::{dspex_tool, tools};

/// Looks things up.
#[dspex_tool]
fn lookup() {}

fn main() {
    let _ = tools![];
    let _ = tools![lookup, lookup];
    let _ = tools!["lookup"];
    let _ = tools![lookup()];
}
