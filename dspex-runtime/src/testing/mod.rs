//! Language models for tests, examples and measurements. None of them needs a key or a network.
//!
//! * [`ScriptedLm`] answers what the test wrote, in the format that DSPy asks for at the moment, and records requests.
//! * [`StandInLm`] answers *any* signature plausibly: it reads DSPy's own prompt for the fields and their types. It
//!   calls itself `dspex/stand-in`; its answers show that a program works, never how good it is.
//! * [`InstantLm`] answers one text at once, [`EchoLm`] repeats the prompt, [`DelayedLm`] makes another model slow.

mod hint;
mod pattern;
mod prompt;
mod python;
mod render;
mod scripted;
mod simple;
mod stand_in;
mod tools;
mod value;
mod words;

pub use scripted::{ScriptedAnswer, ScriptedLm};
pub use simple::{DelayedLm, EchoLm, InstantLm};
pub use stand_in::StandInLm;
