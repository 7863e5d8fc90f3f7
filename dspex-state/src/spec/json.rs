//! Specs as JSON: how they are written down, and how a dynamic one is read.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::rules::with_rules;
use super::{Rules, SpecError};
use crate::value::Type;

impl Rules {
    /// The rules of a type from a constraint map, as in `{"min": 0, "max": 2}`.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if there is no such type, if a constraint is not one of the type, or if it makes no sense.
    pub fn from_constraints(kind: Type, constraints: Map<String, Json>) -> Result<Self, SpecError> {
        if let Some(name) = constraints.keys().find(|name| !names(kind).contains(&name.as_str())) {
            return Err(SpecError::ForeignConstraint {
                kind,
                constraint: name.clone(),
                belongs_to: Type::ALL
                    .into_iter()
                    .filter(|kind| names(*kind).contains(&name.as_str()))
                    .collect(),
                known: names(kind),
            });
        }
        let rules = match kind {
            Type::String => read(kind, constraints).map(Self::String),
            Type::Integer => read(kind, constraints).map(Self::Integer),
            Type::Float => read(kind, constraints).map(Self::Float),
            Type::Boolean => read(kind, constraints).map(Self::Boolean),
            Type::List => read(kind, constraints).map(Self::List),
            Type::Dict => read(kind, constraints).map(Self::Dict),
            Type::Tensor => read(kind, constraints).map(Self::Tensor),
            Type::Embedding => read(kind, constraints).map(Self::Embedding),
            Type::Choice => read(kind, constraints).map(Self::Choice),
            Type::Module => read(kind, constraints).map(Self::Module),
        }?;
        rules.check()?;
        Ok(rules)
    }

    /// `{"type": .., "constraints": {..}}`, or the name of a type.
    ///
    /// # Errors
    ///
    /// [`SpecError`], as for [`from_constraints`](Self::from_constraints).
    pub fn from_json(json: Json) -> Result<Self, SpecError> {
        match json {
            Json::String(name) => Self::from_constraints(named(&name)?, Map::new()),
            Json::Object(mut entries) => {
                let kind = match entries.remove("type") {
                    Some(Json::String(name)) => named(&name)?,
                    Some(other) => return Err(SpecError::malformed("`type`", "the name of a type", &other)),
                    None => return Err(SpecError::NoType),
                };
                let constraints = match entries.remove("constraints") {
                    None | Some(Json::Null) => Map::new(),
                    Some(Json::Object(constraints)) => constraints,
                    Some(other) => return Err(SpecError::malformed("`constraints`", "a dict", &other)),
                };
                match entries.keys().next() {
                    Some(key) => Err(SpecError::UnknownKey(key.clone())),
                    None => Self::from_constraints(kind, constraints),
                }
            }
            other => Err(SpecError::malformed("a type", "its name or {\"type\", \"constraints\"}", &other)),
        }
    }

    /// The constraints that are set, by name.
    #[must_use]
    pub fn constraints(&self) -> Map<String, Json> {
        let json = with_rules!(self, rules => serde_json::to_value(rules));
        // The rules are structs of plain values: they always become an object.
        match json {
            Ok(Json::Object(entries)) => entries,
            _ => Map::new(),
        }
    }
}

impl Serialize for Rules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let constraints = self.constraints();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.kind())?;
        if !constraints.is_empty() {
            map.serialize_entry("constraints", &constraints)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The names of a type's constraints, sorted. Those that other names stand for are left out.
pub(crate) fn names(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::String => &["enum", "max_length", "min_length", "pattern"],
        Type::Integer | Type::Float => &["enum", "max", "min", "step"],
        Type::Boolean => &[],
        Type::List => &["items", "max_items", "min_items", "unique"],
        Type::Dict => &["max_items", "min_items", "required", "values"],
        Type::Tensor => &["dtype", "max", "min", "shape"],
        Type::Embedding => &["dimensions", "max", "min", "norm", "tolerance"],
        Type::Choice => &["choices", "enum"],
        Type::Module => &["allowed", "enum"],
    }
}

fn named(name: &str) -> Result<Type, SpecError> {
    Type::of_name(name).ok_or_else(|| SpecError::UnknownType(name.to_owned()))
}

fn read<T: DeserializeOwned>(kind: Type, constraints: Map<String, Json>) -> Result<T, SpecError> {
    serde_json::from_value(Json::Object(constraints)).map_err(|error| SpecError::Malformed {
        what: format!("the constraints of {kind}"),
        reason: error.to_string(),
    })
}

/// Names between backquotes, for messages.
pub(crate) struct List<'a>(pub(crate) &'a [&'a str]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("none"),
            names => names
                .iter()
                .enumerate()
                .try_for_each(|(index, name)| write!(f, "{}`{name}`", if index == 0 { "" } else { ", " })),
        }
    }
}
