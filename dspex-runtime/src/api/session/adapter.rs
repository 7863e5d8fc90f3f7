//! DSPy's adapters.

/// How DSPy turns a signature into a prompt, and the answer into values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adapter {
    /// DSPy's own choice: chat, with JSON where the answer could not be read.
    #[default]
    Default,
    /// `dspy.ChatAdapter`: fields between `[[ ## name ## ]]` marks.
    Chat,
    /// `dspy.JSONAdapter`: a JSON object, with the provider's structured outputs where it has them.
    Json,
    /// `dspy.XMLAdapter`: fields between `<name>` tags.
    Xml,
}

impl Adapter {
    /// Its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Chat => "chat",
            Self::Json => "json",
            Self::Xml => "xml",
        }
    }

    /// The adapter of a name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Default, Self::Chat, Self::Json, Self::Xml].into_iter().find(|adapter| adapter.name() == name)
    }
}
