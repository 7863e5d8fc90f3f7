//! JSON merge patches (RFC 7396).

use serde_json::{Map, Value as Json};

/// Merges a patch into an object: null removes, objects merge, all else replaces.
///
/// ```
/// use dspex_state::store::merge_patch;
/// use serde_json::json;
///
/// let mut target = json!({"a": 1, "b": {"c": 2, "d": 3}}).as_object().cloned().unwrap_or_default();
/// let patch = json!({"a": null, "b": {"c": 4}}).as_object().cloned().unwrap_or_default();
/// merge_patch(&mut target, patch);
/// assert_eq!(json!(target), json!({"b": {"c": 4, "d": 3}}));
/// ```
pub fn merge_patch(target: &mut Map<String, Json>, patch: Map<String, Json>) {
    for (name, value) in patch {
        match value {
            Json::Null => {
                target.shift_remove(&name);
            }
            Json::Object(patch) => {
                let entry = target.entry(name).or_insert_with(|| Json::Object(Map::new()));
                if !entry.is_object() {
                    *entry = Json::Object(Map::new());
                }
                if let Json::Object(inner) = entry {
                    merge_patch(inner, patch);
                }
            }
            value => {
                target.insert(name, value);
            }
        }
    }
}
