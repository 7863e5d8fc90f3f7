//! The types of Python annotations, reduced to what a program in another language needs.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The type of a parameter or output. In a snapshot it is an object whose `k` names the kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "k", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Type {
    /// `str`
    Str,
    /// `int`, of any size
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
    /// `bytes`
    Bytes,
    /// Anything, or nothing known.
    #[default]
    Any,
    /// `None`
    None,
    /// `list[of]`
    List {
        /// Its elements.
        of: Box<Type>,
    },
    /// `set[of]`
    Set {
        /// Its elements.
        of: Box<Type>,
    },
    /// `tuple[of...]`
    Tuple {
        /// Its elements, in order.
        of: Vec<Type>,
    },
    /// `dict[key, value]`
    Map {
        /// Its keys.
        key: Box<Type>,
        /// Its values.
        value: Box<Type>,
    },
    /// `of | None`
    Option {
        /// What it is when it is not `None`.
        of: Box<Type>,
    },
    /// One of several types.
    Union {
        /// The alternatives.
        of: Vec<Type>,
    },
    /// One of several values.
    Literal {
        /// The values.
        values: Vec<Value>,
    },
    /// A Python `enum`.
    Enum {
        /// Its qualified name.
        name: String,
        /// The values of its members, where they are known.
        values: Vec<Value>,
    },
    /// An instance of a class.
    Ref {
        /// The public name of the class.
        name: String,
    },
    /// A class itself, not an instance.
    Class,
    /// Something that can be called.
    Callable,
    /// Something that can be awaited.
    Awaitable,
    /// A type variable.
    TypeVar,
    /// An annotation that could not be resolved.
    Unresolved {
        /// The annotation as written.
        expr: String,
    },
    /// Anything else, kinds of a newer snapshot included.
    Opaque {
        /// What is known about it.
        repr: String,
    },
}

impl From<Value> for Type {
    /// Never fails: a kind that this release does not know becomes [`Type::Opaque`], and a container that does not
    /// say of what (a bare `list`) is one of anything.
    fn from(value: Value) -> Self {
        let Some(kind) = value.get("k").and_then(Value::as_str) else {
            return if value.is_null() { Self::Any } else { Self::Opaque { repr: value.to_string() } };
        };
        let one = |key: &str| Box::new(value.get(key).cloned().map_or(Self::Any, Self::from));
        let many = |key: &str| match value.get(key) {
            Some(Value::Array(items)) => items.iter().cloned().map(Self::from).collect(),
            _ => Vec::new(),
        };
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let values = || value.get("values").and_then(Value::as_array).cloned().unwrap_or_default();
        match kind {
            "str" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "bytes" => Self::Bytes,
            "any" => Self::Any,
            "none" => Self::None,
            "list" => Self::List { of: one("of") },
            "set" => Self::Set { of: one("of") },
            "tuple" => Self::Tuple { of: many("of") },
            "map" => Self::Map { key: one("key"), value: one("value") },
            "option" => Self::Option { of: one("of") },
            "union" => Self::Union { of: many("of") },
            "literal" => Self::Literal { values: values() },
            "enum" => Self::Enum { name: text("name"), values: values() },
            "ref" => Self::Ref { name: text("name") },
            "class" => Self::Class,
            "callable" => Self::Callable,
            "awaitable" => Self::Awaitable,
            "typevar" => Self::TypeVar,
            "unresolved" => Self::Unresolved { expr: text("expr") },
            "opaque" => Self::Opaque { repr: text("repr") },
            _ => Self::Opaque { repr: value.to_string() },
        }
    }
}

impl<'de> Deserialize<'de> for Type {
    /// As [`Type::from`] a value, without making the value first: macros read classes without optimisation.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a type from a document.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Type;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type")
    }

    fn visit_unit<E>(self) -> Result<Type, E> {
        Ok(Type::Any)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Type, E> {
        Ok(Type::from(Value::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Type, E> {
        Ok(Type::from(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Type, E> {
        Ok(Type::from(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Type, E> {
        Ok(Type::from(Value::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Type, E> {
        Ok(Type::from(Value::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Type, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Type::from(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Type, A::Error> {
        let mut read = Map::new();
        if let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<Value>()?;
            // The kind stands first in every document that this crate has written.
            let plain = if key == "k" { value.as_str().and_then(plain) } else { None };
            match plain {
                Some(Plain::Whole(ty)) => {
                    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    return Ok(ty);
                }
                Some(Plain::Of(container)) => {
                    let mut of = Type::Any;
                    while let Some(key) = map.next_key::<String>()? {
                        match key.as_str() {
                            "of" => of = map.next_value()?,
                            _ => drop(map.next_value::<IgnoredAny>()?),
                        }
                    }
                    return Ok(container(Box::new(of)));
                }
                None => drop(read.insert(key, value)),
            }
        }
        while let Some((key, value)) = map.next_entry()? {
            read.insert(key, value);
        }
        Ok(Type::from(Value::Object(read)))
    }
}

/// A kind that can be read as it comes.
enum Plain {
    Whole(Type),
    Of(fn(Box<Type>) -> Type),
}

fn plain(kind: &str) -> Option<Plain> {
    Some(match kind {
        "str" => Plain::Whole(Type::Str),
        "int" => Plain::Whole(Type::Int),
        "float" => Plain::Whole(Type::Float),
        "bool" => Plain::Whole(Type::Bool),
        "any" => Plain::Whole(Type::Any),
        "none" => Plain::Whole(Type::None),
        "class" => Plain::Whole(Type::Class),
        "callable" => Plain::Whole(Type::Callable),
        "list" => Plain::Of(|of| Type::List { of }),
        "set" => Plain::Of(|of| Type::Set { of }),
        "option" => Plain::Of(|of| Type::Option { of }),
        _ => return None,
    })
}

impl Type {
    /// Whether a JSON value is acceptable where this type is asked for. As in Python an integer does for a float,
    /// and a boolean is no integer here although it is one in Python, where that is nearly always a mistake. Types
    /// about which too little is known accept everything.
    pub fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::Str => value.is_string(),
            Self::Int => value.is_i64() || value.is_u64(),
            Self::Float => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::None => value.is_null(),
            Self::List { of } | Self::Set { of } => {
                value.as_array().is_some_and(|items| items.iter().all(|item| of.accepts(item)))
            }
            Self::Tuple { of } => value.as_array().is_some_and(|items| {
                items.len() == of.len() && of.iter().zip(items).all(|(ty, item)| ty.accepts(item))
            }),
            Self::Map { value: of, .. } => {
                value.as_object().is_some_and(|map| map.values().all(|item| of.accepts(item)))
            }
            Self::Option { of } => value.is_null() || of.accepts(value),
            Self::Union { of } => of.iter().any(|ty| ty.accepts(value)),
            Self::Literal { values } => values.contains(value),
            Self::Enum { values, .. } => values.is_empty() || values.contains(value),
            _ => true,
        }
    }
}

impl fmt::Display for Type {
    /// The type as a person writes it in Python.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Type], separator: &str| {
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    f.write_str(separator)?;
                }
                item.fmt(f)?;
            }
            Ok(())
        };
        match self {
            Self::Str => f.write_str("str"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Bool => f.write_str("bool"),
            Self::Bytes => f.write_str("bytes"),
            Self::Any => f.write_str("Any"),
            Self::None => f.write_str("None"),
            Self::List { of } => write!(f, "list[{of}]"),
            Self::Set { of } => write!(f, "set[{of}]"),
            Self::Tuple { of } => {
                f.write_str("tuple[")?;
                list(f, of, ", ")?;
                f.write_str("]")
            }
            Self::Map { key, value } => write!(f, "dict[{key}, {value}]"),
            Self::Option { of } => write!(f, "{of} | None"),
            Self::Union { of } => list(f, of, " | "),
            Self::Literal { values } => {
                f.write_str("Literal[")?;
                for (position, value) in values.iter().enumerate() {
                    let separator = if position > 0 { ", " } else { "" };
                    write!(f, "{separator}{value}")?;
                }
                f.write_str("]")
            }
            Self::Enum { name, .. } | Self::Ref { name } => f.write_str(name),
            Self::Class => f.write_str("type"),
            Self::Callable => f.write_str("Callable"),
            Self::Awaitable => f.write_str("Awaitable"),
            Self::TypeVar => f.write_str("TypeVar"),
            Self::Unresolved { expr } => f.write_str(expr),
            Self::Opaque { repr } => f.write_str(repr),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ty(value: Value) -> Type {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_nested_type_is_read_and_shown_as_python_writes_it() {
        let read = ty(
            json!({"k": "map", "key": {"k": "str"}, "value": {"k": "option", "of": {"k": "list", "of": {"k": "int"}}}}),
        );
        assert_eq!(read.to_string(), "dict[str, list[int] | None]");
    }

    #[test]
    fn a_type_survives_being_written() {
        for value in [
            json!({"k": "str"}),
            json!({"k": "tuple", "of": [{"k": "int"}, {"k": "float"}]}),
            json!({"k": "literal", "values": ["a", 1, null]}),
            json!({"k": "ref", "name": "dspy.LM"}),
            json!({"k": "unresolved", "expr": "PIL.Image"}),
        ] {
            assert_eq!(serde_json::to_value(ty(value.clone())).unwrap(), value);
        }
    }

    #[test]
    fn a_type_is_the_same_read_from_text_and_from_a_value() {
        for text in [
            r#"{"k": "str", "more": [1]}"#,
            r#"{"k": "list", "of": {"k": "option", "of": {"k": "int"}}}"#,
            r#"{"of": {"k": "int"}, "k": "list"}"#,
            r#"{"k": "set"}"#,
            r#"{"k": "list", "of": null}"#,
            r#"{"k": "map", "key": {"k": "str"}, "value": {"k": "list", "of": 3}}"#,
            r#"{"k": "literal", "values": ["\u00e9", -1]}"#,
            r#"{"k": 3}"#,
            "{}",
            "null",
            "[1, null]",
            "-1.5",
            "\"str\"",
            "true",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::from_str::<Type>(text).unwrap(), Type::from(value), "{text}");
        }
    }

    #[test]
    fn an_unknown_kind_is_opaque_and_accepts_everything() {
        let read = ty(json!({"k": "stream", "of": {"k": "str"}}));
        assert!(matches!(read, Type::Opaque { .. }));
        assert!(read.accepts(&json!(1)));
    }

    #[test]
    fn a_bare_container_is_one_of_anything() {
        assert_eq!(ty(json!({"k": "list"})), Type::List { of: Box::new(Type::Any) });
        assert_eq!(ty(json!({"k": "map"})).to_string(), "dict[Any, Any]");
    }

    #[test]
    fn values_are_checked_against_the_type() {
        let int = ty(json!({"k": "int"}));
        assert!(int.accepts(&json!(3)) && !int.accepts(&json!(3.0)) && !int.accepts(&json!(true)));
        assert!(ty(json!({"k": "float"})).accepts(&json!(3)));
        let names = ty(json!({"k": "list", "of": {"k": "str"}}));
        assert!(
            names.accepts(&json!(["a"])) && !names.accepts(&json!(["a", 1])) && !names.accepts(&json!("a"))
        );
        let either = ty(json!({"k": "union", "of": [{"k": "int"}, {"k": "none"}]}));
        assert!(either.accepts(&json!(null)) && either.accepts(&json!(1)) && !either.accepts(&json!("1")));
        let choice = ty(json!({"k": "literal", "values": ["a", "b"]}));
        assert!(choice.accepts(&json!("a")) && !choice.accepts(&json!("c")));
        let pair = ty(json!({"k": "tuple", "of": [{"k": "int"}, {"k": "str"}]}));
        assert!(pair.accepts(&json!([1, "a"])) && !pair.accepts(&json!([1])));
    }
}
