//! Tags as data: how they are recognised and made in a [`serde_json::Value`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::error::{Segment, WireError, WireErrorKind};
use super::{MAX_DEPTH, TAG};

/// A tag, read.
///
/// ```
/// use dspex_runtime::wire::{self, Tag};
/// let value = serde_json::json!({"$dspex": ["opaque", {"type": "builtins.object", "repr": "<object>"}]});
/// assert!(wire::is_opaque(&value));
/// assert!(matches!(Tag::of(&wire::float(f64::NAN)), Ok(Some(Tag::Float(x))) if x.is_nan()));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Tag<'a> {
    /// A float that is not finite.
    Float(f64),
    /// An integer beyond 64 bits: decimal digits, perhaps after a minus.
    Int(&'a str),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A text with lone surrogates: its bytes in Python's `surrogatepass` UTF-8.
    Str(Vec<u8>),
    /// A Python object that has no JSON.
    Opaque {
        /// Its qualified Python type.
        python_type: &'a str,
        /// Its `repr`, shortened by the worker.
        repr: &'a str,
    },
    /// A real object that has the key `$dspex`.
    Object(&'a Map<String, Value>),
}

impl<'a> Tag<'a> {
    /// The tag that a value is; `None` where it is plain JSON.
    ///
    /// # Errors
    ///
    /// [`WireErrorKind::BrokenTag`]: an object with the single key `$dspex` that is no tag.
    pub fn of(value: &'a Value) -> Result<Option<Self>, WireError> {
        let Some(tag) = content(value) else { return Ok(None) };
        Self::read(tag).map(Some).map_err(|problem| WireError::new(WireErrorKind::BrokenTag(problem)))
    }

    fn read(tag: &'a Value) -> Result<Self, String> {
        let Some([Value::String(kind), payload]) = tag.as_array().map(Vec::as_slice) else {
            return Err("its value must be a pair of a kind and a payload".to_owned());
        };
        match (kind.as_str(), payload) {
            ("float", Value::String(text)) => match text.as_str() {
                "nan" => Ok(Tag::Float(f64::NAN)),
                "inf" => Ok(Tag::Float(f64::INFINITY)),
                "-inf" => Ok(Tag::Float(f64::NEG_INFINITY)),
                other => Err(format!("{other:?} is no float; expected \"nan\", \"inf\" or \"-inf\"")),
            },
            ("int", Value::String(text)) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err("an integer is decimal digits".to_owned());
                }
                Ok(Tag::Int(text))
            }
            ("bytes", Value::String(text)) => decode(text).map(Tag::Bytes),
            ("str", Value::String(text)) => decode(text).map(Tag::Str),
            ("opaque", Value::Object(object)) => {
                let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
                Ok(Tag::Opaque { python_type: text("type"), repr: text("repr") })
            }
            ("object", Value::Object(object)) => Ok(Tag::Object(object)),
            ("float" | "int" | "bytes" | "str" | "opaque" | "object", _) => {
                Err(format!("the payload of {kind:?} has the wrong type"))
            }
            _ => Err(format!("{kind:?} is no kind of tag")),
        }
    }
}

/// The value of the single key `$dspex`.
fn content(value: &Value) -> Option<&Value> {
    let object = value.as_object()?;
    if object.len() == 1 { object.get(TAG) } else { None }
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("base64: {error}"))
}

/// A value stands for a Python object that has no JSON form.
#[must_use]
pub fn is_opaque(value: &Value) -> bool {
    matches!(Tag::of(value), Ok(Some(Tag::Opaque { .. })))
}

/// A float as the dynamic door writes it: a plain number, or a tag where it is not finite.
#[must_use]
pub fn float(value: f64) -> Value {
    match float_name(value) {
        Some(name) => json!({TAG: ["float", name]}),
        None => json!(value),
    }
}

/// An integer as the dynamic door writes it: a plain number, or a tag beyond 64 bits.
#[must_use]
pub fn integer(value: i128) -> Value {
    if let Ok(value) = i64::try_from(value) {
        json!(value)
    } else if let Ok(value) = u64::try_from(value) {
        json!(value)
    } else {
        json!({TAG: ["int", value.to_string()]})
    }
}

/// Bytes as the dynamic door writes them.
#[must_use]
pub fn bytes(value: &[u8]) -> Value {
    json!({TAG: ["bytes", STANDARD.encode(value)]})
}

/// Plain data as the dynamic door writes it: objects that look like tags are escaped, at every depth.
#[must_use]
pub fn escape(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(escape).collect()),
        Value::Object(object) => {
            let object: Map<String, Value> =
                object.into_iter().map(|(key, value)| (key, escape(value))).collect();
            if object.len() == 1 && object.contains_key(TAG) {
                json!({TAG: ["object", object]})
            } else {
                Value::Object(object)
            }
        }
        plain => plain,
    }
}

/// The name of a float that is not finite.
pub(super) fn float_name(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("nan")
    } else if value == f64::INFINITY {
        Some("inf")
    } else if value == f64::NEG_INFINITY {
        Some("-inf")
    } else {
        None
    }
}

/// Every tag of a document is well formed, and it does not nest too deep.
pub(super) fn check(value: &Value) -> Result<(), WireError> {
    check_at(value, MAX_DEPTH)
}

fn check_at(value: &Value, depth: usize) -> Result<(), WireError> {
    let Some(inner) = depth.checked_sub(1) else {
        return Err(WireError::new(WireErrorKind::TooDeep));
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_at(item, inner).map_err(|error| error.within(Segment::Index(index)))?;
            }
        }
        Value::Object(object) => {
            let plain = match Tag::of(value)? {
                None => object,
                Some(Tag::Object(escaped)) => escaped,
                Some(_) => return Ok(()),
            };
            for (key, item) in plain {
                check_at(item, inner).map_err(|error| error.within(Segment::Key(key.clone())))?;
            }
        }
        _ => {}
    }
    Ok(())
}
