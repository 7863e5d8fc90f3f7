//! Values as JSON, strictly: what is not of the type is refused, never bent.

use serde_json::{Map, Number, Value as Json, json};

use super::tensor::with_numbers;
use super::{Dtype, Element, Embedding, Mismatch, Tensor, Type, Value};

/// So many characters of a value are shown in a message.
const SHOWN: usize = 60;

impl Value {
    /// A value of a type from JSON. Tensors are nested lists of numbers, or
    /// `{"dtype": .., "shape": [..], "data": [..]}`; `dtype` is what the numbers of a nested list become, double precision without it.
    ///
    /// ```
    /// use dspex_state::{Type, Value};
    /// use serde_json::json;
    ///
    /// assert_eq!(Value::from_json(Type::Float, json!(1), None)?, Value::Float(1.0));
    /// let error = Value::from_json(Type::Integer, json!(true), None).unwrap_err();
    /// assert_eq!(error.to_string(), "expected an integer, found the boolean true");
    /// # Ok::<(), dspex_state::Mismatch>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the JSON is of another type.
    pub fn from_json(kind: Type, json: Json, dtype: Option<Dtype>) -> Result<Self, Mismatch> {
        let text = |json: Json, expected: &str| match json {
            Json::String(text) => Ok(text),
            other => Err(Mismatch::new(expected, describe(&other))),
        };
        match kind {
            Type::String => text(json, "a string").map(Self::String),
            Type::Choice => text(json, "one of the choices, a string").map(Self::Choice),
            Type::Module => text(json, "a module's dotted path, a string").map(Self::Module),
            Type::Integer => integer(&json).map(Self::Integer),
            Type::Float => float(&json).map(Self::Float),
            Type::Boolean => match json {
                Json::Bool(value) => Ok(Self::Boolean(value)),
                other => Err(Mismatch::new("a boolean", describe(&other))),
            },
            Type::List => match json {
                Json::Array(items) => Ok(Self::List(items)),
                other => Err(Mismatch::new("a list", describe(&other))),
            },
            Type::Dict => match json {
                Json::Object(entries) => Ok(Self::Dict(entries)),
                other => Err(Mismatch::new("a dict", describe(&other))),
            },
            Type::Tensor => tensor(&json, dtype).map(Self::Tensor),
            Type::Embedding => embedding(&json).map(Self::Embedding),
        }
    }

    /// The value as JSON. Tensors become `{"dtype": .., "shape": [..], "data": [..]}`, which is slow for large ones; numbers that
    /// JSON does not have, such as NaN, become null.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::String(text) | Self::Choice(text) | Self::Module(text) => Json::String(text.clone()),
            Self::Integer(value) => json!(value),
            Self::Float(value) => json!(value),
            Self::Boolean(value) => json!(value),
            Self::List(items) => Json::Array(items.clone()),
            Self::Dict(entries) => Json::Object(entries.clone()),
            Self::Tensor(tensor) => {
                let data = with_numbers!(tensor.data(), numbers => json!(**numbers));
                json!({"dtype": tensor.dtype(), "shape": tensor.shape(), "data": data})
            }
            Self::Embedding(embedding) => json!(embedding.as_slice()),
        }
    }
}

/// What a JSON value is, for a message: its type, and so much of it as fits.
pub(crate) fn describe(json: &Json) -> String {
    let kind = match json {
        Json::Null => return "null".to_owned(),
        Json::Bool(_) => "the boolean",
        Json::Number(_) => "the number",
        Json::String(_) => "the string",
        Json::Array(_) => "the list",
        Json::Object(_) => "the dict",
    };
    format!("{kind} {}", shown(json))
}

/// A JSON value, shortened.
pub(crate) fn shown(json: &Json) -> String {
    shorten(&json.to_string())
}

/// A text, shortened.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// About how long a value is as JSON text.
pub(crate) fn size(json: &Json) -> usize {
    match json {
        Json::Null | Json::Bool(_) => 5,
        Json::Number(_) => 8,
        Json::String(text) => text.len() + 2,
        Json::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Json::Object(entries) => {
            entries.iter().map(|(key, value)| key.len() + 4 + size(value)).sum::<usize>() + 2
        }
    }
}

fn integer(json: &Json) -> Result<i64, Mismatch> {
    match json {
        Json::Number(number) => match number.as_i64() {
            Some(value) => Ok(value),
            None if number.is_u64() => {
                Err(Mismatch::new("an integer of 64 bits with its sign", describe(json)))
            }
            None => Err(Mismatch::new("an integer", describe(json))),
        },
        other => Err(Mismatch::new("an integer", describe(other))),
    }
}

/// A float; whole numbers count as long as double precision holds them exactly.
fn float(json: &Json) -> Result<f64, Mismatch> {
    let Json::Number(number) = json else { return Err(Mismatch::new("a number", describe(json))) };
    let exact = |number: &Number| match number.as_i64() {
        Some(whole) => (whole as f64) as i128 == i128::from(whole),
        None => number.as_u64().is_none_or(|whole| (whole as f64) as u128 == u128::from(whole)),
    };
    match number.as_f64() {
        Some(value) if value.is_finite() && exact(number) => Ok(value),
        Some(value) if value.is_finite() => {
            Err(Mismatch::new("a number that double precision holds exactly", describe(json)))
        }
        _ => Err(Mismatch::new("a finite number", describe(json))),
    }
}

fn embedding(json: &Json) -> Result<Embedding, Mismatch> {
    let Json::Array(items) = json else {
        return Err(Mismatch::new("an embedding, a list of numbers", describe(json)));
    };
    let number =
        |(index, item): (usize, &Json)| single(item).map_err(|error| error.at(&format!("[{index}]")));
    items.iter().enumerate().map(number).collect::<Result<Vec<f32>, _>>().map(Embedding::from)
}

fn single(json: &Json) -> Result<f32, Mismatch> {
    let wide = json.as_f64().ok_or_else(|| Mismatch::new("a number", describe(json)))?;
    let narrow = wide as f32;
    if narrow.is_finite() {
        Ok(narrow)
    } else {
        Err(Mismatch::new("a finite number of single precision", describe(json)))
    }
}

fn tensor(json: &Json, dtype: Option<Dtype>) -> Result<Tensor, Mismatch> {
    match json {
        Json::Object(entries) => spelled_out(entries),
        _ => {
            let (mut shape, mut numbers) = (Vec::new(), Vec::new());
            flatten(json, 0, &mut shape, &mut numbers)?;
            collect(dtype.unwrap_or(Dtype::Float64), shape, &numbers)
        }
    }
}

/// `{"dtype": .., "shape": .., "data": ..}`.
fn spelled_out(entries: &Map<String, Json>) -> Result<Tensor, Mismatch> {
    const FORM: &str = "a tensor: nested lists of numbers, or {\"dtype\", \"shape\", \"data\"}";
    if let Some(key) = entries.keys().find(|key| !["dtype", "shape", "data"].contains(&key.as_str())) {
        return Err(Mismatch::new(FORM, format!("the key {key:?}")));
    }
    let part = |name: &str| entries.get(name).ok_or_else(|| Mismatch::new(FORM, format!("no {name:?}")));
    let dtype = part("dtype")?;
    let dtype = dtype
        .as_str()
        .and_then(Dtype::of_name)
        .ok_or_else(|| Mismatch::new("float32, float64, int32 or int64", describe(dtype)).at(".dtype"))?;
    let shape = part("shape")?;
    let shape: Vec<usize> = serde_json::from_value(shape.clone())
        .map_err(|_| Mismatch::new("a list of sizes", describe(shape)).at(".shape"))?;
    match part("data")? {
        Json::Array(numbers) => {
            let numbers: Vec<&Json> = numbers.iter().collect();
            collect(dtype, shape, &numbers).map_err(|error| error.at(".data"))
        }
        other => Err(Mismatch::new("a list of numbers", describe(other)).at(".data")),
    }
}

/// The numbers of nested lists in order, and the shape that all of them agree on.
fn flatten<'a>(
    json: &'a Json,
    depth: usize,
    shape: &mut Vec<usize>,
    numbers: &mut Vec<&'a Json>,
) -> Result<(), Mismatch> {
    match json {
        Json::Array(items) => {
            if numbers.is_empty() && shape.len() == depth {
                shape.push(items.len());
            }
            if shape.get(depth) != Some(&items.len()) {
                let expected = match shape.get(depth) {
                    Some(size) => format!("a list of {size}, as its neighbours are"),
                    None => "a number, as its neighbours are".to_owned(),
                };
                return Err(Mismatch::new(expected, format!("a list of {}", items.len())));
            }
            items.iter().enumerate().try_for_each(|(index, item)| {
                flatten(item, depth + 1, shape, numbers).map_err(|error| error.at(&format!("[{index}]")))
            })
        }
        Json::Number(_) if depth == shape.len() => {
            numbers.push(json);
            Ok(())
        }
        Json::Number(_) => Err(Mismatch::new(format!("a list of {}", shape[depth]), describe(json))),
        other => Err(Mismatch::new("a number or a list of numbers", describe(other))),
    }
}

fn collect(dtype: Dtype, shape: Vec<usize>, numbers: &[&Json]) -> Result<Tensor, Mismatch> {
    fn all<T: Element>(
        shape: Vec<usize>,
        numbers: &[&Json],
        number: impl Fn(&Json) -> Result<T, Mismatch>,
    ) -> Result<Tensor, Mismatch> {
        let numbers: Vec<T> = numbers.iter().map(|json| number(json)).collect::<Result<_, _>>()?;
        Tensor::new(shape, numbers)
            .map_err(|error| Mismatch::new("as many numbers as the shape has places", error.to_string()))
    }
    match dtype {
        Dtype::Float32 => all(shape, numbers, single),
        Dtype::Float64 => all(shape, numbers, float),
        Dtype::Int32 => all(shape, numbers, |json| {
            let value = integer(json)?;
            i32::try_from(value).map_err(|_| Mismatch::new("an integer of 32 bits", describe(json)))
        }),
        Dtype::Int64 => all(shape, numbers, integer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Type, json: Json) -> Result<Value, String> {
        Value::from_json(kind, json, None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_nested_list_is_a_tensor() {
        let Ok(Value::Tensor(tensor)) = of(Type::Tensor, json!([[1, 2], [3, 4]])) else { panic!() };
        assert_eq!(tensor.shape(), [2, 2]);
        assert_eq!(tensor.as_slice::<f64>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        let typed = Value::from_json(Type::Tensor, json!([1, 2]), Some(Dtype::Int32)).unwrap();
        assert_eq!(typed, Value::Tensor(Tensor::new([2], vec![1_i32, 2]).unwrap()));
    }

    #[test]
    fn tensors_come_back_from_their_json() {
        for tensor in [
            Tensor::new([2, 2], vec![1.5_f32, -0.0, 3.25, f32::MIN_POSITIVE]).unwrap(),
            Tensor::new([1], vec![i64::MAX]).unwrap(),
            Tensor::new([0, 3], Vec::<i32>::new()).unwrap(),
            Tensor::new([], vec![0.1_f64]).unwrap(),
        ] {
            let value = Value::Tensor(tensor);
            assert_eq!(of(Type::Tensor, value.to_json()).unwrap(), value);
        }
    }

    #[test]
    fn ragged_lists_are_refused_with_their_place() {
        let error = of(Type::Tensor, json!([[1, 2], [3]])).unwrap_err();
        assert_eq!(error, "expected a list of 2, as its neighbours are at [1], found a list of 1");
        let error = of(Type::Tensor, json!([[1, 2], 3])).unwrap_err();
        assert_eq!(error, "expected a list of 2 at [1], found the number 3");
        let error = of(Type::Tensor, json!([1, [2]])).unwrap_err();
        assert_eq!(error, "expected a number, as its neighbours are at [1], found a list of 1");
        let error = of(Type::Tensor, json!([[1, true]])).unwrap_err();
        assert_eq!(error, "expected a number or a list of numbers at [0][1], found the boolean true");
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(
            of(Type::Integer, json!(9_007_199_254_740_993_i64)).unwrap(),
            Value::Integer(9_007_199_254_740_993)
        );
        assert!(of(Type::Float, json!(9_007_199_254_740_993_i64)).unwrap_err().contains("exactly"));
        assert!(of(Type::Integer, json!(u64::MAX)).unwrap_err().contains("64 bits"));
        assert!(of(Type::Integer, json!(3.0)).unwrap_err().contains("an integer"));
        assert!(of(Type::Boolean, json!(1)).is_err());
        assert!(of(Type::Float, json!("1")).is_err());
        assert!(of(Type::Embedding, json!([1e300])).unwrap_err().contains("single precision at [0]"));
    }
}
