//! A language model as data: what the worker is sent, and its content address.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::model::Capabilities;

/// A language model's spec as it goes to a worker.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct LmSpecDoc {
    /// The address: lower-case hex SHA-256 of `json`.
    pub hash: String,
    /// The spec: one JSON object with sorted keywords. Its `identity` keeps apart what must not be shared: two host
    /// models of one name, and two keys for one model.
    pub json: Vec<u8>,
    /// The key, which is no part of the JSON.
    pub api_key: Option<SecretString>,
}

/// What the spec's JSON is made of.
pub(super) struct SpecParts<'a> {
    pub kind: &'static str,
    pub model: &'a str,
    pub kwargs: &'a BTreeMap<String, Value>,
    pub capabilities: Option<&'a Capabilities>,
    pub api_key: Option<&'a SecretString>,
    /// Tells two host models with the same name and settings apart.
    pub identity: Option<u64>,
}

impl LmSpecDoc {
    pub(super) fn new(parts: &SpecParts<'_>) -> Self {
        let mut document = json!({
            "kind": parts.kind,
            "model": parts.model,
            "kwargs": parts.kwargs,
            "capabilities": parts.capabilities,
        });
        if parts.api_key.is_some() || parts.identity.is_some() {
            document["identity"] = json!(hex::encode(identity(parts)));
        }
        let json = document.to_string().into_bytes();
        Self { hash: hex::encode(Sha256::digest(&json)), json, api_key: parts.api_key.cloned() }
    }
}

/// What must not be shared, under a key of this process: nobody can try keys of a provider against a spec.
fn identity(parts: &SpecParts<'_>) -> [u8; 16] {
    // SHA-256 between two copies of a secret of fixed length: an envelope MAC, safe against length extension.
    let mut hash = Sha256::new();
    hash.update(process_key());
    if let Some(host) = parts.identity {
        hash.update(b"host");
        hash.update(host.to_le_bytes());
    }
    if let Some(key) = parts.api_key {
        hash.update(b"key");
        hash.update(key.expose_secret().as_bytes());
    }
    hash.update(process_key());
    let mut identity = [0; 16];
    identity.copy_from_slice(&hash.finalize()[..16]);
    identity
}

/// 32 random bytes, chosen once a process.
fn process_key() -> &'static [u8; 32] {
    static KEY: OnceLock<[u8; 32]> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut hash = Sha256::new();
        // The standard library seeds each `RandomState` from the operating system's randomness.
        for round in 0..4_u64 {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(round);
            hash.update(hasher.finish().to_le_bytes());
        }
        hash.update(uuid::Uuid::now_v7().as_bytes());
        hash.update(std::process::id().to_le_bytes());
        hash.finalize().into()
    })
}
