//! What serde writes of a struct fits the struct's own schema; what was changed to another type does not; nothing panics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod tool_support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use dspex_runtime::__private::schemars;
use dspex_runtime::tool::{ToolArguments, ToolSpec};
use dspex_runtime::wire;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tool_support::{Action, Address, Adjacent, Channel, Shape, Strict, Untagged, Urgency, cases};

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Everything {
    text: String,
    letter: char,
    flag: bool,
    unit: (),
    tiny: i8,
    long: i64,
    unsigned: u64,
    wide: i128,
    float: f64,
    single: f32,
    maybe: Option<i32>,
    strings: Vec<String>,
    bytes: Vec<u8>,
    pair: (u8, String),
    floats: [f64; 2],
    set: BTreeSet<String>,
    map: BTreeMap<String, Option<bool>>,
    numbered: BTreeMap<i16, f64>,
    urgency: Urgency,
    channel: Option<Channel>,
    address: Address,
    strict: Strict,
    shapes: Vec<Shape>,
    adjacent: Adjacent,
    untagged: Untagged,
    action: Action,
    #[serde(default)]
    json: Value,
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any::<String>(), 0..5)
}

fn address() -> impl Strategy<Value = Address> {
    (any::<String>(), any::<Option<String>>()).prop_map(|(city, zip)| Address { city, zip })
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("serde buffers tagged enums, which hold no tags", |value| value.is_finite())
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        finite().prop_map(|radius| Shape::Circle { radius }),
        finite().prop_map(|side| Shape::Square { side }),
        address().prop_map(Shape::At),
        Just(Shape::Nothing),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Stop),
        Just(Action::Wait),
        any::<String>().prop_map(Action::Say),
        any::<(i32, i32)>().prop_map(|(x, y)| Action::Move { x, y }),
        any::<(u8, u8)>().prop_map(|(a, b)| Action::Pair(a, b)),
    ]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![
        finite().prop_map(Adjacent::Number),
        any::<String>().prop_map(Adjacent::Text),
        Just(Adjacent::Nothing),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        any::<u32>().prop_map(Untagged::Id),
        any::<String>().prop_map(|name| Untagged::Named { name }),
        texts().prop_map(Untagged::Many),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        finite().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(wire::float(f64::NAN)),
        Just(wire::integer(i128::MIN)),
        Just(wire::bytes(b"bytes")),
        Just(json!({"$dspex": ["opaque", {"type": "a.B", "repr": "<B>"}]})),
        Just(json!({"$dspex": 1})),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

prop_compose! {
    fn plain()(
        text in any::<String>(), letter in any::<char>(), flag in any::<bool>(), tiny in any::<i8>(),
        long in any::<i64>(), unsigned in any::<u64>(), wide in any::<i128>(), float in any::<f64>(),
        single in any::<f32>(), maybe in any::<Option<i32>>(), numbered in prop::collection::btree_map(any::<i16>(), any::<f64>(), 0..5),
    ) -> Everything {
        Everything {
            text, letter, flag, unit: (), tiny, long, unsigned, wide, float, single, maybe, numbered,
            strings: Vec::new(), bytes: Vec::new(), pair: (0, String::new()), floats: [0.0, 1.5],
            set: BTreeSet::new(), map: BTreeMap::new(), urgency: Urgency::VeryHigh, channel: None,
            address: Address { city: String::new(), zip: None }, strict: Strict::default(), shapes: Vec::new(),
            adjacent: Adjacent::Nothing, untagged: Untagged::Id(0), action: Action::Stop, json: Value::Null,
        }
    }
}

prop_compose! {
    fn everything()(
        plain in plain(), strings in texts(), bytes in any::<Vec<u8>>(), pair in any::<(u8, String)>(),
        set in texts().prop_map(BTreeSet::from_iter), map in prop::collection::btree_map(any::<String>(), any::<Option<bool>>(), 0..5),
        channel in prop::option::of(Just(Channel::Phone)), address in address(),
        shapes in prop::collection::vec(shape(), 0..4), adjacent in adjacent(), untagged in untagged(),
        action in action(),
    ) -> Everything {
        Everything { strings, bytes, pair, set, map, channel, address, shapes, adjacent, untagged, action, ..plain }
    }
}

fn spec() -> &'static ToolSpec {
    static SPEC: LazyLock<ToolSpec> = LazyLock::new(|| {
        ToolSpec::builder("everything", "Takes everything.").arguments::<Everything>().build()
    });
    &SPEC
}

fn written(value: &impl Serialize) -> Value {
    wire::document_from_slice(&wire::to_vec(value).unwrap()).unwrap()
}

/// Values of every type, of which none is of the same type as another.
fn foreign() -> Vec<Value> {
    vec![
        json!("a text that is no variant"),
        json!(0.5),
        json!(true),
        json!([[[]]]),
        json!({"no such key": {}}),
    ]
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

proptest! {
    #[test]
    fn what_serde_writes_fits_the_schema_of_its_own_type(everything in everything()) {
        let spec = spec();
        prop_assert_eq!(spec.problem(), None);
        let given = written(&everything);
        let arguments = ToolArguments::validate(given, spec).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let back: Everything = arguments.read().map_err(|error| TestCaseError::fail(error.to_string()))?;
        // By text, since NaN is not equal to itself.
        prop_assert_eq!(format!("{back:?}"), format!("{everything:?}"));
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_its_place(everything in everything(), at in any::<prop::sample::Index>()) {
        let spec = spec();
        let given = written(&everything);
        // What takes any JSON, or more types than one, is not told by its type.
        let strict = ["text", "letter", "flag", "unit", "tiny", "long", "strings", "pair", "floats", "set", "urgency", "address"];
        let name = strict[at.index(strict.len())];
        for value in foreign().into_iter().filter(|value| kind(value) != kind(&given[name])) {
            let mut given = given.clone();
            given[name] = value.clone();
            let error = ToolArguments::validate(given, spec).err();
            let message = error.map(|error| error.message().to_owned()).unwrap_or_default();
            let told = message.contains(&format!("- `{name}"));
            prop_assert!(told, "{}: {} gave {:?}", name, value, message);
        }
    }

    #[test]
    fn no_value_makes_the_validator_panic_and_no_message_is_long(value in any_json()) {
        for case in cases() {
            if let Err(error) = ToolArguments::validate(value.clone(), &case.spec) {
                prop_assert!(error.message().len() < 4_000);
            }
        }
    }

    #[test]
    fn any_value_in_any_place_is_taken_only_if_serde_reads_it_or_the_number_is_too_large(
        value in any_json(), at in any::<prop::sample::Index>(),
    ) {
        let cases = cases();
        let case = &cases[at.index(cases.len())];
        for fitting in &case.fitting {
            for name in fitting.as_object().unwrap().keys() {
                let mut given = fitting.clone();
                given[name] = value.clone();
                // Bounds of 32 and 64 bits are serde's to tell, and so are tags that no schema speaks of.
                let plain = !value.to_string().contains("$dspex") && !value.to_string().contains(|c: char| c.is_ascii_digit());
                if let Ok(arguments) = ToolArguments::validate(given.clone(), &case.spec) {
                    prop_assert!(!plain || (case.reads)(arguments), "{}: {given}", case.spec.name());
                }
            }
        }
    }

    #[test]
    fn no_schema_makes_the_normaliser_panic(schema in any_json()) {
        let object = json!({"type": "object", "properties": {"a": schema, "b": {"anyOf": [schema]}}});
        let spec = ToolSpec::builder("a", "x").arguments_schema(&object).build();
        if spec.problem().is_none() {
            let again = ToolSpec::builder("a", "x").arguments_schema(&spec.arguments_schema()).build();
            prop_assert_eq!(again.arguments_schema(), spec.arguments_schema());
        }
    }
}
