//! A language model as a durable session keeps it: without secrets, and without what only this process has.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::handle::PLAIN;
use super::{Lm, LmError};

/// What is written down of a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredLm {
    model: String,
    kwargs: Map<String, Value>,
    /// What cannot be written down: a key, headers, or that the model is a Rust object.
    lost: Vec<String>,
}

impl StoredLm {
    /// What can be written down of a model.
    pub(crate) fn of(lm: &Lm) -> Self {
        let (plain, secret): (Vec<_>, Vec<_>) =
            lm.kwargs().iter().partition(|(name, _)| PLAIN.contains(&name.as_str()));
        let mut lost: Vec<String> = secret.into_iter().map(|(name, _)| format!("`{name}`")).collect();
        if lm.has_key() {
            lost.push("its key".to_owned());
        }
        if lm.is_host() {
            lost.push("the Rust object that it is".to_owned());
        }
        let kwargs = plain.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { model: lm.model().to_owned(), kwargs, lost }
    }

    /// The model, if everything of it was written down.
    pub(crate) fn restore(&self) -> Result<Lm, LmError> {
        if !self.lost.is_empty() {
            let lost = self.lost.join(", ");
            let message = format!(
                "the session was found in its store, which keeps no {lost}; give it its model with `set_lm`"
            );
            return Err(LmError::configuration(message).with_model(self.model.clone()));
        }
        let lm = Lm::new(self.model.clone());
        Ok(self.kwargs.iter().fold(lm, |lm, (name, value)| lm.kwarg(name, value.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lm::{LmResponse, lm_fn};

    #[test]
    fn a_plain_model_comes_back_and_secrets_are_never_written() {
        let plain = Lm::new("openai/gpt-4o-mini").temperature(0.5);
        assert_eq!(StoredLm::of(&plain).restore().unwrap().spec().json, plain.spec().json);

        let keyed = plain.clone().api_key("sk-canary").kwarg("headers", serde_json::json!({"x": "canary"}));
        let stored = StoredLm::of(&keyed);
        let text = serde_json::to_string(&stored).unwrap();
        assert!(!text.contains("canary"), "{text}");
        let error = stored.restore().unwrap_err().to_string();
        assert!(
            error.contains("`headers`") && error.contains("its key") && error.contains("set_lm"),
            "{error}"
        );

        let host = StoredLm::of(&Lm::host_named("rust/x", lm_fn(|_| async { Ok(LmResponse::text("")) })));
        assert!(host.restore().is_err());
    }
}
