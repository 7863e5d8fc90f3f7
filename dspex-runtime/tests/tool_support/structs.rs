//! Structs of arguments as programs write them: every form that serde and schemars have for data.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU8;

use dspex_runtime::__private::schemars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
