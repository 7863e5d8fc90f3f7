//! Payload values on the wire: JSON, and tags for what JSON cannot hold.
//!
//! There are two doors.
//!
//! * **Typed**, [`to_vec`] and [`from_slice`]: any `serde` type. Rust's data survives unchanged, floats that are not
//!   finite, 128-bit integers and bytes included; what a type cannot hold is a [`WireError`] that names the place.
//!   An object of yours that has the single key `$dspex` is escaped, so data can never be mistaken for a tag.
//! * **Dynamic**, [`document_to_vec`] and [`document_from_slice`]: a [`serde_json::Value`] as it stands on the wire,
//!   tags visible. Read them with [`Tag::of`] or [`is_opaque`]; make them with [`float`], [`integer`] and [`bytes()`].
//!
//! | tag | meaning |
//! |---|---|
//! | `{"$dspex": ["float", "nan" \| "inf" \| "-inf"]}` | a float that is not finite |
//! | `{"$dspex": ["int", "<digits>"]}` | an integer beyond 64 bits |
//! | `{"$dspex": ["bytes", "<base64>"]}` | bytes |
//! | `{"$dspex": ["str", "<base64>"]}` | a text with lone surrogates, which no Rust string can hold |
//! | `{"$dspex": ["opaque", {"type": .., "repr": ..}]}` | a Python object that has no JSON |
//! | `{"$dspex": ["object", {..}]}` | a real object with the single key `$dspex` |
//!
//! A `serde_json::Value` *inside* a typed target shows tags as the dynamic door does, except `object`, which is
//! unescaped. Types that serde buffers first (`#[serde(flatten)]`, untagged and internally tagged enums) see tags too,
//! so a NaN in one of those is an error, never a silent `null`.

mod de;
mod error;
mod key;
mod ser;
mod tag;

pub use error::{WireError, WireErrorKind};
pub use tag::{Tag, bytes, escape, float, integer, is_opaque};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The key of a tag.
pub const TAG: &str = "$dspex";

/// Arrays and objects may nest this deep in both directions, tags included. The worker has the same limit.
pub const MAX_DEPTH: usize = 64;

/// Writes a value as JSON, with tags for what JSON cannot hold.
///
/// ```
/// use dspex_runtime::wire;
/// assert_eq!(wire::to_vec(&f64::NAN)?, br#"{"$dspex":["float","nan"]}"#);
/// assert!(wire::from_slice::<f64>(&wire::to_vec(&f64::NAN)?)?.is_nan());
/// # Ok::<(), wire::WireError>(())
/// ```
///
/// # Errors
///
/// A value that nests deeper than [`MAX_DEPTH`], a map whose keys are not texts, numbers or booleans, or a
/// `Serialize` implementation that fails.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(128);
    value.serialize(ser::Writer::new(&mut out))?;
    Ok(out)
}

/// Reads a value from JSON with tags.
///
/// ```
/// use dspex_runtime::wire;
/// let error = wire::from_slice::<Vec<u8>>(br#"[1, 2, "three"]"#).unwrap_err();
/// assert_eq!(error.path(), "[2]");
/// ```
///
/// # Errors
///
/// JSON that is broken or nests too deep, or a value that the type cannot hold, with its place.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, WireError> {
    if !may_hold_tags(json)
        && !is_too_deep(json)
        && let Ok(value) = serde_json::from_slice(json)
    {
        return Ok(value);
    }
    // The slow way below finds the place of the error.
    T::deserialize(de::Reader::new(document_from_slice(json)?))
}

/// The key of a tag occurs, or its `$` may be spelled as an escape.
fn may_hold_tags(json: &[u8]) -> bool {
    memchr::memmem::find(json, TAG.as_bytes()).is_some() || memchr::memmem::find(json, br"\u0024").is_some()
}

/// More than [`MAX_DEPTH`] brackets are open at once, outside of texts.
fn is_too_deep(json: &[u8]) -> bool {
    if memchr::memchr2_iter(b'[', b'{', json).nth(MAX_DEPTH).is_none() {
        return false;
    }
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => rest = after_text(after),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// What follows the text that begins here.
fn after_text(mut rest: &[u8]) -> &[u8] {
    while let Some(end) = memchr::memchr2(b'"', b'\\', rest) {
        if rest[end] == b'"' {
            return &rest[end + 1..];
        }
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    &[]
}

/// Writes a document whose tags are meant as tags.
///
/// # Errors
///
/// A document that nests deeper than [`MAX_DEPTH`], or a broken tag, with its place.
pub fn document_to_vec(document: &Value) -> Result<Vec<u8>, WireError> {
    tag::check(document)?;
    serde_json::to_vec(document).map_err(|error| WireError::syntax(&error))
}

/// Reads a document as it stands on the wire, tags visible.
///
/// # Errors
///
/// JSON that is broken or nests too deep.
pub fn document_from_slice(json: &[u8]) -> Result<Value, WireError> {
    if is_too_deep(json) {
        return Err(WireError::new(WireErrorKind::TooDeep));
    }
    serde_json::from_slice(json).map_err(|error| WireError::syntax(&error))
}
