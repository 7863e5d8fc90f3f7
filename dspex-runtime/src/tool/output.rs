//! What a tool answers.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Serialize;
use serde_json::Value;

use super::{ToolError, ToolErrorKind};
use crate::wire;

/// What a tool answers: one value, or a stream of them.
///
/// The items of a stream are events of the call as they come. The model sees all of them once the stream ends: a list, or
/// one text where all of them are texts.
pub struct ToolOutput(pub(super) Answer);

pub(super) enum Answer {
    /// JSON as it goes over the wire.
    Value(Bytes),
    Stream(BoxStream<'static, Result<Bytes, ToolError>>),
}

impl ToolOutput {
    /// One value.
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::Output`] for a value that serde refuses, such as a map with keys that are no texts.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, ToolError> {
        encode(value).map(|json| Self(Answer::Value(json)))
    }

    /// One JSON value, in which the tags of [`wire`](crate::wire) mean what they say.
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::Output`] for a tag that is none.
    pub fn document(value: &Value) -> Result<Self, ToolError> {
        wire::document_to_vec(value).map(|json| Self(Answer::Value(json.into()))).map_err(unwritable)
    }

    /// A stream of values.
    pub fn stream<T: Serialize>(
        items: impl futures::Stream<Item = Result<T, ToolError>> + Send + 'static,
    ) -> Self {
        Self::stream_of_json(items.map(|item| item.and_then(|item| encode(&item))))
    }

    /// A stream of values that are JSON already.
    pub(super) fn stream_of_json(
        items: impl futures::Stream<Item = Result<Bytes, ToolError>> + Send + 'static,
    ) -> Self {
        Self(Answer::Stream(items.boxed()))
    }

    /// What the model sees: the value, or all of the stream's, which is read to its end.
    ///
    /// # Errors
    ///
    /// The first error of the stream.
    pub async fn into_value(self) -> Result<Value, ToolError> {
        match self.0 {
            Answer::Value(json) => decode(&json),
            Answer::Stream(mut items) => {
                let mut values = Vec::new();
                while let Some(item) = items.next().await {
                    values.push(decode(&item?)?);
                }
                Ok(joined(values))
            }
        }
    }
}

impl std::fmt::Debug for ToolOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Answer::Value(json) => write!(f, "ToolOutput({})", String::from_utf8_lossy(json)),
            Answer::Stream(_) => f.write_str("ToolOutput(stream)"),
        }
    }
}

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, ToolError> {
    wire::to_vec(value).map(Bytes::from).map_err(unwritable)
}

fn decode(json: &[u8]) -> Result<Value, ToolError> {
    wire::document_from_slice(json).map_err(unwritable)
}

/// Texts are one text, other values a list.
fn joined(values: Vec<Value>) -> Value {
    let texts: Option<String> = values.iter().map(Value::as_str).collect();
    match texts {
        Some(text) if !values.is_empty() => Value::String(text),
        _ => Value::Array(values),
    }
}

fn unwritable(error: wire::WireError) -> ToolError {
    tracing::error!(target: "dspex::tool", %error, "what a tool returned has no JSON form");
    ToolError::of(ToolErrorKind::Output, "the tool's answer cannot be written as JSON")
}
