//! What generated bindings are made of: specs under construction, bound instances, calls, and the values that only
//! they need.
//!
//! `schema_gen::configure()..compile()` in a build script and `dspex::include_bindings!()` make one type per class of DSPy (or
//! of your own Python modules) out of these. Such a type is a *draft* of an instance; `create` has a worker build it.

mod args;
mod bound;
mod call;
mod callables;
mod draft;
mod values;

pub(crate) use args::{Args, Part};
pub use bound::Bound;
pub use call::Call;
pub use callables::{AgentTools, Callable, IntoTools};
pub use draft::Draft;
pub use values::{Example, ModuleSpec, SignatureSpec, Unavailable};

// Generated code may stand where there is no prelude.
#[doc(hidden)]
pub use core::convert::{From, Into};
#[doc(hidden)]
pub use core::future::IntoFuture;
#[doc(hidden)]
pub use core::iter::IntoIterator;
#[doc(hidden)]
pub use core::marker::Send;
#[doc(hidden)]
pub use serde::{Serialize, de::DeserializeOwned};
#[doc(hidden)]
pub use serde_json::Value;
#[doc(hidden)]
pub use std::string::String;

#[doc(hidden)]
pub use super::module::call as call_module;
#[doc(hidden)]
pub use super::{Caller, Definition, Module, Prediction, Session};
#[doc(hidden)]
pub use crate::error::Result;
#[doc(hidden)]
pub use crate::functions::{Embedder, Metric, Reward};

/// The future of a call.
pub type CallFuture<R> =
    core::pin::Pin<Box<dyn core::future::Future<Output = Result<R>> + core::marker::Send>>;
