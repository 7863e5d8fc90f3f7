//! A compiled schema.

use dspex_state::Pattern;
use serde_json::Value;

/// One schema, compiled.
#[derive(Debug)]
pub(in super::super) struct Check {
    pub(super) kinds: Kinds,
    /// `enum` and `const`.
    pub(super) constants: Option<Vec<Value>>,
    pub(super) number: Option<Box<NumberRules>>,
    pub(super) text: Option<Box<TextRules>>,
    pub(super) list: Option<Box<ListRules>>,
    pub(super) object: Option<Box<ObjectRules>>,
    pub(super) all_of: Vec<Check>,
    pub(super) any_of: Vec<Check>,
    pub(super) one_of: Vec<Check>,
    pub(super) not: Option<Box<Check>>,
}

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    /// Numbers that are no integers.
    pub(super) const FRACTION: Self = Self(8);
    pub(super) const NUMBER: Self = Self(4 + 8);
    pub(super) const TEXT: Self = Self(16);
    pub(super) const LIST: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    /// Every type, and what has none in JSON.
    pub(super) const ANY: Self = Self(255);

    /// The type of this name in JSON Schema.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::TEXT,
            "array" => Self::LIST,
            "object" => Self::OBJECT,
            _ => return None,
        })
    }

    pub(super) const fn have(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) min: Option<Number>,
    pub(super) max: Option<Number>,
    pub(super) above: Option<Number>,
    pub(super) below: Option<Number>,
    pub(super) multiple_of: Option<Number>,
}

/// A number, exact where it is an integer of at most 128 bits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(i128),
    /// An integer of more bits, as near as a float comes.
    Wide(f64),
    Float(f64),
}

#[derive(Debug, Default)]
pub(super) struct TextRules {
    pub(super) shortest: Option<u64>,
    pub(super) longest: Option<u64>,
    pub(super) pattern: Option<Pattern>,
}

#[derive(Debug, Default)]
pub(super) struct ListRules {
    pub(super) first: Vec<Check>,
    pub(super) items: Option<Check>,
    pub(super) fewest: Option<u64>,
    pub(super) most: Option<u64>,
    pub(super) unique: bool,
}

#[derive(Debug, Default)]
pub(super) struct ObjectRules {
    /// Those that are described, then those that are only required.
    pub(super) properties: Vec<Property>,
    /// How many are described.
    pub(super) described: usize,
    pub(super) patterns: Vec<(Pattern, Check)>,
    pub(super) others: Others,
    pub(super) fewest: Option<u64>,
    pub(super) most: Option<u64>,
    /// Keys that need other keys.
    pub(super) dependent: Vec<(String, Vec<String>)>,
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) check: Check,
}

/// What keys hold that are not named.
#[derive(Debug, Default)]
pub(super) enum Others {
    #[default]
    Anything,
    Nothing,
    Fitting(Box<Check>),
}

impl Default for Check {
    fn default() -> Self {
        Self {
            kinds: Kinds::ANY,
            constants: None,
            number: None,
            text: None,
            list: None,
            object: None,
            all_of: Vec::new(),
            any_of: Vec::new(),
            one_of: Vec::new(),
            not: None,
        }
    }
}
