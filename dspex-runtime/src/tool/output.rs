//! What a tool answers.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
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
            Answer::Stream(items) => decode(&join(&items.try_collect::<Vec<_>>().await?)),
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

pub(super) fn decode(json: &[u8]) -> Result<Value, ToolError> {
    wire::document_from_slice(json).map_err(unwritable)
}

/// The items of a stream together: one text if all of them are texts, else a list.
pub(super) fn join(items: &[Bytes]) -> Bytes {
    let texts: Option<String> =
        items.iter().map(|item| serde_json::from_slice::<String>(item).ok()).collect();
    if let Some(text) = texts.filter(|_| !items.is_empty())
        && let Ok(json) = wire::to_vec(&text)
    {
        return json.into();
    }
    let length = items.iter().map(|item| item.len() + 1).sum::<usize>() + 1;
    let mut list = Vec::with_capacity(length);
    for item in items {
        list.push(if list.is_empty() { b'[' } else { b',' });
        list.extend_from_slice(item);
    }
    if list.is_empty() {
        list.push(b'[');
    }
    list.push(b']');
    list.into()
}

/// More than an answer may be.
pub(super) fn too_large(limit: u64) -> ToolError {
    let message = format!("the tool's answer is over the limit of {limit} bytes; ask for less");
    ToolError::of(ToolErrorKind::Output, message)
}

fn unwritable(error: wire::WireError) -> ToolError {
    tracing::error!(target: "dspex::tool", %error, "what a tool returned has no JSON form");
    ToolError::of(ToolErrorKind::Output, "the tool's answer cannot be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(items: &[&'static str]) -> String {
        let items: Vec<Bytes> = items.iter().map(|item| Bytes::from_static(item.as_bytes())).collect();
        String::from_utf8(join(&items).to_vec()).unwrap()
    }

    #[test]
    fn texts_of_a_stream_are_one_text_and_all_else_is_a_list() {
        assert_eq!(joined(&["\"to \"", "\"be\""]), "\"to be\"");
        assert_eq!(joined(&["\"to\"", "1"]), "[\"to\",1]");
        assert_eq!(joined(&["{\"a\":1}"]), "[{\"a\":1}]");
        assert_eq!(joined(&[]), "[]");
    }
}
