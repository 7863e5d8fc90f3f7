//! What a snapshot says about a class of DSPy.
//!
//! The types here are a reading of the JSON documents, not the documents themselves: a key, role or kind of type
//! that this release does not know is tolerated, so that a newer snapshot still serves an older dspex. Writing is
//! done on the documents (see [`Dump`](crate::Dump)), so that nothing is lost on the way.

mod class;
mod function;
mod parameter;
mod program;
mod ty;

pub use class::{Call, Class, Deprecated, Kind, Method, Outputs, Reserved};
pub use function::Function;
pub use parameter::{Default, Parameter, Role};
pub use program::{OwnSignature, Predictor, Program, ProgramField};
pub use ty::Type;

/// Readings of values that have several ways to say nothing.
pub(crate) mod lenient {
    use serde::{Deserialize, Deserializer};

    /// As no text if it is empty.
    pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.trim().is_empty()))
    }
}

/// Implements serde for an enum of words with a last variant for words that this release does not know.
macro_rules! words {
    (
        $(#[$meta:meta])* pub enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$doc])* $variant, )+
            /// A word of a newer snapshot.
            Other(String),
        }

        impl $name {
            /// The word that stands in the snapshot.
            pub fn as_str(&self) -> &str {
                match self { $( Self::$variant => $word, )+ Self::Other(word) => word }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() { $( $word => Self::$variant, )+ _ => Self::Other(word) }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }
    };
}
pub(crate) use words;
