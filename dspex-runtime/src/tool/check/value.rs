//! Values as the rules see them: JSON, with what tags stand for.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::rules::{Kinds, Number};
use crate::wire::Tag;

/// What a value is.
pub(super) enum Seen<'a> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(&'a str),
    List(&'a [Value]),
    Bytes(Vec<u8>),
    Object(&'a Map<String, Value>),
    /// A text that no Rust string can hold.
    LoneSurrogates,
    /// A Python object that has no JSON.
    Opaque(&'a str),
    BrokenTag,
}

impl<'a> Seen<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(Number::of(number)),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items),
            Value::Object(object) => match Tag::of(value) {
                Ok(None) => Self::Object(object),
                Ok(Some(Tag::Float(value))) => Self::Number(Number::Float(value)),
                Ok(Some(Tag::Int(digits))) => Self::Number(Number::of_digits(digits)),
                Ok(Some(Tag::Bytes(bytes))) => Self::Bytes(bytes),
                Ok(Some(Tag::Str(_))) => Self::LoneSurrogates,
                Ok(Some(Tag::Opaque { python_type, .. })) => Self::Opaque(python_type),
                Ok(Some(Tag::Object(object))) => Self::Object(object),
                Err(_) => Self::BrokenTag,
            },
        }
    }

    /// Its type; none for what has none in JSON.
    pub(super) fn kind(&self) -> Option<Kinds> {
        Some(match self {
            Self::Null => Kinds::NULL,
            Self::Boolean(_) => Kinds::BOOLEAN,
            Self::Number(number) if number.is_integer() => Kinds::INTEGER,
            Self::Number(_) => Kinds::FRACTION,
            Self::Text(_) => Kinds::TEXT,
            Self::List(_) | Self::Bytes(_) => Kinds::LIST,
            Self::Object(_) => Kinds::OBJECT,
            Self::LoneSurrogates | Self::Opaque(_) | Self::BrokenTag => return None,
        })
    }
}

impl Number {
    pub(super) fn of(number: &serde_json::Number) -> Self {
        if let Some(value) = number.as_i64() {
            Self::Integer(value.into())
        } else if let Some(value) = number.as_u64() {
            Self::Integer(value.into())
        } else {
            Self::Float(number.as_f64().unwrap_or(f64::NAN))
        }
    }

    fn of_digits(digits: &str) -> Self {
        match digits.parse() {
            Ok(value) => Self::Integer(value),
            Err(_) => Self::Wide(digits.parse().unwrap_or(f64::NAN)),
        }
    }

    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Wide(value) | Self::Float(value) => value,
        }
    }

    /// As JSON Schema has it: 1.0 is one.
    pub(super) fn is_integer(self) -> bool {
        match self {
            Self::Integer(_) | Self::Wide(_) => true,
            Self::Float(value) => value.is_finite() && value.fract() == 0.0,
        }
    }

    /// None where one of them is not a number.
    pub(super) fn compare(self, other: Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(&right)),
            (left, right) => left.as_f64().partial_cmp(&right.as_f64()),
        }
    }

    pub(super) fn is_multiple_of(self, step: Self) -> bool {
        match (self, step) {
            (Self::Integer(value), Self::Integer(step)) => step != 0 && value % step == 0,
            (value, Self::Integer(step)) => value.as_f64() % step as f64 == 0.0,
            (value, step) => {
                // By dividing, since 0.3 % 0.1 is not 0.
                let times = value.as_f64() / step.as_f64();
                times.is_finite() && times.fract() == 0.0
            }
        }
    }
}

/// Whether two values are the same to JSON, to which 1 and 1.0 are.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (Seen::of(left), Seen::of(right)) {
        (Seen::Null, Seen::Null) => true,
        (Seen::Boolean(left), Seen::Boolean(right)) => left == right,
        (Seen::Number(left), Seen::Number(right)) => left.compare(right).is_some_and(|order| order.is_eq()),
        (Seen::Text(left), Seen::Text(right)) => left == right,
        (Seen::List(left), Seen::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Seen::Object(left), Seen::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right)))
        }
        _ => left == right,
    }
}

/// Below this, comparing all pairs is faster than writing keys.
const FEW: usize = 16;

/// The second of two equal items.
pub(super) fn repeated(items: &[Value]) -> Option<usize> {
    if items.len() <= FEW {
        return (1..items.len()).find(|&at| items[..at].iter().any(|earlier| equal(earlier, &items[at])));
    }
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().position(|item| {
        let mut key = String::new();
        write_key(item, &mut key);
        !seen.insert(key)
    })
}

/// A text that is the same for equal values only.
fn write_key(value: &Value, key: &mut String) {
    match Seen::of(value) {
        Seen::Number(Number::Integer(value)) => {
            let _ = write!(key, "{value}");
        }
        Seen::Number(number) => {
            let value = number.as_f64();
            // Below 2^53 every whole float is one integer only.
            match value.fract() == 0.0 && value.abs() < 9.0e15 {
                true => write!(key, "{}", value as i64),
                false => write!(key, "f{value:?}"),
            }
            .unwrap_or_default();
        }
        Seen::List(items) => {
            key.push('[');
            for item in items {
                write_key(item, key);
                key.push(',');
            }
            key.push(']');
        }
        Seen::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            key.push('{');
            for (name, value) in entries {
                let _ = write!(key, "{name:?}:");
                write_key(value, key);
                key.push(',');
            }
            key.push('}');
        }
        _ => key.push_str(&value.to_string()),
    }
}
