//! The pool: Python worker processes and the environment they run in.
pub mod env;
