//! Services.

#![allow(unused_variables, dead_code)]

use std::sync::Arc;

use dspex::{dspex_tool, dspex_tools};

struct Empty;

#[dspex_tools]
impl Empty {
    fn method(&self) {}
}

#[dspex_tools]
struct NoBlock;

struct Receivers;

#[dspex_tools]
impl Receivers {
    /// None.
    #[dspex_tool]
    fn none(x: u8) {}

    /// Exclusive.
    #[dspex_tool]
    fn exclusive(&mut self) {}

    /// By value.
    #[dspex_tool]
    fn value(self) {}

    /// In a pointer.
    #[dspex_tool]
    fn pointer(self: Arc<Self>) {}
}

struct Names;

#[dspex_tools]
impl Names {
    /// One.
    #[dspex_tool(name = "same")]
    fn one(&self) {}

    /// Two.
    #[dspex_tool]
    fn same(&self) {}

    /// Three.
    #[dspex_tool(name = "same")]
    fn three(&self) {}

    #[dspex_tool(crate = ::dspex)]
    fn undescribed(&self) {}

    fn tools(&self) {}
}

struct Generic<T>(T);

#[dspex_tools]
impl<T> Generic<T> {
    /// A method.
    #[dspex_tool]
    fn method(&self) {}
}

#[dspex_tools]
impl Default for Empty {
    /// A function.
    #[dspex_tool]
    fn default() -> Self {
        Self
    }
}

#[dspex_tools(all)]
impl NoBlock {
    /// A method.
    #[dspex_tool = "a"]
    fn method(&self) {}
}

fn main() {
    let _ = Arc::new(Receivers).tools();
}
