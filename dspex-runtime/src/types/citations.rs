//! `dspy.experimental.Document` and `dspy.experimental.Citations`.

use serde::{Deserialize, Serialize};

use super::json_schema;

/// A document that a model may cite: `dspy.experimental.Document`. DSPy's own client sends it; a model in Rust is asked in
/// requests that have no place for it, so that such a call ends with [`LmError`](crate::LmError).
///
/// ```
/// use dspex_runtime::types::Document;
///
/// let document = Document::text("The sky is blue.").titled("Weather");
/// assert_eq!((document.data(), document.title()), ("The sky is blue.", Some("Weather")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default = "plain_text")]
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
}

json_schema!(Document, "object", "document", "experimental.");

/// What a model cites of the documents it was given: `dspy.experimental.Citations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citations {
    citations: Vec<Citation>,
}

json_schema!(Citations, "object", "citations", "experimental.");

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// How the place is given; `char_location` for now.
    #[serde(rename = "type", default = "char_location")]
    pub kind: String,
    /// The words of the document.
    pub cited_text: String,
    /// The number of the document, from 0.
    pub document_index: usize,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_title: Option<String>,
    /// The first character of the words.
    pub start_char_index: usize,
    /// The character after the last of them.
    pub end_char_index: usize,
    /// The words of the answer that they support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_text: Option<String>,
}

impl Document {
    /// A document by its text.
    pub fn text(data: impl Into<String>) -> Self {
        Self { data: data.into(), title: None, media_type: plain_text(), context: None }
    }

    /// A PDF, as DSPy takes it: in base64.
    pub fn pdf(data: impl Into<String>) -> Self {
        Self { data: data.into(), title: None, media_type: "application/pdf".to_owned(), context: None }
    }

    /// The same with a title.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The same with a word about where it comes from.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// The content.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The title.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// `text/plain` or `application/pdf`.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }
}

impl Citations {
    /// Citations in order.
    pub fn new(citations: impl IntoIterator<Item = Citation>) -> Self {
        Self { citations: citations.into_iter().collect() }
    }

    /// The citations, in order.
    #[must_use]
    pub fn all(&self) -> &[Citation] {
        &self.citations
    }
}

fn plain_text() -> String {
    "text/plain".to_owned()
}

fn char_location() -> String {
    "char_location".to_owned()
}
