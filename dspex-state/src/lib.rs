//! The state of dspex's sessions: typed variables with constraints, watches, and the stores that keep them.

mod value;

pub use value::{
    DecodeError, Dtype, Element, Embedding, Encoded, FromVariable, IntoVariable, Mismatch, Tensor,
    TensorError, Type, Value,
};
