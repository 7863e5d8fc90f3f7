//! The bindings of a team's own Python modules, as a crate with the strictest lints and no prelude has them.

#![deny(warnings, missing_docs, missing_debug_implementations, rustdoc::all)]
#![no_implicit_prelude]

::dspex::include_bindings!();
