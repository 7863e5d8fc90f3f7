//! The runtime of dspex: Python's DSPy in a supervised pool of workers, behind a typed Rust API.
//!
//! Most programs use the facade crate `dspex`, which adds the macros. The layers, each of which calls only the one
//! below it:
//!
//! * `api`: what a program uses ([`Dspex`], [`Session`], [`Instance`], ..),
//! * `bridge`: typed calls to messages and back,
//! * [`pool`]: processes, places, carriers, the Python environment.

mod api;
mod bridge;
mod error;
mod functions;
pub mod lm;
mod panics;
pub mod pool;
mod proto;
mod telemetry;
pub mod testing;
pub mod tool;
pub mod types;
pub mod wire;

pub use api::bindings;
pub use api::{
    Adapter, Availability, Binding, CallEvent, CallStream, Caller, Deleted, Dspex, DspexBuilder, DspexStatus,
    Dspy, DynInstance, EndStatus, FieldType, Health, Instance, InstanceInfo, InstanceSpec, Instances,
    ModelStatus, Module, PoolOptions, PoolState, PoolStatus, Prediction, Reasoned, Run, Session,
    SessionConfig, SessionFilter, SessionId, SessionInfo, SessionStats, Sessions, ShutdownSignal, Signature,
    StoreStatus, TokenUsage, ToolInfo, ToolLanguage, ToolRegistration, Tools, Verdict, WorkerState,
    WorkerStatus,
};
pub use bridge::CircuitBreaker;
pub use dspex_state as state;
pub use error::{Error, Phase, Problem, Problems, PyError, PyFrame, Result};
pub use functions::{Embedder, Gold, Judged, Metric, Reward, Score};
pub use lm::{LanguageModel, Lm, LmError, LmRequest, LmResponse};
#[cfg(feature = "tls")]
pub use pool::ClientTls;
pub use pool::{
    Carrier, Endpoint, Load, PoolChange, PoolError, PoolEvent, Retirement, WorkerEnd, WorkerId, WorkerLimits,
};
pub use telemetry::{BreakerState, InvalidTraceContext, TraceContext};
pub use tokio_util::sync::CancellationToken;
pub use tool::{CallId, FromToolContext, State, Tool, ToolContext, ToolError, ToolOutput, ToolSet};

/// What generated code uses. Not part of the public API.
#[doc(hidden)]
pub mod __private {
    pub use crate::api::{
        Both, ChainOfThought, Definition, IntoAnswer, IntoOptional, Predict, Reasoned, ReasoningIsFree,
        SignatureDefinition, call, call_method, contains, create, literal,
    };
    pub use crate::tool::private as tool;
    pub use {schemars, serde, serde_json};
}
