//! From typed calls to the wire and back: instances as content-addressed specs, the run of one call, the
//! callbacks that it makes, and the errors that it ends with.

mod attempt;
mod breaker;
mod breakers;
mod call;
mod callbacks;
pub(crate) mod errors;
mod examine;
mod host;
mod poison;
mod request;
mod retry;
mod signature;
mod spec;
mod variables;

pub use breaker::CircuitBreaker;
pub(crate) use call::{Bridge, far_from_now};
pub(crate) use host::{HostFunctions, ToolDocument};
pub(crate) use request::{Request, Target};
pub(crate) use signature::signature_of;
pub(crate) use spec::Spec;
