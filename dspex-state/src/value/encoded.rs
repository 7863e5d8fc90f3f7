//! Values as bytes, as stores keep them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Dtype, Embedding, Tensor, Type, Value};

/// A value as a store keeps it: JSON, or the little-endian numbers of a tensor or an embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The type of the value.
    pub kind: Type,
    /// For tensors, `{"dtype": .., "shape": [..]}`.
    pub form: Option<String>,
    /// The value.
    pub data: Bytes,
}

/// Bytes that are no value of the type that the store names.
#[derive(Debug, thiserror::Error)]
#[error("the stored {kind} cannot be read: {reason}")]
pub struct DecodeError {
    kind: Type,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct Form {
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Encoded {
    /// A value as bytes. Numbers of tensors and embeddings are shared with it where the machine is little-endian.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let (form, data) = match value {
            Value::Tensor(tensor) => {
                let form = Form { dtype: tensor.dtype(), shape: tensor.shape().to_vec() };
                (serde_json::to_string(&form).ok(), tensor.to_le_bytes())
            }
            Value::Embedding(embedding) => (None, embedding.to_le_bytes()),
            other => (None, other.to_json().to_string().into()),
        };
        Self { kind: value.kind(), form, data }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// If the bytes are no value of the type.
    pub fn decode(&self) -> Result<Value, DecodeError> {
        let failed = |reason: String| DecodeError { kind: self.kind, reason };
        match self.kind {
            Type::Tensor => {
                let form = self.form.as_deref().ok_or_else(|| failed("its shape is missing".to_owned()))?;
                let form: Form = serde_json::from_str(form).map_err(|error| failed(error.to_string()))?;
                Tensor::from_le_bytes(form.dtype, form.shape, &self.data)
                    .map(Value::Tensor)
                    .map_err(|error| failed(error.to_string()))
            }
            Type::Embedding => Embedding::from_le_bytes(&self.data)
                .map(Value::Embedding)
                .map_err(|error| failed(error.to_string())),
            kind => {
                let json: Json =
                    serde_json::from_slice(&self.data).map_err(|error| failed(error.to_string()))?;
                Value::from_json(kind, json, None).map_err(|error| failed(error.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::testing;

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was(value in testing::values()) {
            prop_assert_eq!(Encoded::of(&value).decode().unwrap(), value);
        }
    }

    #[test]
    fn torn_bytes_are_an_error() {
        let mut encoded = Encoded::of(&Value::Tensor(Tensor::new([2], vec![1.0_f32, 2.0]).unwrap()));
        encoded.data = encoded.data.slice(..7);
        assert!(encoded.decode().unwrap_err().to_string().contains("7 bytes"));
        let broken = Encoded { kind: Type::Integer, form: None, data: Bytes::from_static(b"1.5") };
        assert!(broken.decode().is_err());
        let formless = Encoded { kind: Type::Tensor, form: None, data: Bytes::new() };
        assert!(formless.decode().is_err());
    }
}
