//! Language models: what a call is sent to, and how a model is written in Rust.
//!
//! Two kinds share one handle, [`Lm`]:
//!
//! * [`Lm::new`] names a provider's model, which DSPy's own client calls from the worker;
//! * [`Lm::host`] takes anything that implements [`LanguageModel`], and every request of DSPy comes back to it.
//!
//! [`LmRequest`] and [`LmResponse`] are DSPy's own canonical forms: their JSON is what `dspy._vendor.lm15.serde`
//! reads and writes, part for part. [`LmError`] is DSPy's tree of language-model errors.

mod error;
mod handle;
mod message;
mod model;
mod request;
mod response;
mod spec;
mod stored;

pub use error::{LmError, LmErrorDetails, LmErrorWire};
pub use handle::Lm;
pub use message::{
    CitationPart, DataPart, MediaPart, Message, Part, RefusalPart, Role, TextPart, ThinkingPart, ToolCall,
    ToolResult,
};
pub use model::{Capabilities, ErasedLanguageModel, LanguageModel, LmFn, lm_fn};
pub use request::{
    BuiltinTool, FunctionTool, LmConfig, LmRequest, Reasoning, SystemText, ToolChoice, ToolSpec,
};
pub use response::{FinishReason, LmResponse, Usage};
pub use secrecy::SecretString;
pub use spec::LmSpecDoc;
pub(crate) use stored::StoredLm;
