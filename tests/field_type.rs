//! What `#[derive(FieldType)]` makes of enums and structs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dspex::__private::schemars::{JsonSchema, schema_for};
use dspex::FieldType;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, FieldType)]
enum Severity {
    /// Money is being lost.
    Critical,
    /// It can wait.
    Minor,
}

#[derive(Debug, Default, PartialEq, FieldType)]
enum Plain {
    #[default]
    One = 1,
    Two = 2,
}

/// A person.
#[derive(Debug, PartialEq, FieldType)]
struct Person {
    /// Given name.
    name: String,
    #[schemars(range(min = 0, max = 150))]
    age: Option<u8>,
    /// How bad it is for them.
    severity: Severity,
    #[serde(rename = "class", default)]
    r#type: String,
}

#[derive(Debug, PartialEq, FieldType)]
struct Tree {
    value: i64,
    children: Vec<Self>,
    next: Option<Box<Tree>>,
}

#[derive(Debug, PartialEq, FieldType)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Shape {
    /// Round.
    Circle {
        radius: f64,
    },
    Square {
        side: f64,
        at: (i32, i32),
    },
    FarAway,
}

#[derive(Debug, PartialEq, FieldType)]
enum Either {
    Text(String),
    Pair(i64, Severity),
    Nothing,
}

#[derive(Debug, PartialEq, FieldType)]
struct Celsius(f64);

mod elsewhere {
    #[derive(Debug, PartialEq, dspex::FieldType)]
    pub struct Public {
        pub(super) value: super::Severity,
        private: bool,
    }

    impl Public {
        pub fn new() -> Self {
            Self { value: super::Severity::Minor, private: true }
        }
    }
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + FieldType>(value: T) -> Value {
    let json = serde_json::to_value(&value).unwrap();
    assert_eq!(serde_json::from_value::<T>(json.clone()).unwrap(), value);
    json
}

#[test]
fn an_enum_without_data_is_a_choice_of_strings() {
    assert_eq!(round_trip(Severity::Critical), json!("Critical"));
    assert_eq!(schema::<Plain>()["enum"], json!(["One", "Two"]));
    assert_eq!(schema::<Plain>()["type"], "string");
    assert_eq!(round_trip(Plain::default()), json!("One"));
    assert!(serde_json::from_value::<Severity>(json!("critical")).is_err());
}

#[test]
fn documentation_of_types_variants_and_fields_becomes_descriptions() {
    let severity = schema::<Severity>();
    assert_eq!(severity["description"], "How bad it is.");
    let choices = severity["oneOf"].as_array().unwrap();
    let critical = choices.iter().find(|choice| choice["const"] == "Critical").unwrap();
    assert_eq!(critical["description"], "Money is being lost.");
    let person = schema::<Person>();
    assert_eq!(person["description"], "A person.");
    assert_eq!(person["properties"]["name"]["description"], "Given name.");
    assert_eq!(person["properties"]["severity"]["description"], "How bad it is for them.");
    assert_eq!(person["properties"]["age"]["maximum"], 150);
}

#[test]
fn a_schema_is_known_by_the_name_of_the_type() {
    assert_eq!(Severity::schema_name(), "Severity");
    assert_eq!(schema::<Person>()["title"], "Person");
    assert_eq!(schema::<Person>()["properties"]["severity"]["$ref"], "#/$defs/Severity");
    assert!(schema::<Person>()["$defs"]["Severity"].is_object());
    assert_ne!(Severity::schema_id(), Plain::schema_id());
}

#[test]
fn attributes_of_serde_work_as_with_its_own_derives() {
    let person = Person { name: "Ada".into(), age: None, severity: Severity::Minor, r#type: "a".into() };
    assert_eq!(round_trip(person), json!({"name": "Ada", "age": null, "severity": "Minor", "class": "a"}));
    let person: Person = serde_json::from_value(json!({"name": "Ada", "severity": "Minor"})).unwrap();
    assert_eq!((person.age, person.r#type.as_str()), (None, ""));
    assert_eq!(round_trip(Shape::Circle { radius: 1.5 }), json!({"kind": "circle", "radius": 1.5}));
    assert_eq!(round_trip(Shape::FarAway), json!({"kind": "far_away"}));
    assert_eq!(
        round_trip(Shape::Square { side: 2.0, at: (1, -1) }),
        json!({"kind": "square", "side": 2.0, "at": [1, -1]})
    );
}

#[test]
fn a_type_may_contain_itself() {
    let leaf = |value| Tree { value, children: Vec::new(), next: None };
    let tree = Tree { value: 1, children: vec![leaf(2)], next: Some(Box::new(leaf(3))) };
    let empty = |value: i64| json!({"value": value, "children": [], "next": null});
    assert_eq!(round_trip(tree), json!({"value": 1, "children": [empty(2)], "next": empty(3)}));
    assert_eq!(schema::<Tree>()["properties"]["children"]["items"]["$ref"], "#");
}

#[test]
fn variants_may_hold_data() {
    assert_eq!(round_trip(Either::Text("a".into())), json!({"Text": "a"}));
    assert_eq!(round_trip(Either::Pair(1, Severity::Minor)), json!({"Pair": [1, "Minor"]}));
    assert_eq!(round_trip(Either::Nothing), json!("Nothing"));
}

#[test]
fn a_newtype_is_what_it_holds() {
    assert_eq!(round_trip(Celsius(21.5)), json!(21.5));
    assert_eq!(schema::<Celsius>()["type"], "number");
}

#[test]
fn fields_keep_their_privacy() {
    assert_eq!(round_trip(elsewhere::Public::new()), json!({"value": "Minor", "private": true}));
    assert_eq!(elsewhere::Public::new().value, Severity::Minor);
}

#[test]
fn types_of_the_standard_library_and_of_other_crates_are_field_types() {
    fn field_type<T: FieldType>() {}
    field_type::<String>();
    field_type::<Option<Vec<f32>>>();
    field_type::<std::collections::BTreeMap<String, Severity>>();
    field_type::<(u8, bool)>();
    field_type::<Box<Person>>();
    field_type::<Value>();
}

#[derive(Debug, PartialEq, FieldType)]
#[serde(transparent)]
struct Wrapper {
    inner: Vec<Severity>,
}

#[derive(Debug, PartialEq, FieldType)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Words(Vec<String>),
}

#[derive(Debug, PartialEq, FieldType)]
#[serde(tag = "t", content = "c", rename_all = "UPPERCASE")]
enum Adjacent {
    A(u8),
    B { x: bool },
}

#[derive(Debug, Default, PartialEq, FieldType)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Lenient {
    first_one: u8,
    second_one: Option<String>,
    #[serde(skip)]
    cache: u64,
}

#[derive(Debug, PartialEq, FieldType)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, i64>,
    #[serde(with = "as_text")]
    #[schemars(with = "String")]
    number: u32,
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[test]
fn representations_of_serde_are_those_of_the_schema_too() {
    assert_eq!(round_trip(Wrapper { inner: vec![Severity::Minor] }), json!(["Minor"]));
    assert_eq!(schema::<Wrapper>()["type"], "array");
    assert_eq!(round_trip(Loose::Words(vec!["a".into()])), json!(["a"]));
    assert_eq!(round_trip(Loose::Number(1)), json!(1));
    assert_eq!(schema::<Loose>()["anyOf"].as_array().map(Vec::len), Some(2));
    assert_eq!(round_trip(Adjacent::A(1)), json!({"t": "A", "c": 1}));
    assert_eq!(round_trip(Adjacent::B { x: true }), json!({"t": "B", "c": {"x": true}}));
    let flat = Flat { id: 1, rest: [("a".to_owned(), 2)].into(), number: 7 };
    assert_eq!(round_trip(flat), json!({"id": 1, "a": 2, "number": "7"}));
    assert_eq!(schema::<Flat>()["properties"]["number"]["type"], "string");
}

#[test]
fn defaults_and_unknown_fields_are_handled_as_serde_is_told() {
    assert_eq!(serde_json::from_value::<Lenient>(json!({"firstOne": 3})).unwrap().first_one, 3);
    assert!(serde_json::from_value::<Lenient>(json!({"other": 3})).is_err());
    assert_eq!(schema::<Lenient>()["additionalProperties"], false);
    assert!(schema::<Lenient>()["properties"].get("cache").is_none());
}
