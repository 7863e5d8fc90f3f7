//! Plausible values for a JSON Schema, taken from the words of a prompt.
//!
//! The same prompt and schema always give the same value. Constraints are kept where a value that keeps them can be
//! found without search: ranges, multiples, lengths, counts, formats and simple patterns.

use std::cell::Cell;
use std::cmp::Reverse;

use serde_json::{Map, Number, Value, json};

use super::pattern;
use super::words::{Words, phrase_words, shorten};

/// Below this depth only what is required is made, and lists stay as short as they may be.
const DEEP: usize = 5;
/// Schemas may refer to themselves; here the recursion ends whatever they require.
const DEEPEST: usize = 24;

/// Names of numbers between 0 and 1.
const SHARES: [&str; 8] =
    ["confidence", "fraction", "likelihood", "probability", "ratio", "score", "share", "similarity"];

/// Schemas that branch and refer to themselves grow with every level; a whole value ends here.
const MOST_NODES: usize = 5_000;
/// No list, mapping or text is made longer than this, whatever a schema requires.
const LONGEST: usize = 1_000;

pub(super) struct Values<'a> {
    words: &'a Words,
    /// The document that `$ref` refers to.
    root: &'a Value,
    nodes: Cell<usize>,
}

impl<'a> Values<'a> {
    pub(super) fn new(words: &'a Words, root: &'a Value) -> Self {
        Self { words, root, nodes: Cell::new(0) }
    }
    /// A value of the schema for something called `name`.
    pub(super) fn of(&self, name: &str, schema: &Value) -> Value {
        self.value(name, schema, 0)
    }

    fn value(&self, name: &str, schema: &Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        self.nodes.set(self.nodes.get() + 1);
        if depth > DEEPEST || self.nodes.get() > MOST_NODES {
            return Value::Null;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(Value::Array(members)) = schema.get("enum") {
            return self.member(name, members);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Value::Array(options)) = schema.get(key) {
                return self.option(name, options, depth);
            }
        }
        if let Some([only]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.value(name, only, depth);
        }
        match schema.get("type") {
            Some(Value::Array(types)) => {
                let options: Vec<Value> = types
                    .iter()
                    .map(|kind| {
                        let mut option = schema.clone();
                        if let Some(object) = option.as_object_mut() {
                            object.insert("type".to_owned(), kind.clone());
                        }
                        option
                    })
                    .collect();
                self.option(name, &options, depth)
            }
            Some(Value::String(kind)) => self.typed(kind, name, schema, depth),
            _ if schema.get("properties").is_some() => self.object(name, schema, depth),
            _ if schema.get("items").is_some() || schema.get("prefixItems").is_some() => {
                self.list(name, schema, depth)
            }
            _ => json!(self.sentence(name, schema)),
        }
    }

    fn typed(&self, kind: &str, name: &str, schema: &Value, depth: usize) -> Value {
        match kind {
            "null" => Value::Null,
            "boolean" => json!(self.truth(name, schema)),
            "integer" => self.whole(name, schema),
            "number" => self.float(name, schema),
            "array" => self.list(name, schema, depth),
            "object" => self.object(name, schema, depth),
            _ => json!(self.string(name, schema)),
        }
    }

    fn resolved<'s>(&'s self, mut schema: &'s Value) -> &'s Value {
        // A chain of references that leads in a circle ends here.
        for _ in 0..16 {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
            match self.root.pointer(reference.trim_start_matches('#')) {
                Some(target) => schema = target,
                None => return schema,
            }
        }
        schema
    }

    /// The member that the text speaks of; else a stable one.
    fn member(&self, name: &str, members: &[Value]) -> Value {
        let best = members
            .iter()
            .enumerate()
            .map(|(index, member)| (self.mentions(member), Reverse(index)))
            .max()
            .filter(|(mentions, _)| *mentions > 0);
        match best {
            Some((_, Reverse(index))) => members[index].clone(),
            None if members.contains(&Value::Null) => Value::Null,
            None => self.pick(name, members).cloned().unwrap_or(Value::Null),
        }
    }

    fn pick<'s, T>(&self, name: &str, from: &'s [T]) -> Option<&'s T> {
        let count = u64::try_from(from.len()).ok().filter(|count| *count > 0)?;
        from.get(usize::try_from(self.words.dice(name) % count).ok()?)
    }

    fn mentions(&self, member: &Value) -> usize {
        match member {
            Value::String(text) if self.words.contains_all(text) => 10 + phrase_words(text).len(),
            Value::String(text) => self.words.overlap(text),
            Value::Number(number) => {
                usize::from(number.as_f64().is_some_and(|number| self.words.numbers().contains(&number)))
            }
            _ => 0,
        }
    }

    /// One of several schemas. Null only where the text gives nothing for the others.
    fn option(&self, name: &str, options: &[Value], depth: usize) -> Value {
        let is_null =
            |option: &Value| self.resolved(option).get("type").and_then(Value::as_str) == Some("null");
        let values: Vec<&Value> = options.iter().filter(|option| !is_null(option)).collect();
        let members: Option<Vec<Value>> = values.iter().map(|option| self.single(option)).collect();
        let optional = values.len() < options.len();
        if let Some(members) = members.filter(|members| !members.is_empty()) {
            // Unit variants with their own descriptions: an enumeration in all but name.
            let known = members.iter().any(|member| self.mentions(member) > 0);
            return if optional && !known { Value::Null } else { self.member(name, &members) };
        }
        if optional && (depth > DEEP || !values.iter().any(|option| self.has_something_for(name, option))) {
            return Value::Null;
        }
        let best = values
            .iter()
            .enumerate()
            // Deep down the way out is what refers to nothing further.
            .map(|(index, option)| {
                (
                    Reverse(if depth > DEEP { self.references(option) } else { 0 }),
                    self.affinity(option),
                    Reverse(index),
                )
            })
            .max()
            .map(|(_, _, Reverse(index))| index);
        match best.and_then(|best| values.get(best)) {
            Some(option) => self.value(name, option, depth + 1),
            None => Value::Null,
        }
    }

    /// The only value of a schema, where it has only one.
    fn single(&self, schema: &Value) -> Option<Value> {
        let schema = self.resolved(schema);
        match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => Some(value.clone()),
            (None, Some(Value::Array(members))) if members.len() == 1 => members.first().cloned(),
            _ => None,
        }
    }

    /// Whether the text gives a value for an optional field.
    fn has_something_for(&self, name: &str, schema: &Value) -> bool {
        let schema = self.resolved(schema);
        if let Some(Value::Array(members)) = schema.get("enum") {
            return members.iter().any(|member| self.mentions(member) > 0);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("integer" | "number") => {
                !self.words.numbers().is_empty() && self.words.overlap(&spaced(name)) > 0
            }
            Some("array" | "object") => true,
            _ => self.words.overlap(&spaced(name)) > 0,
        }
    }

    /// How well one of several object schemas fits: by the tags and names that the text mentions.
    fn affinity(&self, schema: &Value) -> usize {
        let schema = self.resolved(schema);
        let title =
            schema.get("title").and_then(Value::as_str).map_or(0, |title| self.words.overlap(&spaced(title)));
        let properties = schema.get("properties").and_then(Value::as_object);
        let tags = properties.into_iter().flat_map(Map::values).filter_map(|property| self.single(property));
        title + tags.map(|tag| self.mentions(&tag)).sum::<usize>()
    }

    /// The text speaks of it without denying it.
    fn truth(&self, name: &str, schema: &Value) -> bool {
        let described = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        if self.words.overlap(&spaced(name)) > 0 || self.words.overlap(described) > 1 {
            return true;
        }
        self.words.dice(name).is_multiple_of(2)
    }

    fn references(&self, schema: &Value) -> usize {
        self.resolved(schema).to_string().matches("\"$ref\"").count()
    }

    fn whole(&self, name: &str, schema: &Value) -> Value {
        let step = number(schema, "multipleOf").filter(|step| *step >= 1.0).unwrap_or(1.0);
        let (low, high) = bounds(schema, 1.0);
        let low = low.map(|low| (low / step).ceil() * step);
        let high = high.map(|high| (high / step).floor() * step);
        let fits = |value: &f64| {
            value.fract() == 0.0
                && value % step == 0.0
                && low.is_none_or(|low| *value >= low)
                && high.is_none_or(|high| *value <= high)
        };
        let value = match self.words.numbers().iter().copied().find(|value| fits(value)) {
            Some(value) => value,
            None => {
                let low = low.unwrap_or_else(|| high.map_or(step, |high| high - 9.0 * step));
                let high = high.unwrap_or(low + 9.0 * step);
                let steps = ((high - low) / step).clamp(0.0, 99.0) as u64;
                low + step * (self.words.dice(name) % (steps + 1)) as f64
            }
        };
        if value.abs() < 9.0e15 { json!(value as i64) } else { self.wide(schema, value) }
    }

    /// Beyond what a float tells apart: the bound itself.
    fn wide(&self, schema: &Value, value: f64) -> Value {
        let bound = ["minimum", "maximum"]
            .into_iter()
            .find_map(|key| schema.get(key).filter(|bound| bound.is_i64() || bound.is_u64()));
        bound.cloned().unwrap_or_else(|| Number::from_f64(value).map_or(json!(0), Value::Number))
    }

    fn float(&self, name: &str, schema: &Value) -> Value {
        let (low, high) = bounds(schema, 0.0);
        let above = number(schema, "exclusiveMinimum");
        let below = number(schema, "exclusiveMaximum");
        let step = number(schema, "multipleOf").filter(|step| *step > 0.0);
        let fits = |value: &f64| {
            low.is_none_or(|low| *value >= low)
                && high.is_none_or(|high| *value <= high)
                && above.is_none_or(|above| *value > above)
                && below.is_none_or(|below| *value < below)
                && step.is_none_or(|step| (value / step).fract() == 0.0)
        };
        let words = phrase_words(name);
        let share = words.iter().any(|word| SHARES.contains(&word.as_str()))
            && low.or(above).or(high).or(below).is_none();
        let likely = |value: &f64| !share || (0.0..=1.0).contains(value);
        let found = self.words.numbers().iter().copied().find(|value| fits(value) && likely(value));
        let value = found.unwrap_or_else(|| {
            let share = (1 + self.words.dice(name) % 9) as f64 / 10.0;
            let low = low.or(above).unwrap_or_else(|| high.or(below).map_or(0.0, |high| high - 1.0));
            let high = high.or(below).unwrap_or(low + 1.0);
            let value = low + (high - low) * share;
            let rounded = (value * 100.0).round() / 100.0;
            match step {
                Some(step) => (value / step).floor().max((low / step).ceil()) * step,
                None if fits(&rounded) => rounded,
                None => value,
            }
        });
        Number::from_f64(value).map_or(json!(0.0), Value::Number)
    }

    fn list(&self, name: &str, schema: &Value, depth: usize) -> Value {
        if let Some(Value::Array(items)) = schema.get("prefixItems") {
            let items = items.iter().enumerate();
            return items
                .map(|(index, item)| self.value(&format!("{name}_{index}"), item, depth + 1))
                .collect();
        }
        let least = count(schema, "minItems").unwrap_or(0);
        let most = count(schema, "maxItems").unwrap_or(usize::MAX);
        let item = schema.get("items").map_or(&Value::Null, |item| self.resolved(item));
        let natural = if depth > DEEP { 0 } else { 3 };
        let wanted = natural.clamp(least.min(most), most);
        let mut items = self.items(name, item, wanted, depth);
        if items.is_empty() && wanted > 0 && depth <= DEEP {
            items.push(self.value(&singular(name), item, depth + 1));
        }
        let unique = schema.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
        for index in items.len()..least {
            let mut value = self.value(&format!("{}_{index}", singular(name)), item, depth + 1);
            if let (true, Value::String(text)) = (unique || items.contains(&value), &value) {
                value = json!(format!("{text} {}", index + 1));
            }
            items.push(value);
        }
        items.truncate(most);
        Value::Array(items)
    }

    /// What the text gives for a list, at most `wanted` items.
    fn items(&self, name: &str, item: &Value, wanted: usize, depth: usize) -> Vec<Value> {
        if let Some(Value::Array(members)) = item.get("enum") {
            return members.iter().filter(|member| self.mentions(member) > 0).take(wanted).cloned().collect();
        }
        let limited = item.as_object().is_some_and(|item| {
            item.keys().any(|key| !matches!(key.as_str(), "type" | "title" | "description"))
        });
        match item.get("type").and_then(Value::as_str) {
            Some("string") if !limited => {
                self.words.keywords().iter().take(wanted).map(|word| json!(word)).collect()
            }
            Some("integer") if !limited => {
                let whole =
                    self.words.numbers().iter().filter(|value| value.fract() == 0.0 && value.abs() < 9.0e15);
                whole.take(wanted).map(|value| json!(*value as i64)).collect()
            }
            Some("number") if !limited => {
                let numbers = self.words.numbers().iter().take(wanted);
                numbers.filter_map(|value| Number::from_f64(*value).map(Value::Number)).collect()
            }
            _ if wanted > 0 => vec![self.value(&singular(name), item, depth + 1)],
            _ => Vec::new(),
        }
    }

    fn object(&self, name: &str, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut object = Map::new();
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (property, of) in properties {
                let needed = required.contains(&property.as_str());
                if !needed && (depth > DEEP || of.get("default").is_some()) {
                    continue;
                }
                let value = self.value(property, of, depth + 1);
                if needed || !value.is_null() {
                    object.insert(property.clone(), value);
                }
            }
            return Value::Object(object);
        }
        // A mapping: telling words to values.
        let item = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => return Value::Object(object),
            Some(item) if item.is_object() => item,
            _ => &Value::Null,
        };
        let least = count(schema, "minProperties").unwrap_or(0);
        let natural = if depth > DEEP { 0 } else { 2 };
        for word in self.words.keywords().iter().take(natural.max(least)) {
            object.insert(word.clone(), self.value(word, item, depth + 1));
        }
        for index in object.len()..least {
            object.insert(format!("{name}_{index}"), self.value(name, item, depth + 1));
        }
        Value::Object(object)
    }

    fn string(&self, name: &str, schema: &Value) -> String {
        if let Some(text) = schema.get("pattern").and_then(Value::as_str).and_then(pattern::example) {
            return text;
        }
        if let Some(format) = schema.get("format").and_then(Value::as_str)
            && let Some(text) = self.formatted(format)
        {
            return text;
        }
        let mut text = self.sentence(name, schema);
        let least = count(schema, "minLength").unwrap_or(0);
        while text.chars().count() < least {
            text.push_str(if text.is_empty() { "stand-in" } else { " and so on" });
        }
        match count(schema, "maxLength") {
            Some(most) if text.chars().count() > most => {
                let short = shorten(&text, most);
                if short.chars().count() >= least { short } else { text.chars().take(most).collect() }
            }
            _ => text,
        }
    }

    fn formatted(&self, format: &str) -> Option<String> {
        let email =
            || self.words.text().split_whitespace().find(|word| word.contains('@') && word.contains('.'));
        Some(match format {
            "date" => "2025-01-15".to_owned(),
            "date-time" => "2025-01-15T09:30:00Z".to_owned(),
            "time" => "09:30:00Z".to_owned(),
            "duration" => "PT1H".to_owned(),
            "uuid" => format!("00000000-0000-4000-8000-{:012x}", self.words.dice("uuid") & 0xffff_ffff_ffff),
            "email" => match email() {
                Some(email) => email.trim_matches(|c: char| !c.is_alphanumeric()).to_owned(),
                None => "person@example.org".to_owned(),
            },
            "uri" | "url" => "https://example.org/stand-in".to_owned(),
            "ipv4" => "192.0.2.1".to_owned(),
            "ipv6" => "2001:db8::1".to_owned(),
            "hostname" => "example.org".to_owned(),
            _ => return None,
        })
    }

    /// A short text for a field of this name.
    fn sentence(&self, name: &str, schema: &Value) -> String {
        let words = phrase_words(name);
        let is = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
        let keywords = self.words.keywords();
        if is(&["email", "mail"]) {
            return self.formatted("email").unwrap_or_default();
        }
        if is(&["reasoning", "rationale", "thought", "explanation", "why"]) {
            let about: Vec<&str> = keywords.iter().take(3).map(String::as_str).collect();
            return match about.as_slice() {
                [] => "The input says little, so this is a stand-in's guess.".to_owned(),
                about => {
                    format!("The input speaks of {}, and the answer follows from that.", about.join(", "))
                }
            };
        }
        let nested_word = schema.get("title").is_some() || words.len() > 1 && schema.get("type").is_some();
        if is(&[
            "name", "title", "label", "topic", "category", "city", "street", "country", "tag", "word", "key",
        ]) && let Some(word) = self.pick(name, &keywords[..keywords.len().min(5)])
        {
            return capitalised(word);
        }
        let text = self.words.sentence(if nested_word { 60 } else { 100 });
        if text.is_empty() { format!("A stand-in for {}", words.join(" ")) } else { text }
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn spaced(name: &str) -> String {
    phrase_words(name).join(" ")
}

fn singular(name: &str) -> String {
    name.strip_suffix('s').unwrap_or(name).to_owned()
}

fn number(schema: &Value, key: &str) -> Option<f64> {
    schema.get(key).and_then(Value::as_f64)
}

fn count(schema: &Value, key: &str) -> Option<usize> {
    schema
        .get(key)
        .and_then(Value::as_u64)
        .map(|count| usize::try_from(count).unwrap_or(LONGEST).min(LONGEST))
}

/// The closed range of a number; an exclusive bound moves by `step`, where that is not 0.
fn bounds(schema: &Value, step: f64) -> (Option<f64>, Option<f64>) {
    let low = number(schema, "minimum");
    let high = number(schema, "maximum");
    if step == 0.0 {
        return (low, high);
    }
    let above = number(schema, "exclusiveMinimum").map(|bound| bound.floor() + step);
    let below = number(schema, "exclusiveMaximum").map(|bound| bound.ceil() - step);
    let larger = |a: Option<f64>, b: Option<f64>| a.map_or(b, |a| Some(b.map_or(a, |b| a.max(b))));
    let smaller = |a: Option<f64>, b: Option<f64>| a.map_or(b, |a| Some(b.map_or(a, |b| a.min(b))));
    (larger(low, above), smaller(high, below))
}
