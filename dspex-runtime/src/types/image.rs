//! `dspy.Image`.

use serde::{Deserialize, Serialize};

use super::{data_uri, json_schema};

/// An image: `dspy.Image`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    url: String,
}

json_schema!(Image, "image");

impl Image {
    /// An image at a URL (`https:`, `gs:` or `data:`), which the model's provider fetches.
    pub fn from_url(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    /// An image by its bytes and its media type, such as `image/png`.
    pub fn from_bytes(media_type: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { url: data_uri(media_type, bytes.as_ref()) }
    }

    /// Where it is, or a `data:` URI with all of it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
