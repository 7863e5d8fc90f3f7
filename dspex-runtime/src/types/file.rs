//! `dspy.File`.

use serde::{Deserialize, Serialize};

use super::{data_uri, json_schema};

/// A file, such as a PDF: `dspy.File`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

json_schema!(File, "file");

impl File {
    /// A file by its bytes and its media type, such as `application/pdf`.
    ///
    /// ```
    /// let file = dspex_runtime::types::File::from_bytes("text/plain", "hi").named("greeting.txt");
    /// assert_eq!(file.data(), Some("data:text/plain;base64,aGk="));
    /// ```
    pub fn from_bytes(media_type: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { file_data: Some(data_uri(media_type, bytes.as_ref())), file_id: None, filename: None }
    }

    /// A file that the model's provider has already, by the id it gave.
    pub fn from_id(id: impl Into<String>) -> Self {
        Self { file_data: None, file_id: Some(id.into()), filename: None }
    }

    /// The same with a name for the model to see. DSPy's own client sends it; a model in Rust is asked in requests
    /// that have no place for it, so that such a call ends with [`LmError`](crate::LmError).
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.filename = Some(name.into());
        self
    }

    /// The content as a `data:` URI.
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        self.file_data.as_deref()
    }

    /// The provider's id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.file_id.as_deref()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.filename.as_deref()
    }
}
