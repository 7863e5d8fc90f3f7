//! Functions that cannot be tools.

#![allow(unused_variables, dead_code)]

use dspex::{dspex_tool, tools};

#[dspex_tool]
fn undescribed() {}

///
#[dspex_tool]
fn blank() {}

/// Has a description.
#[dspex_tool]
struct Item;

/// Has a description.
#[dspex_tool]
impl Item {}

/// Generic.
#[dspex_tool]
fn generic<T>(value: T) {}

/// With a lifetime.
#[dspex_tool]
fn lifetime<'a>(value: &'a str) {}

/// With a clause.
#[dspex_tool]
fn clause() where u8: Copy {}

/// With an unnamed type.
#[dspex_tool]
fn unnamed(value: impl Into<String>) {}

/// Unsafe.
#[dspex_tool]
unsafe fn not_safe() {}

/// Foreign.
#[dspex_tool]
extern "C" fn foreign() {}

/// Constant.
#[dspex_tool]
const fn constant() {}

/// A type already.
#[dspex_tool]
fn u8() {}

/// With a pattern.
#[dspex_tool]
fn pattern((a, b): (u8, u8), _: u8, ref c: u8) {}

/// References.
#[dspex_tool]
async fn references(text: &str, list: Vec<&'static [u8]>, boxed: Box<dyn Send>, lent: std::borrow::Cow<'_, str>) {}

/// Not ASCII.
#[dspex_tool]
fn größe() {}

/// A condition.
#[dspex_tool]
fn condition(#[cfg(unix)] value: u8) {}

struct Service;

impl Service {
    /// A method alone.
    #[dspex_tool]
    fn method(&self) {}
}

fn main() {
    // No further errors about what has one already.
    let _ = tools![undescribed, generic, pattern];
    blank();
}
