//! The definitions of one schema, and how they refer to each other.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The `$defs` of a schema.
pub(super) struct Defs<'a> {
    defs: Option<&'a Map<String, Value>>,
}

impl<'a> Defs<'a> {
    pub(super) fn of(schema: &'a Value) -> Self {
        Self { defs: schema.get("$defs").and_then(Value::as_object) }
    }

    /// The definition that a reference names.
    pub(super) fn get(&self, reference: &str) -> Option<(&'a str, &'a Value)> {
        let name = reference.strip_prefix("#/$defs/")?;
        // A JSON pointer writes `/` and `~` in another way.
        let name = name.replace("~1", "/").replace("~0", "~");
        self.defs?.get_key_value(&name).map(|(name, schema)| (name.as_str(), schema))
    }

    /// Whether a reference leads to nothing but references, round and round.
    pub(super) fn is_alias_loop(&self, reference: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = Some(reference.to_owned());
        while let Some(reference) = next {
            let target = self.get(&reference).map(|(_, target)| target);
            if !seen.insert(reference) {
                return true;
            }
            next = target.and_then(|target| target.get("$ref")?.as_str().map(str::to_owned));
        }
        false
    }

    /// What a schema says, together with everything that it refers to: equal for schemas that mean the same.
    pub(super) fn key(&self, schema: &Value) -> String {
        let mut schema = schema.clone();
        if let Value::Object(keys) = &mut schema {
            keys.remove("$defs");
            // Those of the place where it stands, not of what it is.
            keys.remove("default");
        }
        let mut reached = BTreeSet::new();
        self.reach(&schema, true, &mut reached);
        let parts = reached.iter().filter_map(|name| Some((name.clone(), self.defs?.get(name)?.clone())));
        let mut whole: Map<String, Value> = parts.collect();
        whole.insert(String::new(), schema);
        dspex_schema::fingerprint::of(&Value::Object(whole))
    }

    /// Whether values of a definition hold values of the same in themselves, not in a list or map.
    pub(super) fn holds_itself(&self, name: &str) -> bool {
        let mut reached = BTreeSet::new();
        if let Some(schema) = self.defs.and_then(|defs| defs.get(name)) {
            self.reach(schema, false, &mut reached);
        }
        reached.contains(name)
    }

    /// The definitions that a schema leads to. `all`: through lists and maps as well.
    fn reach(&self, schema: &Value, all: bool, reached: &mut BTreeSet<String>) {
        match schema {
            Value::Object(keys) => {
                for (key, value) in keys {
                    if let ("$ref", Some((name, target))) =
                        (key.as_str(), value.as_str().and_then(|r| self.get(r)))
                    {
                        if reached.insert(name.to_owned()) {
                            self.reach(target, all, reached);
                        }
                    } else if all || !matches!(key.as_str(), "items" | "additionalProperties") {
                        self.reach(value, all, reached);
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.reach(value, all, reached)),
            _ => {}
        }
    }
}
