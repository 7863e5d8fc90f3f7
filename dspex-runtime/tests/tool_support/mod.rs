//! Structs of arguments as programs write them, with values that fit their schemas and values that do not.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU8;
use std::sync::LazyLock;

use dspex_runtime::__private::schemars;
use dspex_runtime::tool::{ToolSpec, ToolSpecBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a tool takes, and values to hold against it.
pub struct Case {
    pub spec: ToolSpec,
    pub fitting: Vec<Value>,
    pub unfit: Vec<Value>,
    /// Whether serde reads these arguments as the struct.
    pub reads: fn(dspex_runtime::tool::ToolArguments) -> bool,
}

fn case<T>(name: &str, fitting: Vec<Value>, unfit: Vec<Value>) -> Case
where
    T: JsonSchema + serde::de::DeserializeOwned,
{
    Case {
        spec: ToolSpec::builder(name, format!("Takes {name}.")).arguments::<T>().build(),
        fitting,
        unfit,
        reads: |arguments| arguments.read::<T>().is_ok(),
    }
}

fn dynamic(name: &str, schema: Value, fitting: Vec<Value>, unfit: Vec<Value>) -> Case {
    let build = |builder: ToolSpecBuilder| builder.arguments_schema(&schema).build();
    Case { spec: build(ToolSpec::builder(name, format!("Takes {name}."))), fitting, unfit, reads: |_| true }
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Nothing {}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// Who it is about.
    pub email: String,
    /// How many invoices to include.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 50))]
    pub invoices: u32,
    pub ratio: f64,
    #[serde(default)]
    pub urgent: bool,
}

fn three() -> u32 {
    3
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Optionals {
    /// Where she lives.
    pub region: Option<String>,
    pub age: Option<u8>,
    #[serde(default = "half")]
    pub share: f32,
    pub tags: Option<Vec<String>>,
    pub urgency: Option<Urgency>,
    pub address: Option<Address>,
    pub anything: Option<Value>,
}

fn half() -> f32 {
    0.1
}

#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    Low,
    VeryHigh,
}

/// How a customer is reached.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub enum Channel {
    /// By letter
    Post,
    /// At once.
    Phone,
    Other,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Address {
    /// The town.
    pub city: String,
    #[serde(default)]
    pub zip: Option<String>,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Enums {
    pub urgency: Urgency,
    /// Which way.
    pub channel: Channel,
    pub fallback: Option<Channel>,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Nested {
    pub home: Address,
    pub others: Vec<Address>,
    pub strict: Strict,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Strict {
    pub title: String,
    pub count: i64,
}

impl Default for Strict {
    fn default() -> Self {
        Self { title: "none".to_owned(), count: -1 }
    }
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Shape {
    Circle { radius: f64 },
    Square { side: f64 },
    At(Address),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Tagged {
    pub shape: Shape,
    pub more: Vec<Shape>,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
pub enum Adjacent {
    Number(f64),
    Text(String),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Untagged {
    Id(u32),
    Named { name: String },
    Many(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub enum Action {
    Stop,
    Wait,
    Say(String),
    Move { x: i32, y: i32 },
    Pair(u8, u8),
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Unions {
    pub adjacent: Adjacent,
    pub untagged: Untagged,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Maps {
    pub prices: HashMap<String, f64>,
    pub by_number: BTreeMap<u32, String>,
    pub json: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Lists {
    pub point: (f64, f64),
    pub mixed: (String, u8, bool),
    pub rgb: [u8; 3],
    pub names: BTreeSet<String>,
    #[schemars(length(min = 1, max = 3))]
    pub few: Vec<i16>,
    pub matrix: Vec<Vec<f32>>,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Meters(pub f64);

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email {
    pub address: String,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Newtypes {
    #[schemars(range(min = 0.5))]
    pub length: Meters,
    pub email: Email,
    pub boxed: Box<Address>,
    pub unit: (),
    pub count: NonZeroU8,
    pub letter: char,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Constrained {
    #[schemars(length(min = 2, max = 5), regex(pattern = r"^[a-zäöü]+$"))]
    pub word: String,
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0))]
    pub share: f64,
    #[schemars(range(min = -10, max = 10), extend("multipleOf" = 5))]
    pub step: i64,
    #[schemars(inner(range(min = 1)))]
    pub positive: Vec<i32>,
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Integers {
    pub tiny: i8,
    pub short: u16,
    pub int: i32,
    pub long: i64,
    pub unsigned: u64,
    pub size: usize,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Page {
    #[serde(default)]
    pub offset: u32,
    pub size: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Flattened {
    pub query: String,
    #[serde(flatten)]
    pub page: Page,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Selector {
    Id { id: u32 },
    Name { name: String, exact: Option<bool> },
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct FlattenedEnum {
    pub table: String,
    #[serde(flatten)]
    pub selector: Selector,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct FlattenedMap {
    pub id: u16,
    #[serde(flatten)]
    pub columns: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Anything {
    pub value: Value,
    pub list: Vec<Value>,
    /// Its JSON has a property of this name.
    pub title: Titled,
}

#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct Titled {
    pub title: String,
    pub format: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
}

/// All of them, built once.
pub fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(every);
    &CASES
}

fn every() -> Vec<Case> {
    let mut cases = vec![
        case::<Nothing>("nothing", vec![json!({})], vec![json!({"a": 1}), json!({"a": null})]),
        case::<Plain>(
            "plain",
            vec![
                json!({"email": "a@b", "ratio": 1}),
                json!({"email": "", "ratio": -0.5, "invoices": 50, "urgent": true}),
                json!({"email": "a", "ratio": 1.0, "invoices": 7.0}),
            ],
            vec![
                json!({}),
                json!({"email": "a@b"}),
                json!({"email": 1, "ratio": 1}),
                json!({"email": "a@b", "ratio": "1"}),
                json!({"email": "a@b", "ratio": 1, "invoices": 51}),
                json!({"email": "a@b", "ratio": 1, "invoices": -1}),
                json!({"email": "a@b", "ratio": 1, "invoices": 1.5}),
                json!({"email": "a@b", "ratio": 1, "invoices": true}),
                json!({"email": "a@b", "ratio": 1, "urgent": 1}),
                json!({"email": "a@b", "ratio": 1, "invoice": 1}),
                json!({"email": null, "ratio": 1}),
            ],
        ),
        case::<Optionals>(
            "optionals",
            vec![
                json!({}),
                json!({"region": null, "age": null, "tags": null, "urgency": null, "address": null, "anything": null}),
                json!({"region": "EU", "age": 255, "share": 0.25, "tags": [], "urgency": "very_high"}),
                json!({"address": {"city": "Ulm"}, "anything": {"deep": [1, null]}}),
                json!({"address": {"city": "Ulm", "zip": null, "other": 1}}),
            ],
            vec![
                json!({"region": 1}),
                json!({"age": 256}),
                json!({"tags": [1]}),
                json!({"urgency": "VeryHigh"}),
                json!({"address": {"zip": "89073"}}),
                json!({"address": "Ulm"}),
                json!({"unknown": null}),
            ],
        ),
        case::<Enums>(
            "enums",
            vec![
                json!({"urgency": "low", "channel": "Post"}),
                json!({"urgency": "low", "channel": "Other", "fallback": "Phone"}),
            ],
            vec![
                json!({"urgency": "low", "channel": "post"}),
                json!({"urgency": 0, "channel": "Post"}),
                json!({"urgency": "low", "channel": "Post", "fallback": "Fax"}),
            ],
        ),
        case::<Nested>(
            "nested",
            vec![
                json!({"home": {"city": "Ulm"}, "others": [], "strict": {}}),
                json!({"home": {"city": "Ulm", "x": 1}, "others": [{"city": "a", "zip": "1"}], "strict": {"title": "t", "count": 3}}),
            ],
            vec![
                json!({"home": {"city": "Ulm"}, "others": [], "strict": {"titel": "t"}}),
                json!({"home": {"city": "Ulm"}, "others": [{"town": "a"}], "strict": {}}),
                json!({"home": [], "others": [], "strict": {}}),
                json!({"home": {"city": "Ulm"}, "others": [{"city": "a", "zip": 1}], "strict": {"count": "3"}}),
            ],
        ),
        case::<Tagged>(
            "tagged",
            vec![
                json!({"shape": {"type": "Circle", "radius": 1}, "more": []}),
                json!({"shape": {"type": "Nothing"}, "more": [{"type": "At", "city": "Ulm"}, {"type": "Square", "side": 0.5}]}),
            ],
            vec![
                json!({"shape": {"type": "Circle", "side": 1}, "more": []}),
                json!({"shape": {"type": "Triangle"}, "more": []}),
                json!({"shape": {"radius": 1}, "more": []}),
                json!({"shape": "Nothing", "more": []}),
                json!({"shape": {"type": "At"}, "more": []}),
            ],
        ),
        case::<Unions>(
            "unions",
            vec![
                json!({"adjacent": {"kind": "Number", "content": 1.5}, "untagged": 7, "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": {"name": "x"}, "action": {"Say": "a"}}),
                json!({"adjacent": {"kind": "Text", "content": ""}, "untagged": ["a"], "action": {"Move": {"x": 1, "y": -1}}}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": [], "action": {"Pair": [1, 255]}}),
            ],
            vec![
                json!({"adjacent": {"kind": "Number", "content": "x"}, "untagged": 7, "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": -1, "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": "7", "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": "Go"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": {"Pair": [1, 256]}}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": {"Pair": [1]}}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": {"Say": "a", "Stop": null}}),
            ],
        ),
        case::<Maps>(
            "maps",
            vec![
                json!({"prices": {}, "by_number": {}, "json": {}}),
                json!({"prices": {"a": 1, "b": 0.5}, "by_number": {"7": "x"}, "json": {"a": null, "b": [1]}}),
            ],
            vec![
                json!({"prices": {"a": "1"}, "by_number": {}, "json": {}}),
                json!({"prices": [], "by_number": {}, "json": {}}),
                json!({"prices": {}, "by_number": {"seven": "x"}, "json": {}}),
                json!({"prices": {}, "by_number": {"7": 1}, "json": {}}),
            ],
        ),
        case::<Lists>(
            "lists",
            vec![
                json!({"point": [1, 2.5], "mixed": ["a", 1, true], "rgb": [0, 128, 255], "names": ["a", "b"],
                "few": [1], "matrix": [[1.5], []]}),
            ],
            vec![
                json!({"point": [1], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2, 3], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": [1, "a", true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 256], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": ["a", "a"], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1, 2, 3, 4], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": [["x"]]}),
            ],
        ),
        case::<Newtypes>(
            "newtypes",
            vec![
                json!({"length": 0.5, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "ß"}),
            ],
            vec![
                json!({"length": 0.4, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "a"}),
                json!({"length": 1, "email": {"address": "a"}, "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "a"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": 0, "count": 1, "letter": "a"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 0, "letter": "a"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "ab"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": ""}),
            ],
        ),
        case::<Constrained>(
            "constrained",
            vec![
                json!({"word": "äb", "share": 1, "step": -5, "positive": [], "at": "2026-01-01T00:00:00Z"}),
                json!({"word": "übers", "share": 0.001, "step": 10.0, "positive": [1], "at": "no date"}),
            ],
            vec![
                json!({"word": "a", "share": 1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abcdef", "share": 1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "ABC", "share": 1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 0, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1.1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1, "step": 3, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1, "step": 15, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1, "step": 5, "positive": [1, 0], "at": ""}),
            ],
        ),
        case::<Integers>(
            "integers",
            vec![
                json!({"tiny": -128, "short": 65535, "int": 2147483647, "long": i64::MIN, "unsigned": u64::MAX, "size": 0}),
                json!({"tiny": 1.0, "short": 1, "int": 1, "long": 1, "unsigned": 1, "size": 1}),
            ],
            vec![
                json!({"tiny": -129, "short": 1, "int": 1, "long": 1, "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 65536, "int": 1, "long": 1, "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 1, "int": 1.5, "long": 1, "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 1, "int": 1, "long": "1", "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 1, "int": 1, "long": 1, "unsigned": -1, "size": 1}),
            ],
        ),
        case::<Flattened>(
            "flattened",
            vec![json!({"query": "x"}), json!({"query": "x", "offset": 3, "size": 10})],
            vec![
                json!({"offset": 1}),
                json!({"query": "x", "offset": "3"}),
                json!({"query": "x", "page": {}}),
            ],
        ),
        case::<FlattenedEnum>(
            "flattened_enum",
            vec![
                json!({"table": "t", "by": "id", "id": 1}),
                json!({"table": "t", "by": "name", "name": "x", "exact": true}),
            ],
            vec![
                json!({"table": "t"}),
                json!({"table": "t", "by": "id"}),
                json!({"table": "t", "by": "name", "id": 1}),
                json!({"table": "t", "by": "age", "id": 1}),
            ],
        ),
        case::<FlattenedMap>(
            "flattened_map",
            vec![json!({"id": 1}), json!({"id": 1, "a": 0.5, "b": 2})],
            vec![json!({"a": 0.5}), json!({"id": 1, "a": "x"}), json!({"id": 70000})],
        ),
        case::<Anything>(
            "anything",
            vec![
                json!({"value": null, "list": [], "title": {"title": "t", "type": "x"}}),
                json!({"value": {"a": [1, "x", null]}, "list": [1, {}, []], "title": {"title": "t", "type": "x", "format": "int32"}}),
            ],
            vec![
                json!({"list": [], "title": {"title": "t", "type": "x"}}),
                json!({"value": 1, "list": {}, "title": {"title": "t", "type": "x"}}),
                json!({"value": 1, "list": [], "title": {"title": 1, "type": "x"}}),
            ],
        ),
    ];
    cases.extend(dynamic_cases());
    cases
}

/// Schemas as servers of tools write them.
fn dynamic_cases() -> Vec<Case> {
    vec![
        dynamic(
            "by_pydantic",
            json!({
                "title": "searchArguments",
                "type": "object",
                "properties": {
                    "filter": {"allOf": [{"$ref": "#/$defs/Filter"}], "description": "What to leave out.", "default": null},
                    "limit": {"anyOf": [{"type": "integer", "maximum": 10}, {"type": "null"}], "default": null, "title": "Limit"},
                    "query": {"title": "Query", "type": "string"},
                },
                "required": ["query"],
                "$defs": {
                    "Filter": {
                        "type": "object",
                        "title": "Filter",
                        "properties": {"langs": {"type": "array", "items": {"$ref": "#/$defs/Lang"}}},
                        "required": ["langs"],
                    },
                    "Lang": {"type": "string", "enum": ["de", "en"]},
                },
            }),
            vec![
                json!({"query": "x"}),
                json!({"query": "x", "limit": null, "filter": {"langs": ["de"]}}),
                json!({"query": "x", "limit": -3}),
            ],
            vec![
                json!({"query": "x", "limit": 11}),
                json!({"query": "x", "filter": {"langs": ["fr"]}}),
                json!({"query": "x", "filter": {}}),
                json!({"limit": 1}),
            ],
        ),
        dynamic(
            "by_zod",
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {
                    "path": {"type": "string", "minLength": 1},
                    "other": {"$ref": "#/properties/path"},
                    "range": {"type": "array", "items": [{"type": "integer"}, {"type": "integer"}], "minItems": 2, "maxItems": 2},
                    "mode": {"type": ["string", "null"], "enum": ["r", "w", null]},
                    "size": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
                    "note": {"type": "string", "nullable": true},
                },
                "required": ["path", "mode"],
                "additionalProperties": false,
            }),
            vec![
                json!({"path": "a", "mode": null}),
                json!({"path": "a", "mode": "r", "other": "b", "range": [1, 2], "size": 0.1, "note": null}),
            ],
            vec![
                json!({"path": "", "mode": "r"}),
                json!({"path": "a", "mode": "x"}),
                json!({"path": "a", "mode": "r", "other": ""}),
                json!({"path": "a", "mode": "r", "range": [1, "2"]}),
                json!({"path": "a", "mode": "r", "size": 0}),
                json!({"path": "a"}),
            ],
        ),
        dynamic(
            "between",
            json!({
                "type": "object",
                "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "unit": {"type": "string"}},
                "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
                "dependentRequired": {"unit": ["id"]},
            }),
            vec![json!({"id": 1}), json!({"name": "x"}), json!({"id": 1, "name": "x", "unit": "m"})],
            vec![json!({}), json!({"name": "x", "unit": "m"}), json!({"id": "1"})],
        ),
        dynamic(
            "combined",
            json!({
                "type": "object",
                "properties": {
                    "one": {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
                    "not": {"not": {"type": "string"}},
                    "all": {"allOf": [{"minimum": 1}, {"minimum": 2, "maximum": 9}]},
                    "unique": {"type": "array", "uniqueItems": true},
                    "constant": {"const": 1},
                    "keys": {"type": "object", "minProperties": 1, "maxProperties": 2, "patternProperties": {"^x": {"type": "integer"}}},
                    "steps": {"type": "number", "multipleOf": 0.5},
                    "never": false,
                },
            }),
            vec![
                json!({"one": 3, "not": 1, "all": 2, "unique": [1, 2, "1", true, [1], [2]], "constant": 1.0}),
                json!({"one": 10, "all": "a text", "keys": {"x1": 1, "y": "z"}, "steps": 1.5}),
                json!({"unique": (0..40).collect::<Vec<_>>()}),
            ],
            vec![
                json!({"one": 15}),
                json!({"one": 2}),
                json!({"not": "x"}),
                json!({"all": 1}),
                json!({"all": 10}),
                json!({"unique": [1, 1.0]}),
                json!({"unique": [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]}),
                json!({"unique": (0..40).map(|at| at % 39).collect::<Vec<_>>()}),
                json!({"constant": true}),
                json!({"keys": {}}),
                json!({"keys": {"x1": "z"}}),
                json!({"keys": {"a": 1, "b": 1, "c": 1}}),
                json!({"steps": 1.25}),
                json!({"never": 1}),
            ],
        ),
    ]
}
