//! What the enums that stand for a `Literal` share: values of several JSON types in one enum.

use std::fmt;

use schemars::Schema;
use serde::de::Visitor;
use serde::{Deserializer, Serializer};
use serde_json::{Value, json};

/// A value of a `Literal`.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    Str(&'static str),
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// `None`
    None,
}

impl Scalar {
    fn json(self) -> Value {
        match self {
            Self::Str(text) => json!(text),
            Self::Int(number) => json!(number),
            Self::Bool(value) => json!(value),
            Self::None => Value::Null,
        }
    }

    /// Writes the value.
    pub fn serialize<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Str(text) => serializer.serialize_str(text),
            Self::Int(number) => serializer.serialize_i64(number),
            Self::Bool(value) => serializer.serialize_bool(value),
            Self::None => serializer.serialize_unit(),
        }
    }
}

/// Reads a value; the answer is its place among `values`.
#[doc(hidden)]
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
    values: &'static [Scalar],
) -> Result<usize, D::Error> {
    deserializer.deserialize_any(OneOf(values))
}

/// The JSON Schema of one of several values.
#[doc(hidden)]
#[must_use]
pub fn schema(values: &[Scalar]) -> Schema {
    let all: Vec<Value> = values.iter().map(|value| value.json()).collect();
    let mut document = json!({"enum": all});
    // As schemars writes it for an enum of strings.
    if values.iter().all(|value| matches!(value, Scalar::Str(_))) {
        document["type"] = json!("string");
    }
    Schema::try_from(document).unwrap_or_default()
}

struct OneOf(&'static [Scalar]);

impl OneOf {
    fn find<E: serde::de::Error>(&self, found: Scalar, shown: serde::de::Unexpected<'_>) -> Result<usize, E> {
        self.place(|value| *value == found).ok_or_else(|| E::invalid_value(shown, self))
    }

    fn place(&self, is: impl Fn(&Scalar) -> bool) -> Option<usize> {
        self.0.iter().position(is)
    }
}

impl Visitor<'_> for OneOf {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of ")?;
        for (position, value) in self.0.iter().enumerate() {
            let separator = if position > 0 { ", " } else { "" };
            write!(f, "{separator}{}", value.json())?;
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<usize, E> {
        self.place(|value| matches!(value, Scalar::Str(other) if *other == text))
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<usize, E> {
        self.find(Scalar::Int(number), serde::de::Unexpected::Signed(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<usize, E> {
        let number = i64::try_from(number)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))?;
        self.visit_i64(number)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<usize, E> {
        self.find(Scalar::Bool(value), serde::de::Unexpected::Bool(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<usize, E> {
        self.find(Scalar::None, serde::de::Unexpected::Unit)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<usize, E> {
        self.visit_unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &[Scalar] = &[Scalar::Str("a"), Scalar::Int(-1), Scalar::Bool(true), Scalar::None];

    #[test]
    fn each_value_is_read_as_its_place() {
        for (place, value) in VALUES.iter().enumerate() {
            assert_eq!(deserialize(value.json(), VALUES).unwrap(), place);
            assert_eq!(value.serialize(serde_json::value::Serializer).unwrap(), value.json());
        }
        assert_eq!(schema(VALUES).to_value(), json!({"enum": ["a", -1, true, null]}));
    }

    #[test]
    fn other_values_are_refused_with_those_that_are_possible() {
        for wrong in [json!("b"), json!(1), json!(u64::MAX), json!(false), json!(1.5), json!([])] {
            let error = deserialize(wrong, VALUES).unwrap_err().to_string();
            assert!(error.contains(r#"one of "a", -1, true, null"#), "{error}");
        }
    }
}
