//! The JSON of payloads: what survives, and what is an error with a place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::{BTreeMap, HashMap};

use dspex_runtime::wire::{self, Tag, WireErrorKind};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn text(value: &impl Serialize) -> String {
    String::from_utf8(wire::to_vec(value).unwrap()).unwrap()
}

fn back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    wire::from_slice(&wire::to_vec(value).unwrap()).unwrap()
}

/// Bytes as `serde_bytes` passes them.
#[derive(Debug, Clone, PartialEq)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("bytes")
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(f64, i128),
    Box { width: f64, label: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    float: f64,
    small: f32,
    wide: i128,
    wider: u128,
    blob: Blob,
    list: Vec<Option<f64>>,
    by_number: BTreeMap<i64, f64>,
    by_text: HashMap<String, Shape>,
    pair: (u8, char),
    unit: (),
    dynamic: Value,
}

#[test]
fn what_json_cannot_hold_is_tagged() {
    assert_eq!(text(&f64::NAN), r#"{"$dspex":["float","nan"]}"#);
    assert_eq!(text(&f32::INFINITY), r#"{"$dspex":["float","inf"]}"#);
    assert_eq!(text(&[f64::NEG_INFINITY, 1.0]), r#"[{"$dspex":["float","-inf"]},1.0]"#);
    assert_eq!(text(&i128::MIN), r#"{"$dspex":["int","-170141183460469231731687303715884105728"]}"#);
    assert_eq!(text(&(u128::from(u64::MAX) + 1)), r#"{"$dspex":["int","18446744073709551616"]}"#);
    assert_eq!(text(&Blob(b"hello".to_vec())), r#"{"$dspex":["bytes","aGVsbG8="]}"#);
    assert_eq!(text(&json!({"$dspex": 1})), r#"{"$dspex":["object",{"$dspex":1}]}"#);
}

#[test]
fn what_json_can_hold_is_plain() {
    assert_eq!(text(&u64::MAX), "18446744073709551615");
    assert_eq!(text(&((1_i64 << 53) + 1)), "9007199254740993");
    assert_eq!(text(&i128::from(i64::MIN)), "-9223372036854775808");
    assert_eq!(text(&0.1_f32), "0.1");
    assert_eq!(text(&json!({"$dspex": 1, "more": 2})), r#"{"$dspex":1,"more":2}"#);
    assert_eq!(text(&json!({"more": 2, "$dspex": 1})), r#"{"more":2,"$dspex":1}"#);
}

#[test]
fn a_value_of_every_kind_survives() {
    let value = Everything {
        float: f64::INFINITY,
        small: f32::NEG_INFINITY,
        wide: i128::MIN,
        wider: u128::MAX,
        blob: Blob(vec![0, 255, 128]),
        list: vec![None, Some(1.5), Some(f64::INFINITY)],
        by_number: BTreeMap::from([(-7, 0.5), (i64::MAX, f64::NEG_INFINITY)]),
        by_text: HashMap::from([
            ("$dspex".to_owned(), Shape::Point),
            ("línea".to_owned(), Shape::Line(f64::INFINITY, i128::MAX)),
            ("circle".to_owned(), Shape::Circle(0.25)),
            (
                "box".to_owned(),
                Shape::Box { width: f64::NEG_INFINITY, label: Some("\u{1F4A9}\u{0}".to_owned()) },
            ),
        ]),
        pair: (255, '世'),
        unit: (),
        dynamic: json!({"$dspex": ["float", "nan"], "n": null}),
    };
    assert_eq!(back(&value), value);
    assert!(back(&f64::NAN).is_nan());
}

#[test]
fn plain_data_is_written_as_serde_json_writes_it() {
    let value =
        json!({"a": [1, -2, 3.5, 1e300, "x\"\\\n\u{7f}é世", true, null, [], {}], "": {"deep": [[[]]]}});
    assert_eq!(text(&value), value.to_string());
    let shape = Shape::Box { width: 1.0, label: None };
    assert_eq!(text(&shape), serde_json::to_string(&shape).unwrap());
    assert_eq!(text(&Shape::Line(1.0, 2)), r#"{"Line":[1.0,2]}"#);
}

#[test]
fn python_s_bytes_are_read_as_bytes_and_as_a_list_of_numbers() {
    let tagged = br#"{"$dspex":["bytes","AAH/"]}"#;
    assert_eq!(wire::from_slice::<Blob>(tagged).unwrap(), Blob(vec![0, 1, 255]));
    assert_eq!(wire::from_slice::<Vec<u8>>(tagged).unwrap(), [0, 1, 255]);
}

#[test]
fn wide_integers_are_read_as_what_the_type_holds() {
    let tagged = br#"{"$dspex":["int","18446744073709551616"]}"#;
    assert_eq!(wire::from_slice::<u128>(tagged).unwrap(), 1 << 64);
    assert_eq!(wire::from_slice::<f64>(tagged).unwrap(), 18_446_744_073_709_551_616.0);
    assert!(wire::from_slice::<u64>(tagged).is_err());
    assert_eq!(wire::from_slice::<i8>(br#"{"$dspex":["int","-5"]}"#).unwrap(), -5);
    let enormous = format!(r#"{{"$dspex":["int","{}"]}}"#, "9".repeat(5000));
    let error = wire::from_slice::<i128>(enormous.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("128 bits"), "{error}");
    assert!(error.to_string().len() < 200);
}

#[test]
fn errors_name_the_place() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Person {
        name: String,
        tags: Vec<String>,
        shapes: BTreeMap<String, Shape>,
    }
    let place = |json: &str| wire::from_slice::<Vec<Person>>(json.as_bytes()).unwrap_err().path();
    assert_eq!(place(r#"[{"name": "A", "tags": ["x", 3], "shapes": {}}]"#), "[0].tags[1]");
    assert_eq!(
        place(r#"[{"name": "A", "tags": [], "shapes": {"a b": {"Box": {"width": "w"}}}}]"#),
        r#"[0].shapes["a b"].Box.width"#
    );
    assert_eq!(place(r#"[{"name": "A", "tags": [], "shapes": {}}, {"name": 1}]"#), "[1].name");
    let error = wire::from_slice::<Vec<Person>>(br#"[{"name": "A"}]"#).unwrap_err();
    assert_eq!(error.to_string(), "[0]: missing field `tags`");
}

#[test]
fn an_opaque_object_is_an_error_for_a_type_and_visible_to_the_dynamic_door() {
    let json =
        br#"{"items": [{"$dspex": ["opaque", {"type": "builtins.object", "repr": "<object object>"}]}]}"#;
    let error = wire::from_slice::<HashMap<String, Vec<String>>>(json).unwrap_err();
    assert_eq!(error.path(), "items[0]");
    assert!(
        matches!(error.kind(), WireErrorKind::Opaque { python_type, .. } if python_type == "builtins.object")
    );
    let document = wire::document_from_slice(json).unwrap();
    assert!(wire::is_opaque(&document["items"][0]));
    let inside: HashMap<String, Value> = wire::from_slice(json).unwrap();
    assert!(wire::is_opaque(&inside["items"][0]));
}

#[test]
fn a_text_with_lone_surrogates_is_an_error_with_its_place() {
    // base64 of "a\ud800" in Python's surrogatepass encoding.
    let json = br#"{"answer": {"$dspex": ["str", "Ye2ggA=="]}}"#;
    let error = wire::from_slice::<HashMap<String, String>>(json).unwrap_err();
    assert_eq!((error.path().as_str(), error.kind()), ("answer", &WireErrorKind::LoneSurrogate));
    let document = wire::document_from_slice(json).unwrap();
    assert_eq!(Tag::of(&document["answer"]).unwrap(), Some(Tag::Str(b"a\xed\xa0\x80".to_vec())));
    let raw = wire::from_slice::<String>(br#""\ud800""#).unwrap_err();
    assert!(matches!(raw.kind(), WireErrorKind::Syntax { .. }), "{raw}");
}

#[test]
fn broken_tags_are_errors() {
    for json in [
        r#"{"$dspex": 1}"#,
        r#"{"$dspex": []}"#,
        r#"{"$dspex": ["float"]}"#,
        r#"{"$dspex": ["float", "NaN"]}"#,
        r#"{"$dspex": ["int", "12a"]}"#,
        r#"{"$dspex": ["int", "-"]}"#,
        r#"{"$dspex": ["bytes", "***"]}"#,
        r#"{"$dspex": ["object", []]}"#,
        r#"{"$dspex": ["surprise", null]}"#,
        r#"{"\u0024dspex": ["surprise", null]}"#,
    ] {
        let error = wire::from_slice::<f64>(json.as_bytes()).unwrap_err();
        assert!(matches!(error.kind(), WireErrorKind::BrokenTag(_)), "{json}: {error}");
        let document = wire::document_from_slice(json.as_bytes()).unwrap();
        assert!(wire::document_to_vec(&document).is_err(), "{json}");
    }
}

#[test]
fn what_serde_buffers_gets_an_error_for_nan_and_never_a_silent_null() {
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only read")]
    enum Loose {
        Number(Option<f64>),
    }
    assert!(wire::from_slice::<Loose>(br#"{"$dspex": ["float", "nan"]}"#).is_err());
}

#[test]
fn the_dynamic_door_keeps_tags_as_they_are() {
    let document = json!({
        "nan": wire::float(f64::NAN), "one": wire::float(1.0), "wide": wire::integer(i128::MAX), "small": wire::integer(3),
        "blob": wire::bytes(b"hello"), "escaped": wire::escape(json!([{"$dspex": ["float", "nan"]}])),
    });
    let written = wire::document_to_vec(&document).unwrap();
    assert_eq!(wire::document_from_slice(&written).unwrap(), document);
    #[derive(Debug, PartialEq, Deserialize)]
    struct Read {
        one: f64,
        wide: i128,
        small: i8,
        blob: Blob,
        escaped: Value,
    }
    let expected = Read {
        one: 1.0,
        wide: i128::MAX,
        small: 3,
        blob: Blob(b"hello".to_vec()),
        escaped: json!([{"$dspex": ["float", "nan"]}]),
    };
    assert_eq!(wire::from_slice::<Read>(&written).unwrap(), expected);
}

#[test]
fn deep_values_are_refused_on_the_way_out_and_deep_texts_on_the_way_in() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(back(&nested(wire::MAX_DEPTH)), nested(wire::MAX_DEPTH));
    assert_eq!(wire::to_vec(&nested(wire::MAX_DEPTH + 1)).unwrap_err().kind(), &WireErrorKind::TooDeep);
    assert_eq!(
        wire::document_to_vec(&nested(wire::MAX_DEPTH + 1)).unwrap_err().kind(),
        &WireErrorKind::TooDeep
    );
    let tagged = (0..100).fold(json!(1), |inner, _| json!({"$dspex": inner}));
    assert_eq!(wire::to_vec(&tagged).unwrap_err().kind(), &WireErrorKind::TooDeep);
    for text in ["[".repeat(100_000), nested(wire::MAX_DEPTH + 1).to_string()] {
        assert_eq!(wire::from_slice::<Value>(text.as_bytes()).unwrap_err().kind(), &WireErrorKind::TooDeep);
    }
    let brackets_in_text = json!(["[{\"\\".repeat(100)]).to_string();
    wire::from_slice::<Vec<String>>(brackets_in_text.as_bytes()).unwrap();
}

#[test]
fn text_that_is_json_already_is_passed_on_as_it_is() {
    let raw: HashMap<String, Box<RawValue>> =
        wire::from_slice(br#"{"a": [1, 2.50],"b":{"$dspex":["float","nan"]}}"#).unwrap();
    assert_eq!(raw["b"].get(), r#"{"$dspex":["float","nan"]}"#);
    let plain: Box<RawValue> = wire::from_slice(br#"{"a":  2.50}"#).unwrap();
    assert_eq!(text(&[plain]), r#"[{"a":  2.50}]"#);
}

#[test]
fn a_map_needs_keys_that_have_a_text() {
    assert!(wire::to_vec(&BTreeMap::from([((1, 2), 3)])).is_err());
    assert_eq!(back(&BTreeMap::from([(true, 1), (false, 2)])), BTreeMap::from([(true, 1), (false, 2)]));
    let wide = BTreeMap::from([(u128::MAX, f64::INFINITY)]);
    assert_eq!(back(&wide), wide);
}

#[derive(Deserialize)]
struct Golden {
    max_depth: usize,
    values: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    kind: String,
    json: String,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/golden/values.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_golden_vectors_that_python_shares_are_read_and_written_alike() {
    let golden = golden();
    assert_eq!(golden.max_depth, wire::MAX_DEPTH);
    assert!(golden.values.len() > 40);
    for Vector { name, kind, json } in &golden.values {
        let document = wire::document_from_slice(json.as_bytes());
        match kind.as_str() {
            "same" | "from_worker" => {
                let document = document.unwrap();
                // By value: Rust and Python spell exponents differently.
                let written = wire::document_to_vec(&document).unwrap();
                assert_eq!(wire::document_from_slice(&written).unwrap(), document, "{name}");
                wire::from_slice::<Value>(json.as_bytes()).unwrap();
                check_typed(name, &document, json);
            }
            "reject" => assert!(wire::from_slice::<Value>(json.as_bytes()).is_err(), "{name}"),
            other => panic!("the golden vector {name} has the unknown kind {other:?}"),
        }
    }
}

/// A tag is read and written by the type that it stands for, too.
fn check_typed(name: &str, document: &Value, json: &str) {
    let bytes = json.as_bytes();
    let written = match Tag::of(document).unwrap() {
        Some(Tag::Float(_)) => wire::to_vec(&wire::from_slice::<f64>(bytes).unwrap()),
        Some(Tag::Int(digits)) if digits.len() > 39 => {
            return assert!(wire::from_slice::<i128>(bytes).is_err(), "{name}");
        }
        Some(Tag::Int(_)) => wire::to_vec(&wire::from_slice::<i128>(bytes).unwrap()),
        Some(Tag::Bytes(_)) => wire::to_vec(&wire::from_slice::<Blob>(bytes).unwrap()),
        Some(Tag::Str(_)) => {
            let error = wire::from_slice::<String>(bytes).unwrap_err();
            return assert_eq!(error.kind(), &WireErrorKind::LoneSurrogate, "{name}");
        }
        Some(Tag::Opaque { .. }) => {
            let error = wire::from_slice::<HashMap<String, Value>>(bytes).unwrap_err();
            return assert!(matches!(error.kind(), WireErrorKind::Opaque { .. }), "{name}");
        }
        Some(_) => wire::to_vec(&wire::from_slice::<Value>(bytes).unwrap()),
        // Nested tags are visible to `Value`, and would be escaped on the way back.
        None if json.contains("$dspex\":[") => return,
        None => wire::to_vec(&wire::from_slice::<Value>(bytes).unwrap()),
    };
    assert_eq!(wire::document_from_slice(&written.unwrap()).unwrap(), *document, "{name}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |x| serde_json::Number::from_f64(x).map(Value::Number)),
        any::<String>().prop_map(Value::from),
    ];
    let key = prop_oneof![3 => ".{0,6}", 1 => Just("$dspex".to_owned())];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_survives_the_typed_door(value in any_json()) {
        prop_assert_eq!(back(&value), value);
    }

    #[test]
    fn any_escaped_json_survives_the_dynamic_door(value in any_json()) {
        let written = wire::document_to_vec(&wire::escape(value.clone())).unwrap();
        prop_assert_eq!(wire::from_slice::<Value>(&written).unwrap(), value);
    }

    #[test]
    fn any_float_survives_bit_for_bit(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let read = back(&value);
        prop_assert!(read.to_bits() == bits || (read.is_nan() && value.is_nan()));
    }

    #[test]
    fn any_wide_integer_survives(signed in any::<i128>(), unsigned in any::<u128>(), small in any::<i64>()) {
        prop_assert_eq!(back(&signed), signed);
        prop_assert_eq!(back(&unsigned), unsigned);
        prop_assert_eq!(back(&i128::from(small)), i128::from(small));
    }

    #[test]
    fn any_structure_with_tags_survives(
        list in prop::collection::vec(prop::option::of(any::<f64>().prop_filter("equal to itself", |x| !x.is_nan())), 0..5),
        map in prop::collection::hash_map("\\PC{0,5}", any::<i128>(), 0..4),
        blob in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let value = (list, map, Blob(blob));
        prop_assert_eq!(back(&value), value);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:$dspexfloatint0-9\\\\u ]{0,40}") {
        let _ = wire::from_slice::<Everything>(&bytes);
        let _ = wire::from_slice::<Value>(text.as_bytes());
        let _ = wire::from_slice::<HashMap<String, f64>>(text.as_bytes());
    }
}
