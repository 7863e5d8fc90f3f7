//! Lists of numbers that travelled as arrays: they mean what they mean in JSON, without having been text.

use dspex_state::{Dtype, Element, Mismatch, Tensor, TensorError, Type, Value};
use serde_json::{Value as Json, json};

use super::given::{at, mismatch};

/// The list as the value of a variable.
pub(super) fn into_value(list: &Tensor, kind: Type, dtype: Option<Dtype>) -> Result<Value, Mismatch> {
    if kind != Type::Tensor {
        return Value::from_json(kind, nested(list)?, None);
    }
    let dtype = dtype.unwrap_or(Dtype::Float64);
    let tensor =
        if list.dtype() == Dtype::Int64 { from_whole(list, dtype) } else { from_floats(list, dtype) };
    tensor.map(Value::Tensor)
}

fn from_whole(list: &Tensor, dtype: Dtype) -> Result<Tensor, Mismatch> {
    match dtype {
        Dtype::Int64 => Ok(list.clone()),
        Dtype::Int32 => cast(list, |whole: i64| i32::try_from(whole).map_err(|_| "an integer of 32 bits")),
        Dtype::Float32 => cast(list, |whole: i64| Ok(whole as f32)),
        _ => cast(list, |whole: i64| {
            let float = whole as f64;
            if float as i128 == i128::from(whole) {
                Ok(float)
            } else {
                Err("a number that double precision holds exactly")
            }
        }),
    }
}

fn from_floats(list: &Tensor, dtype: Dtype) -> Result<Tensor, Mismatch> {
    match dtype {
        Dtype::Float32 => cast(list, |float: f64| {
            let narrow = float as f32;
            if narrow.is_finite() { Ok(narrow) } else { Err("a finite number of single precision") }
        }),
        Dtype::Int32 => cast::<f64, i32>(list, |_| Err("an integer of 32 bits")),
        Dtype::Int64 => cast::<f64, i64>(list, |_| Err("an integer")),
        _ => cast(list, |float: f64| if float.is_finite() { Ok(float) } else { Err("a finite number") }),
    }
}

fn cast<T: Element, U: Element>(
    list: &Tensor,
    convert: impl Fn(T) -> Result<U, &'static str>,
) -> Result<Tensor, Mismatch> {
    let numbers = list.as_slice::<T>().map_err(odd)?.iter().enumerate().map(|(index, number)| {
        let refused = |expected| at(&place(list.shape(), index), mismatch(expected, format!("{number:?}")));
        convert(*number).map_err(refused)
    });
    Tensor::new(list.shape(), numbers.collect::<Result<Vec<_>, _>>()?).map_err(odd)
}

/// Where a number is, as `[1][0]`.
fn place(shape: &[usize], mut index: usize) -> String {
    let mut place = String::new();
    for size in shape.iter().rev() {
        place.insert_str(0, &format!("[{}]", index % size));
        index /= size;
    }
    place
}

/// The list as JSON, for variables that hold lists, and for the words of those that do not take it.
fn nested(list: &Tensor) -> Result<Json, Mismatch> {
    let numbers: Vec<Json> = if list.dtype() == Dtype::Int64 {
        list.as_slice::<i64>().map_err(odd)?.iter().map(|whole| json!(whole)).collect()
    } else {
        from_floats(list, Dtype::Float64)?.as_slice::<f64>().map_err(odd)?.iter().map(|x| json!(x)).collect()
    };
    // From the innermost lists outwards.
    let lists = list.shape().iter().skip(1).rev().fold(numbers, |items, size| {
        items.chunks((*size).max(1)).map(|chunk| Json::Array(chunk.to_vec())).collect()
    });
    Ok(Json::Array(lists))
}

/// The worker sends lists in double precision or as whole numbers of 64 bits.
fn odd(error: TensorError) -> Mismatch {
    mismatch("a list of numbers", error.to_string())
}
