//! An instance as data: everything that any worker needs to build it.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::functions::Functions;

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
    /// The functions of the program that the document names by keys. Their declarations are part of the address, they are not.
    pub(crate) functions: Arc<Functions>,
}

impl Spec {
    /// A spec of a class with its signature, if it has one, and its constructor's arguments.
    pub(crate) fn new(class: &str, signature: Option<Value>, args: Map<String, Value>) -> Self {
        let json = json!({"class": class, "signature": signature, "args": args}).to_string().into_bytes();
        let hash = hex::encode(Sha256::digest(&json));
        Self { hash, json, class: class.to_owned(), fingerprint: None, functions: Arc::default() }
    }

    /// The same with a state, as DSPy's `dump_state` gives it.
    pub(crate) fn with_state(&self, state: Value) -> Self {
        self.with("state", state)
    }

    /// The same with what its predictors are given in place of their own: `{"<name or *>": {"instructions"?, "demos"?,
    /// "config"?}}`, as `worker.proto` describes it at `Spec`.
    pub(crate) fn with_overrides(&self, overrides: Value) -> Self {
        self.with("overrides", overrides)
    }

    fn with(&self, key: &str, value: Value) -> Self {
        let mut document: Map<String, Value> = serde_json::from_slice(&self.json).unwrap_or_default();
        document.insert(key.to_owned(), value);
        let json = Value::Object(document).to_string().into_bytes();
        let hash = hex::encode(Sha256::digest(&json));
        Self {
            hash,
            json,
            class: self.class.clone(),
            fingerprint: self.fingerprint,
            functions: self.functions.clone(),
        }
    }

    /// A spec that was kept, byte for byte.
    pub(crate) fn kept(class: String, json: String, fingerprint: Option<&'static str>) -> Self {
        let json = json.into_bytes();
        let functions = Arc::default();
        Self { hash: hex::encode(Sha256::digest(&json)), json, class, fingerprint, functions }
    }

    /// Whether both are of one class with one signature, whatever the arguments and the state.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        let signature = |spec: &Self| {
            let document: Value = serde_json::from_slice(&spec.json).unwrap_or_default();
            document["signature"].clone()
        };
        self.class == other.class && signature(self) == signature(other)
    }

    /// The same with the functions that its document names.
    pub(crate) fn with_functions(mut self, functions: Functions) -> Self {
        self.functions = Arc::new(functions);
        self
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

    #[test]
    fn overrides_are_part_of_the_address() {
        let plain = || Spec::new("dspy.Predict", None, Map::new());
        let steered = |text: &str| plain().with_overrides(json!({"self": {"instructions": text}}));
        assert_ne!(steered("Be brief.").hash, plain().hash);
        assert_ne!(steered("Be brief.").hash, steered("Be kind.").hash);
        let document: Value = serde_json::from_slice(&steered("Be brief.").json).unwrap();
        assert_eq!(document["overrides"]["self"]["instructions"], "Be brief.");
        assert_eq!(document["class"], "dspy.Predict");
    }
}
