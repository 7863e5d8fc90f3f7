//! Rust's own types as values of variables, and back.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use ndarray::{Array, Dimension};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::json::describe;
use super::{Dtype, Element, Embedding, Mismatch, Tensor, Type, Value};

/// What a variable can be set to. The variable's type decides what becomes of it: a text can be a string, a choice or a module.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a variable",
    note = "for a type of your own with serde, pass `serde_json::to_value(value)?` to a list or dict"
)]
pub trait IntoVariable {
    /// The value of a variable of this type. `dtype` is what the variable's constraints ask for, for tensors.
    ///
    /// # Errors
    ///
    /// If it is no value of that type.
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch>;
}

/// What the value of a variable can be read as.
#[diagnostic::on_unimplemented(message = "the value of a variable cannot be read as `{Self}`")]
pub trait FromVariable: Sized {
    /// The value as this type.
    ///
    /// # Errors
    ///
    /// If it is of another type, or does not fit into this one.
    fn from_value(value: Value) -> Result<Self, Mismatch>;
}

impl IntoVariable for Value {
    fn into_value(self, kind: Type, _: Option<Dtype>) -> Result<Value, Mismatch> {
        if self.kind() == kind { Ok(self) } else { Err(Mismatch::new(kind.name(), self.kind().name())) }
    }
}

impl FromVariable for Value {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        Ok(value)
    }
}

impl IntoVariable for Json {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        Value::from_json(kind, self, dtype)
    }
}

impl FromVariable for Json {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        Ok(value.to_json())
    }
}

/// By way of JSON, which refuses what is of another type.
macro_rules! by_json {
    ($($ty:ty),*) => {$(
        impl IntoVariable for $ty {
            fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
                Value::from_json(kind, Json::from(self), dtype)
            }
        }
    )*};
}
by_json!(i8, i16, i32, i64, u8, u16, u32, u64, bool, String, &str);

impl IntoVariable for f64 {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        match kind {
            // JSON has no name for NaN, which the message should show.
            Type::Float if !self.is_finite() => Err(Mismatch::new("a finite number", format!("{self}"))),
            Type::Float => Ok(Value::Float(self)),
            _ => Value::from_json(kind, Json::from(self), dtype),
        }
    }
}

impl IntoVariable for f32 {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        f64::from(self).into_value(kind, dtype)
    }
}

macro_rules! from_whole {
    ($($ty:ty),*) => {$(
        impl FromVariable for $ty {
            fn from_value(value: Value) -> Result<Self, Mismatch> {
                let Value::Integer(whole) = value else { return Err(unlike("an integer", &value)) };
                Self::try_from(whole).map_err(|_| Mismatch::new(concat!("a number that fits ", stringify!($ty)), whole.to_string()))
            }
        }
    )*};
}
from_whole!(i8, i16, i32, i64, u8, u16, u32, u64);

impl FromVariable for f64 {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Float(number) => Ok(number),
            other => Err(unlike("a float", &other)),
        }
    }
}

impl FromVariable for f32 {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        f64::from_value(value).map(|wide| wide as Self)
    }
}

impl FromVariable for bool {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Boolean(value) => Ok(value),
            other => Err(unlike("a boolean", &other)),
        }
    }
}

impl FromVariable for String {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::String(text) | Value::Choice(text) | Value::Module(text) => Ok(text),
            other => Err(unlike("a string, choice or module", &other)),
        }
    }
}

impl<T: Serialize + 'static> IntoVariable for Vec<T> {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        // Numbers for an embedding do not go through JSON.
        if kind == Type::Embedding
            && let Some(numbers) = (&self as &dyn Any).downcast_ref::<Vec<f32>>()
        {
            return Ok(Value::Embedding(numbers.clone().into()));
        }
        Value::from_json(kind, to_json(&self)?, dtype)
    }
}

impl<T: Serialize + Clone + 'static, const N: usize> IntoVariable for [T; N] {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        Vec::from(self).into_value(kind, dtype)
    }
}

impl<T: DeserializeOwned> FromVariable for Vec<T> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| from_json(item).map_err(|error| error.at(&format!("[{index}]"))))
                .collect(),
            Value::Embedding(_) => from_json(value.to_json()),
            other => Err(unlike("a list or an embedding", &other)),
        }
    }
}

macro_rules! maps {
    ($($map:ident),*) => {$(
        impl<T: Serialize> IntoVariable for $map<String, T> {
            fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
                Value::from_json(kind, to_json(&self)?, dtype)
            }
        }

        impl<T: DeserializeOwned> FromVariable for $map<String, T> {
            fn from_value(value: Value) -> Result<Self, Mismatch> {
                let Value::Dict(entries) = value else { return Err(unlike("a dict", &value)) };
                let entry = |(key, value): (String, Json)| {
                    from_json(value).map_err(|error| error.at(&format!(".{key}"))).map(|value| (key, value))
                };
                entries.into_iter().map(entry).collect()
            }
        }
    )*};
}
maps!(BTreeMap, HashMap);

impl IntoVariable for Map<String, Json> {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        Value::from_json(kind, Json::Object(self), dtype)
    }
}

impl IntoVariable for Tensor {
    fn into_value(self, kind: Type, _: Option<Dtype>) -> Result<Value, Mismatch> {
        match kind {
            Type::Tensor => Ok(Value::Tensor(self)),
            other => Err(Mismatch::new(other.name(), format!("{self:?}"))),
        }
    }
}

impl FromVariable for Tensor {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Tensor(tensor) => Ok(tensor),
            other => Err(unlike("a tensor", &other)),
        }
    }
}

impl<T: Element, D: Dimension> IntoVariable for Array<T, D> {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        Tensor::from(self).into_value(kind, dtype)
    }
}

impl IntoVariable for Embedding {
    fn into_value(self, kind: Type, _: Option<Dtype>) -> Result<Value, Mismatch> {
        match kind {
            Type::Embedding => Ok(Value::Embedding(self)),
            other => Err(Mismatch::new(other.name(), format!("{self:?}"))),
        }
    }
}

impl FromVariable for Embedding {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        match value {
            Value::Embedding(embedding) => Ok(embedding),
            other => Err(unlike("an embedding", &other)),
        }
    }
}

fn unlike(expected: &str, value: &Value) -> Mismatch {
    let found = match value {
        Value::Tensor(tensor) => format!("{tensor:?}"),
        Value::Embedding(embedding) => format!("{embedding:?}"),
        other => format!("the {} {}", other.kind(), super::json::shown(&other.to_json())),
    };
    Mismatch::new(expected, found)
}

fn to_json(value: &impl Serialize) -> Result<Json, Mismatch> {
    serde_json::to_value(value)
        .map_err(|error| Mismatch::new("a value that JSON can hold", error.to_string()))
}

fn from_json<T: DeserializeOwned>(json: Json) -> Result<T, Mismatch> {
    let found = describe(&json);
    serde_json::from_value(json).map_err(|error| {
        // serde's message names what it wanted.
        Mismatch::new(error.to_string(), found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_the_variable_is() {
        assert_eq!("a".into_value(Type::String, None).unwrap(), Value::String("a".into()));
        assert_eq!("a".into_value(Type::Choice, None).unwrap(), Value::Choice("a".into()));
        assert!("a".into_value(Type::Integer, None).is_err());
    }

    #[test]
    fn vectors_become_lists_embeddings_and_tensors() {
        assert_eq!(
            vec![0.5_f32].into_value(Type::Embedding, None).unwrap(),
            Value::Embedding(vec![0.5].into())
        );
        assert_eq!([0.5_f64].into_value(Type::Embedding, None).unwrap(), Value::Embedding(vec![0.5].into()));
        assert!(matches!(vec![vec![1, 2]].into_value(Type::Tensor, None), Ok(Value::Tensor(_))));
        assert_eq!(vec!["a"].into_value(Type::List, None).unwrap(), Value::List(vec!["a".into()]));
        assert_eq!(Vec::<String>::from_value(Value::List(vec!["a".into()])).unwrap(), ["a"]);
    }

    #[test]
    fn nan_is_named_in_the_message() {
        let error = f64::NAN.into_value(Type::Float, None).unwrap_err();
        assert_eq!(error.to_string(), "expected a finite number, found NaN");
    }

    #[test]
    fn what_does_not_fit_the_rust_type_is_refused() {
        assert!(u8::from_value(Value::Integer(256)).unwrap_err().to_string().contains("fits u8"));
        assert!(f64::from_value(Value::Integer(1)).is_err());
        let error = Vec::<bool>::from_value(Value::List(vec![true.into(), 1.into()])).unwrap_err();
        assert_eq!(error.path, "[1]");
    }
}
