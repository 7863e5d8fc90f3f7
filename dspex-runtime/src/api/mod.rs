//! The public API: [`Dspex`], sessions, typed modules and instances, and the untyped door to DSPy.
//!
//! Generated code calls only this layer.

pub mod bindings;
mod builder;
mod call_settings;
mod caller;
mod dspex;
mod dspy;
mod events;
mod health;
mod instance;
pub mod literal;
mod module;
mod pool_options;
mod prediction;
mod predictor;
mod session;
mod signals;
mod signature;
mod status;
mod steering;
mod tools;

pub use builder::DspexBuilder;
pub(crate) use caller::CallContext;
pub use caller::Caller;
pub use dspex::Dspex;
pub use dspy::{Availability, Dspy, DynInstance, InstanceSpec};
pub(crate) use events::CallEvents;
pub use events::{CallEvent, CallStream};
pub use health::{Health, Verdict};
pub use instance::{Instance, Run};
pub use module::{Definition, FieldType, IntoAnswer, Module, call, call_method, create};
pub use pool_options::PoolOptions;
pub use prediction::{Prediction, TokenUsage};
pub use predictor::{ChainOfThought, Predict, Reasoned};
pub use session::{
    Adapter, Deleted, InstanceInfo, Instances, Session, SessionConfig, SessionFilter, SessionId, SessionInfo,
    SessionStats, Sessions,
};
pub use signals::ShutdownSignal;
pub use signature::{Both, IntoOptional, ReasoningIsFree, Signature, SignatureDefinition, contains};
pub use status::{
    DspexStatus, EndStatus, ModelStatus, PoolState, PoolStatus, StoreStatus, WorkerState, WorkerStatus,
};
pub use steering::Binding;
pub(crate) use tools::SessionTools;
pub use tools::{ToolInfo, ToolLanguage, ToolRegistration, Tools};
