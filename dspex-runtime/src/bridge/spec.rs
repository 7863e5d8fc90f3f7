//! An instance as data: everything that any worker needs to build it.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// A content-addressed spec.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Lower-case hex SHA-256 of `json`.
    pub(crate) hash: String,
    /// The document that `worker.proto` describes at `Spec`.
    pub(crate) json: Vec<u8>,
    /// The class's dotted path.
    pub(crate) class: String,
    /// The hash of the class's ABI that the code was compiled with.
    pub(crate) fingerprint: Option<&'static str>,
}

impl Spec {
    /// A spec of a class with its signature, if it has one, and its constructor's arguments.
    pub(crate) fn new(class: &str, signature: Option<Value>, args: Map<String, Value>) -> Self {
        let json = json!({"class": class, "signature": signature, "args": args}).to_string().into_bytes();
        let hash = hex::encode(Sha256::digest(&json));
        Self { hash, json, class: class.to_owned(), fingerprint: None }
    }

    /// The same with a state, as DSPy's `dump_state` gives it.
    pub(crate) fn with_state(self, state: Value) -> Self {
        let mut document: Map<String, Value> = serde_json::from_slice(&self.json).unwrap_or_default();
        document.insert("state".to_owned(), state);
        let json = Value::Object(document).to_string().into_bytes();
        Self { hash: hex::encode(Sha256::digest(&json)), json, ..self }
    }

    /// A spec that was kept, byte for byte.
    pub(crate) fn kept(class: String, json: String, fingerprint: Option<&'static str>) -> Self {
        let json = json.into_bytes();
        Self { hash: hex::encode(Sha256::digest(&json)), json, class, fingerprint }
    }

    /// Whether both are of one class with one signature, whatever the arguments and the state.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        let signature = |spec: &Self| {
            let document: Value = serde_json::from_slice(&spec.json).unwrap_or_default();
            document["signature"].clone()
        };
        self.class == other.class && signature(self) == signature(other)
    }

    /// The same with other instructions, demonstrations and configuration of its predictors, as `worker.proto` describes them
    /// at `Spec`.
    pub(crate) fn with_overrides(&self, overrides: Value) -> Self {
        let mut document: Map<String, Value> = serde_json::from_slice(&self.json).unwrap_or_default();
        document.insert("overrides".to_owned(), overrides);
        let json = Value::Object(document).to_string().into_bytes();
        let hash = hex::encode(Sha256::digest(&json));
        Self { hash, json, class: self.class.clone(), fingerprint: self.fingerprint }
    }

    /// The same with the class's fingerprint from the schema that the code was compiled with.
    pub(crate) fn with_fingerprint(mut self, fingerprint: Option<&'static str>) -> Self {
        self.fingerprint = fingerprint;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_has_the_same_address() {
        let args = || json!({"max_iters": 5}).as_object().cloned().unwrap();
        let one = Spec::new("dspy.ReAct", Some(json!({"inputs": []})), args());
        let two = Spec::new("dspy.ReAct", Some(json!({"inputs": []})), args());
        let other = Spec::new("dspy.ReAct", Some(json!({"inputs": []})), Map::new());
        assert_eq!(one.hash, two.hash);
        assert_ne!(one.hash, other.hash);
        assert_eq!(one.hash.len(), 64);
    }
}
