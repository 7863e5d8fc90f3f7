//! `dspy.Audio`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::json_schema;

/// Sound: `dspy.Audio`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    data: String,
    audio_format: String,
}

json_schema!(Audio, "audio");

impl Audio {
    /// Sound by its bytes and its format, such as `wav` or `mp3`.
    ///
    /// ```
    /// let sound = dspex_runtime::types::Audio::from_bytes("wav", b"RIFF");
    /// assert_eq!((sound.format(), sound.bytes().as_deref()), ("wav", Some(&b"RIFF"[..])));
    /// ```
    pub fn from_bytes(format: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        Self { data: STANDARD.encode(bytes), audio_format: format.into() }
    }

    /// Sound that is base64 already.
    pub fn from_base64(format: impl Into<String>, data: impl Into<String>) -> Self {
        Self { data: data.into(), audio_format: format.into() }
    }

    /// The format, such as `wav`.
    #[must_use]
    pub fn format(&self) -> &str {
        &self.audio_format
    }

    /// The bytes; `None` where the data is no base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.data).ok()
    }
}
