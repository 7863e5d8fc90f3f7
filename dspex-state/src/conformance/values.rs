//! That values come back bit for bit.

use serde_json::{Value as Json, json};

use super::Fixture;
use super::given::*;
use crate::record::SessionKey;
use crate::store::{StateStore, VariableQuery};
use crate::value::{Embedding, Encoded, Tensor, Value};

/// Writes values, and finds them again in all places.
async fn come_back(store: &dyn StateStore, key: SessionKey, values: Vec<Value>) {
    let name = |index: usize| format!("v{index:04}");
    let before = record(store, key).await.revision;
    let writes = values.iter().enumerate().map(|(index, value)| put(&name(index), value.clone())).collect();
    written(store, key, writes).await;
    let query = VariableQuery { values: true, limit: 10_000, ..Default::default() };
    let listed = store.variables(key, &query).await.unwrap();
    let (changes, _) = store.changes(key, before, 10_000).await.unwrap();
    for (index, wanted) in values.iter().enumerate() {
        let (found, _) = store.read(key, &name(index)).await.unwrap().unwrap();
        same(&found, wanted);
        let variable = store.variable(key, &name(index)).await.unwrap().unwrap();
        assert_eq!(variable.bytes, wanted.size() as u64);
        same(&variable.value.unwrap(), wanted);
        same(listed[index].value.as_ref().unwrap(), wanted);
        same(changes[index].value.as_ref().unwrap(), wanted);
        same(store.history(key, &name(index), 1).await.unwrap()[0].value.as_ref().unwrap(), wanted);
    }
}

/// Equality that tells -0.0 from 0.0, 1 from 1.0, and knows every NaN.
#[track_caller]
fn same(found: &Value, wanted: &Value) {
    assert_eq!(found.kind(), wanted.kind());
    if let (Value::Float(found), Value::Float(wanted)) = (found, wanted) {
        assert_eq!(found.to_bits(), wanted.to_bits(), "{found} is not {wanted}");
    }
    let (found, wanted) = (Encoded::of(found), Encoded::of(wanted));
    assert_eq!(found.form, wanted.form);
    assert!(found.data == wanted.data, "the bytes of a {} changed", found.kind);
}

pub(super) async fn values_of_every_type_come_back_bit_for_bit(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let mut values = vec![
        Value::Boolean(true),
        Value::Boolean(false),
        Value::Choice("b".to_owned()),
        Value::Module("dspy.ChainOfThought".to_owned()),
        Value::List(vec![]),
        Value::Dict(entries(json!({}))),
        Value::Embedding(Embedding::from(vec![])),
        Value::Embedding(Embedding::from(vec![0.1, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::NAN])),
        Value::Tensor(Tensor::new([2, 2], vec![1.0_f32, 2.0, 3.0, 4.0]).unwrap()),
    ];
    let whole = [0, 1, -1, i64::MAX, i64::MIN, (1 << 53) + 1, -(1 << 53) - 1];
    values.extend(whole.map(Value::Integer));
    let floats =
        [0.0, -0.0, 0.1, 1.0, 1e300, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::MIN, f64::EPSILON, 2e15, 1e21];
    values.extend(floats.map(Value::Float));
    let mut nested = json!([null, true, 0, -0.0, 1.0, 1, i64::MAX, u64::MAX, i64::MIN, 1e300, 5e-324, "\u{0}", {"": [{}]}]);
    values.push(Value::List(nested.as_array().unwrap().clone()));
    for _ in 0..50 {
        nested = json!([nested]);
    }
    values.push(Value::List(nested.as_array().unwrap().clone()));
    values.push(Value::Dict(entries(json!({"z": 1, "a": {"y": 2, "b": null}, "\u{0}": "x", "1": [1.5]}))));
    come_back(&*store, key, values).await;
}

pub(super) async fn tensors_keep_every_bit_of_their_numbers(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let quiet = f32::from_bits(0x7fc0_1234);
    let signalling = f64::from_bits(0xfff0_0000_0000_0001);
    let values = vec![
        Tensor::new([5], vec![quiet, f32::NEG_INFINITY, -0.0, f32::from_bits(1), f32::INFINITY]),
        Tensor::new([3, 1], vec![signalling, -0.0, f64::MAX]),
        Tensor::new([2], vec![i32::MIN, i32::MAX]),
        Tensor::new([1, 2, 1], vec![i64::MAX, (1 << 53) + 1]),
        Tensor::new([], vec![0.5_f64]),
        Tensor::new([0], Vec::<f32>::new()),
        Tensor::new([0, 3], Vec::<i64>::new()),
        Tensor::new([3, 0], Vec::<i64>::new()),
    ];
    come_back(&*store, key, values.into_iter().map(|tensor| Value::Tensor(tensor.unwrap())).collect()).await;
}

pub(super) async fn five_megabytes_come_back_bit_for_bit(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let numbers: Vec<f32> =
        (0..1_310_720_u32).map(|n| f32::from_bits(n.wrapping_mul(2_654_435_761))).collect();
    let long = "Wörter ".repeat(100_000);
    let list = (0..100_000).map(Json::from).collect();
    let tensor = Value::Tensor(Tensor::new([1280, 1024], numbers).unwrap());
    come_back(&*store, key, vec![tensor, text(&long), Value::List(list)]).await;
}

pub(super) async fn texts_of_all_scripts_are_kept(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let texts = [
        "",
        " ",
        "\u{0}",
        "a\u{0}b",
        "\u{feff}x",
        "\r\n\t",
        "\\u0000",
        "e\u{301}",
        "\u{1F469}\u{200D}\u{1F680}",
        "\u{10FFFF}",
        "' \" ` ; -- $1 ?",
    ];
    come_back(&*store, key, texts.map(text).into()).await;
    for name in ["变量", "переменная", "\u{1F980}\u{200D}", "a\tb\n"] {
        written(&*store, key, vec![create(name, text(name))]).await;
        assert_eq!(value(&*store, key, name).await, Some(text(name)));
        assert_eq!(store.history(key, name, 1).await.unwrap()[0].name, name);
    }
}
