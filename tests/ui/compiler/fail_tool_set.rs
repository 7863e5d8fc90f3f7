//! Two tools of one name.

use dspex::{dspex_tool, tools};

/// Looks things up.
#[dspex_tool]
fn lookup() {}

/// Looks other things up.
#[dspex_tool(name = "lookup")]
fn other() {}

fn main() {
    let _ = tools![lookup, other];
}
