//! How calls and callbacks end, as one word each: labels of metrics and fields of spans, so few that they can be counted.

use crate::error::Error;
use crate::pool::PoolError;
use crate::proto::callback::Kind;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub(crate) enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in order.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// How a call ended.
    Outcome {
        /// With an answer.
        Ok => "ok",
        /// Its inputs do not fit.
        InvalidInput => "invalid_input",
        /// The model's answer does not fit.
        InvalidOutput => "invalid_output",
        /// The language model failed.
        Lm => "lm",
        /// The model's circuit breaker was open.
        ModelUnavailable => "model_unavailable",
        /// Python raised.
        Python => "python",
        /// No such class, function or method, or one that must not be called.
        NotFound => "not_found",
        /// Its deadline passed.
        Deadline => "deadline",
        /// Something cancelled it.
        Cancelled => "cancelled",
        /// Whoever waited for it stopped to.
        Dropped => "dropped",
        /// Its worker was lost, and nobody knows how far it came.
        Lost => "lost",
        /// It ended workers, and is refused for a while.
        Poison => "poison",
        /// The queue was full.
        Saturated => "saturated",
        /// No worker could serve it.
        Unavailable => "unavailable",
        /// A message was over its limit.
        TooLarge => "too_large",
        /// All else.
        Other => "other",
    }
}

impl Outcome {
    /// That of a call.
    pub(crate) fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(Error::InvalidInput { .. }) => Self::InvalidInput,
            Err(Error::InvalidOutput { .. }) => Self::InvalidOutput,
            Err(Error::Lm(_)) => Self::Lm,
            Err(Error::ModelUnavailable { .. }) => Self::ModelUnavailable,
            Err(Error::PoisonCall { .. }) => Self::Poison,
            Err(Error::Python(_)) => Self::Python,
            Err(Error::NotFound(_) | Error::NotAllowed(_)) => Self::NotFound,
            Err(Error::DeadlineExceeded { .. }) => Self::Deadline,
            Err(Error::Cancelled(_)) => Self::Cancelled,
            Err(Error::OutcomeUnknown { .. }) => Self::Lost,
            Err(Error::Pool(PoolError::Saturated(_))) => Self::Saturated,
            Err(Error::Pool(_)) => Self::Unavailable,
            Err(Error::TooLarge { .. }) => Self::TooLarge,
            Err(_) => Self::Other,
        }
    }
}

words! {
    /// What Python asked the program for.
    CallbackKind {
        /// A language model.
        Lm => "lm",
        /// A tool.
        Tool => "tool",
        /// A metric.
        Metric => "metric",
        /// A reward.
        Reward => "reward",
        /// An embedder.
        Retriever => "retriever",
        /// An operation on a variable.
        Variable => "variable",
        /// What this version does not know.
        Unknown => "unknown",
    }
}

impl From<Kind> for CallbackKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Lm => Self::Lm,
            Kind::Tool => Self::Tool,
            Kind::Metric => Self::Metric,
            Kind::Reward => Self::Reward,
            Kind::Retriever => Self::Retriever,
            Kind::Variable => Self::Variable,
            Kind::Unspecified => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_the_order_of_their_numbers_and_differ() {
        for (number, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, number);
            assert!(Outcome::ALL.iter().filter(|other| other.as_str() == outcome.as_str()).count() == 1);
        }
        for (number, kind) in CallbackKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, number);
        }
    }
}
