//! Values as they come from Python, and what becomes of them for a variable.

use dspex_state::{Dtype, Element, Embedding, IntoVariable, Mismatch, Tensor, Type, Value};
use serde_json::{Map, Value as Json};

use super::list;
use crate::proto::Attachment;
use crate::wire::Tag;

/// A value from Python, before it is known what the variable takes.
#[derive(Debug)]
pub(super) enum Given {
    Json(Json),
    Numbers(Tensor),
    /// A list of numbers, or of such lists, which only travels as an array.
    List(Tensor),
    /// An array of numbers that no tensor has.
    Foreign(String),
}

impl IntoVariable for Given {
    fn into_value(self, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
        match self {
            Self::Json(json) => Value::from_json(kind, plain(json)?, dtype),
            Self::Numbers(tensor) | Self::List(tensor) if kind == Type::Embedding => {
                vector(&tensor).map(Value::Embedding)
            }
            Self::List(tensor) => list::into_value(&tensor, kind, dtype),
            Self::Numbers(tensor) => tensor.into_value(kind, dtype),
            Self::Foreign(found) => {
                Err(mismatch("numbers of float32, float64, int32 or int64", format!("an array of {found}")))
            }
        }
    }
}

impl Given {
    /// The numbers of an attachment; else what is wrong with it.
    pub(super) fn numbers(attachment: &Attachment, was_list: bool) -> Result<Self, String> {
        let Some(dtype) = Dtype::of_name(&attachment.dtype) else {
            return Ok(Self::Foreign(attachment.dtype.clone()));
        };
        let shape = attachment.shape.iter().map(|size| usize::try_from(*size));
        let shape: Vec<usize> = shape.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let tensor = Tensor::from_le_bytes(dtype, shape, &attachment.data);
        let tensor = tensor.map_err(|error| error.to_string())?;
        Ok(if was_list { Self::List(tensor) } else { Self::Numbers(tensor) })
    }
}

/// An array of one dimension as an embedding, with the same rules as a list of numbers.
fn vector(tensor: &Tensor) -> Result<Embedding, Mismatch> {
    if tensor.shape().len() != 1 {
        return Err(mismatch("an embedding, an array of one dimension", format!("{tensor:?}")));
    }
    match tensor.dtype() {
        Dtype::Float32 => narrowed(tensor, |number: f32| number),
        Dtype::Int32 => narrowed(tensor, |number: i32| number as f32),
        Dtype::Int64 => narrowed(tensor, |number: i64| number as f32),
        // Double precision, and whatever tensors may hold some day and not here.
        _ => narrowed(tensor, |number: f64| number as f32),
    }
}

fn narrowed<T: Element>(tensor: &Tensor, narrow: impl Fn(T) -> f32) -> Result<Embedding, Mismatch> {
    let numbers =
        tensor.as_slice::<T>().map_err(|error| mismatch("numbers of single precision", error.to_string()))?;
    let narrow = |(index, number): (usize, &T)| {
        let narrowed = narrow(*number);
        if narrowed.is_finite() {
            return Ok(narrowed);
        }
        let expected = "a finite number of single precision";
        Err(at(&format!("[{index}]"), mismatch(expected, format!("{number:?}"))))
    };
    numbers.iter().enumerate().map(narrow).collect::<Result<Vec<f32>, _>>().map(Embedding::from)
}

/// JSON without the wire's tags. What they stand for, beside objects that look like them, no variable holds.
pub(super) fn plain(json: Json) -> Result<Json, Mismatch> {
    match Tag::of(&json) {
        Ok(None) => {}
        Ok(Some(Tag::Object(object))) => return entries(object.clone()),
        Ok(Some(tag)) => return Err(unheld(&tag)),
        Err(error) => return Err(mismatch("a value that JSON can hold", error.to_string())),
    }
    match json {
        Json::Array(items) => {
            let item = |(index, item)| plain(item).map_err(|error| at(&format!("[{index}]"), error));
            items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Json::Array)
        }
        Json::Object(object) => entries(object),
        scalar => Ok(scalar),
    }
}

fn entries(object: Map<String, Json>) -> Result<Json, Mismatch> {
    let entry = |(key, value): (String, Json)| match plain(value) {
        Ok(value) => Ok((key, value)),
        Err(error) => Err(at(&format!(".{key}"), error)),
    };
    object.into_iter().map(entry).collect::<Result<_, _>>().map(Json::Object)
}

fn unheld(tag: &Tag<'_>) -> Mismatch {
    match tag {
        Tag::Float(number) => mismatch("a finite number", number.to_string()),
        Tag::Int(digits) => mismatch("an integer of 64 bits with its sign", (*digits).to_owned()),
        Tag::Bytes(bytes) => mismatch("a value that JSON can hold", format!("{} bytes", bytes.len())),
        Tag::Str(_) => mismatch("Unicode", "a text with half of a surrogate pair".to_owned()),
        Tag::Opaque { python_type, .. } => {
            mismatch("a value that JSON can hold", format!("an object of Python, {python_type}"))
        }
        // Whatever comes to be a tag.
        other => mismatch("a value that JSON can hold", format!("{other:?}")),
    }
}

pub(super) fn mismatch(expected: &str, found: String) -> Mismatch {
    Mismatch { expected: expected.to_owned(), found, path: String::new() }
}

pub(super) fn at(place: &str, mut error: Mismatch) -> Mismatch {
    error.path.insert_str(0, place);
    error
}
