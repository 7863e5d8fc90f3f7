//! The state of dspex's sessions: typed variables with constraints, watches, and the stores that keep them.

#[cfg(feature = "conformance")]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a case that does not hold says where"
)]
pub mod conformance;
#[cfg(feature = "postgres")]
pub mod postgres;
mod record;
mod spec;
mod sqlite;
pub mod store;
mod value;
mod variables;

pub use record::{
    Change, ChangeKind, InstanceRecord, Lifetime, NewSession, Quotas, Revision, SessionKey, SessionRecord,
    VariableRecord,
};
pub use spec::{
    BooleanRules, ChoiceRules, DictRules, EmbeddingRules, FloatRules, IntegerRules, IntoSpec, Invalid,
    ListRules, ModuleRules, Norm, Pattern, Rules, Spec, SpecError, StringRules, SupportedType, TensorRules,
    VarSpec, Violation, kinds, supported_types,
};
pub use sqlite::{Clock, SqliteOptions, SqliteStore, SystemClock};
pub use value::{
    DecodeError, Dtype, Element, Embedding, Encoded, FromVariable, IntoVariable, Mismatch, Tensor,
    TensorError, Type, Value,
};
pub use variables::{
    Conflict, Delete, Event, Export, ExportedVariable, Filter, Import, ImportReport, Presence, Put, State,
    Update, VariableBatch, VariableError, Variables, Versioned, Watch, WatchBuilder,
};
