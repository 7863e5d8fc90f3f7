//! Documents of dspex, in which tags stand for what JSON cannot hold, as plain JSON.

use dspex_runtime::wire::Tag;
use serde_json::{Map, Value};

/// The document as people would write it as JSON.
pub(crate) fn plain(document: Value) -> Value {
    let untagged = match Tag::of(&document) {
        Ok(Some(tag)) => match tag {
            Tag::Float(value) => Some(Value::from(value.to_string())),
            Tag::Int(digits) => Some(Value::from(digits)),
            Tag::Object(object) => Some(Value::Object(members(object.clone()))),
            Tag::Opaque { repr, .. } => Some(Value::from(repr)),
            // Both are base64 already.
            Tag::Bytes(_) | Tag::Str(_) => {
                document.pointer("/$dspex/1").and_then(Value::as_str).map(Value::from)
            }
            _ => None,
        },
        _ => None,
    };
    match (untagged, document) {
        (Some(value), _) => value,
        (None, Value::Array(items)) => items.into_iter().map(plain).collect(),
        (None, Value::Object(object)) => Value::Object(members(object)),
        (None, value) => value,
    }
}

fn members(object: Map<String, Value>) -> Map<String, Value> {
    object.into_iter().map(|(key, value)| (key, plain(value))).collect()
}

#[cfg(test)]
mod tests {
    use dspex_runtime::wire;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_cannot_hold_is_written_as_text_at_every_depth() {
        let document = json!({
            "floats": [wire::float(f64::NAN), wire::float(f64::NEG_INFINITY), 0.5],
            "wide": wire::integer(i128::MAX),
            "bytes": wire::bytes(b"abc"),
            "object": wire::escape(json!({"$dspex": wire::float(1.0)})),
            "opaque": {"$dspex": ["opaque", {"type": "a.B", "repr": "<B>"}]},
        });
        assert_eq!(
            plain(document),
            json!({
                "floats": ["NaN", "-inf", 0.5],
                "wide": i128::MAX.to_string(),
                "bytes": "YWJj",
                "object": {"$dspex": 1.0},
                "opaque": "<B>",
            })
        );
    }
}
