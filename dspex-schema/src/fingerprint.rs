//! Fingerprints: SHA-256 over a text that does not depend on key order or white space.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// JSON with sorted keys and no white space.
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

/// The hexadecimal SHA-256 of a value's [`canonical`] text.
///
/// ```
/// use dspex_schema::fingerprint::of;
/// use serde_json::json;
///
/// assert_eq!(of(&json!({"a": 1, "b": 2})), of(&json!({"b": 2, "a": 1})));
/// ```
pub fn of(value: &Value) -> String {
    of_bytes(canonical(value).as_bytes())
}

/// The hexadecimal SHA-256 of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The same value with all keys sorted; `serde_json` may keep insertion order, depending on who else uses it.
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(
                entries.into_iter().map(|(key, item)| (key.clone(), sorted(item))).collect::<Map<_, _>>(),
            )
        }
        other => other.clone(),
    }
}
