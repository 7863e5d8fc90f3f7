//! Values against constraints. Every rule that a value breaks is told, with the offending part and its place.

use serde_json::Value as Json;

use super::check::is_path;
use super::rules::{
    ChoiceRules, DictRules, EmbeddingRules, FloatRules, IntegerRules, ListRules, StringRules, TensorRules,
};
use super::{Invalid, ModuleRules, Norm, Rules, Violation};
use crate::value::{Embedding, Mismatch, Tensor, Value, describe, shorten, with_numbers};

/// How far from a step a float may be, in steps.
const ROUNDING: f64 = 1e-9;

impl Rules {
    /// Whether the value meets all rules.
    ///
    /// # Errors
    ///
    /// The rules that it breaks; of at most [`Invalid::MOST`] is told.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<Violation>> {
        let mut found = Found::default();
        found.value(self, value);
        if found.violations.is_empty() { Ok(()) } else { Err(found.violations) }
    }
}

/// The rules that were found to be broken, and where the value now looked at is.
#[derive(Default)]
struct Found {
    violations: Vec<Violation>,
    path: String,
}

impl Found {
    fn add(&mut self, rule: &str, found: impl Into<String>, expected: impl Into<String>) {
        if self.violations.len() < Invalid::MOST {
            let (path, found, expected) = (self.path.clone(), found.into(), expected.into());
            self.violations.push(Violation { rule: rule.to_owned(), path, found, expected });
        }
    }

    fn is_full(&self) -> bool {
        self.violations.len() >= Invalid::MOST
    }

    /// Looks at a part of the value.
    fn within(&mut self, part: &str, look: impl FnOnce(&mut Self)) {
        let outer = self.path.len();
        self.path.push_str(part);
        look(self);
        self.path.truncate(outer);
    }

    fn value(&mut self, rules: &Rules, value: &Value) {
        match (rules, value) {
            (Rules::String(rules), Value::String(text)) => self.string(rules, text),
            (Rules::Integer(rules), Value::Integer(value)) => self.integer(rules, *value),
            (Rules::Float(rules), Value::Float(value)) => self.float(rules, *value),
            (Rules::Boolean(_), Value::Boolean(_)) => {}
            (Rules::List(rules), Value::List(items)) => self.list(rules, items),
            (Rules::Dict(rules), Value::Dict(entries)) => self.dict(rules, entries),
            (Rules::Tensor(rules), Value::Tensor(tensor)) => self.tensor(rules, tensor),
            (Rules::Embedding(rules), Value::Embedding(embedding)) => self.embedding(rules, embedding),
            (Rules::Choice(rules), Value::Choice(text)) => self.choice(rules, text),
            (Rules::Module(rules), Value::Module(path)) => self.module(rules, path),
            (rules, value) => self.add("type", value.kind().name(), rules.kind().name()),
        }
    }

    /// A part of a list or dict.
    fn json(&mut self, rules: &Rules, json: &Json) {
        match Value::from_json(rules.kind(), json.clone(), rules.dtype()) {
            Ok(value) => self.value(rules, &value),
            Err(mismatch) => self.mismatch(mismatch),
        }
    }

    fn mismatch(&mut self, mismatch: Mismatch) {
        let Mismatch { expected, found, path } = mismatch;
        self.within(&path, |inner| inner.add("type", found, expected));
    }

    fn string(&mut self, rules: &StringRules, text: &str) {
        let quoted = || format!("{:?}", shorten(text));
        if rules.min_length.is_some() || rules.max_length.is_some() {
            let length = text.chars().count() as u64;
            self.count("min_length", "max_length", "characters", length, rules.min_length, rules.max_length);
        }
        if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            self.add("pattern", quoted(), format!("a match of `{}`", pattern.as_str()));
        }
        if let Some(options) =
            rules.one_of.as_ref().filter(|options| !options.iter().any(|option| option == text))
        {
            self.add("enum", quoted(), format!("one of {options:?}"));
        }
    }

    fn integer(&mut self, rules: &IntegerRules, value: i64) {
        if let Some(min) = rules.min.filter(|min| value < *min) {
            self.add("min", value.to_string(), format!("at least {min}"));
        }
        if let Some(max) = rules.max.filter(|max| value > *max) {
            self.add("max", value.to_string(), format!("at most {max}"));
        }
        if let Some(step) = rules.step {
            let from = rules.min.unwrap_or(0);
            // The distance of two numbers of 64 bits may need one bit more.
            if (i128::from(value) - i128::from(from)) % i128::from(step) != 0 {
                self.add("step", value.to_string(), format!("a multiple of {step} from {from}"));
            }
        }
        if let Some(options) = rules.one_of.as_ref().filter(|options| !options.contains(&value)) {
            self.add("enum", value.to_string(), format!("one of {options:?}"));
        }
    }

    fn float(&mut self, rules: &FloatRules, value: f64) {
        if !value.is_finite() {
            return self.add("type", value.to_string(), "a finite number");
        }
        self.bounds(rules.min, rules.max, value);
        if let Some(step) = rules.step {
            let from = rules.min.unwrap_or(0.0);
            let steps = (value - from) / step;
            // Beyond 2^52 steps every double is a whole number of them, as far as doubles can tell.
            if (steps - steps.round()).abs() > ROUNDING * steps.abs().max(1.0) {
                self.add("step", value.to_string(), format!("a multiple of {step} from {from}"));
            }
        }
        if let Some(options) = rules.one_of.as_ref().filter(|options| !options.contains(&value)) {
            self.add("enum", value.to_string(), format!("one of {options:?}"));
        }
    }

    fn bounds(&mut self, min: Option<f64>, max: Option<f64>, value: f64) {
        if let Some(min) = min.filter(|min| below(value, *min)) {
            self.add("min", value.to_string(), format!("at least {min}"));
        }
        if let Some(max) = max.filter(|max| below(*max, value)) {
            self.add("max", value.to_string(), format!("at most {max}"));
        }
    }

    fn count(&mut self, low: &str, high: &str, what: &str, count: u64, min: Option<u64>, max: Option<u64>) {
        if let Some(min) = min.filter(|min| count < *min) {
            self.add(low, format!("{count} {what}"), format!("at least {min}"));
        }
        if let Some(max) = max.filter(|max| count > *max) {
            self.add(high, format!("{count} {what}"), format!("at most {max}"));
        }
    }

    fn list(&mut self, rules: &ListRules, items: &[Json]) {
        self.count("min_items", "max_items", "items", items.len() as u64, rules.min_items, rules.max_items);
        if rules.unique {
            self.unique(items);
        }
        let Some(item_rules) = &rules.items else { return };
        for (index, item) in items.iter().enumerate() {
            if self.is_full() {
                return;
            }
            self.within(&format!("[{index}]"), |inner| inner.json(item_rules, item));
        }
    }

    fn unique(&mut self, items: &[Json]) {
        // By their text, which is the same for equal values: entries are sorted, and numbers are written one way.
        let mut seen = std::collections::HashMap::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(first) = seen.insert(canonical(item), index) {
                self.within(&format!("[{index}]"), |inner| {
                    inner.add("unique", describe(item), format!("no item twice; [{first}] is the same"));
                });
            }
        }
    }

    fn dict(&mut self, rules: &DictRules, entries: &serde_json::Map<String, Json>) {
        self.count(
            "min_items",
            "max_items",
            "entries",
            entries.len() as u64,
            rules.min_items,
            rules.max_items,
        );
        for key in rules.required.iter().filter(|key| !entries.contains_key(*key)) {
            self.add("required", format!("no key {key:?}"), "it to be there");
        }
        let Some(value_rules) = &rules.values else { return };
        for (key, value) in entries {
            if self.is_full() {
                return;
            }
            self.within(&format!(".{key}"), |inner| inner.json(value_rules, value));
        }
    }

    fn tensor(&mut self, rules: &TensorRules, tensor: &Tensor) {
        if let Some(shape) = &rules.shape {
            let fits = shape.len() == tensor.shape().len()
                && shape
                    .iter()
                    .zip(tensor.shape())
                    .all(|(wanted, size)| wanted.is_none_or(|wanted| wanted == *size as u64));
            if !fits {
                let sizes = shape.iter().map(|size| size.map_or("any".to_owned(), |size| size.to_string()));
                let sizes: Vec<_> = sizes.collect();
                self.add("shape", format!("{:?}", tensor.shape()), format!("[{}]", sizes.join(", ")));
            }
        }
        if let Some(dtype) = rules.dtype.filter(|dtype| *dtype != tensor.dtype()) {
            self.add("dtype", tensor.dtype().name(), dtype.name());
        }
        if rules.min.is_some() || rules.max.is_some() {
            with_numbers!(tensor.data(), numbers => self.numbers(rules.min, rules.max, tensor.shape(), numbers));
        }
    }

    fn embedding(&mut self, rules: &EmbeddingRules, embedding: &Embedding) {
        if let Some(wanted) = rules.dimensions.filter(|wanted| *wanted != embedding.dimensions() as u64) {
            self.add("dimensions", embedding.dimensions().to_string(), wanted.to_string());
        }
        if let Some(index) = embedding.as_slice().iter().position(|number| !number.is_finite()) {
            let number = embedding.as_slice()[index];
            return self.within(&format!("[{index}]"), |inner| {
                inner.add("type", number.to_string(), "a finite number")
            });
        }
        if let Some(norm) = rules.norm {
            let (name, length) = match norm {
                Norm::L1 => ("L1", embedding.l1_norm()),
                Norm::L2 => ("L2", embedding.norm()),
            };
            let tolerance = rules.tolerance.unwrap_or(1e-6);
            if (length - 1.0).abs() > tolerance {
                self.add("norm", format!("an {name} norm of {length}"), format!("1, within {tolerance}"));
            }
        }
        if rules.min.is_some() || rules.max.is_some() {
            self.numbers(rules.min, rules.max, &[embedding.dimensions()], embedding.as_slice());
        }
    }

    /// Every number of a box within bounds; only the first that is not is told of.
    fn numbers<T: crate::value::Element>(
        &mut self,
        min: Option<f64>,
        max: Option<f64>,
        shape: &[usize],
        numbers: &[T],
    ) {
        let outside = |number: &T| {
            let number = number.as_f64();
            min.is_some_and(|min| below(number, min)) || max.is_some_and(|max| below(max, number))
        };
        if let Some(index) = numbers.iter().position(outside) {
            self.within(&place(index, shape), |inner| inner.bounds(min, max, numbers[index].as_f64()));
        }
    }

    fn choice(&mut self, rules: &ChoiceRules, text: &str) {
        if !rules.choices.iter().any(|choice| choice == text) {
            self.add("choices", format!("{:?}", shorten(text)), format!("one of {:?}", rules.choices));
        }
    }

    fn module(&mut self, rules: &ModuleRules, path: &str) {
        if !is_path(path) {
            self.add("type", format!("{:?}", shorten(path)), "a dotted path, as `dspy.Predict`");
        } else if let Some(allowed) =
            rules.allowed.as_ref().filter(|allowed| !allowed.iter().any(|one| one == path))
        {
            self.add("allowed", format!("{path:?}"), format!("one of {allowed:?}"));
        }
    }
}

/// Whether one number is less than another. NaN is on the wrong side of everything.
fn below(one: f64, other: f64) -> bool {
    one.partial_cmp(&other).is_none_or(std::cmp::Ordering::is_lt)
}

/// The indices of the number at a place in C order.
fn place(mut index: usize, shape: &[usize]) -> String {
    let mut indices = vec![0; shape.len()];
    for (at, size) in shape.iter().enumerate().rev() {
        indices[at] = index % size;
        index /= size;
    }
    indices.iter().map(|index| format!("[{index}]")).collect()
}

/// A text that is the same for equal values.
fn canonical(json: &Json) -> String {
    match json {
        Json::Object(entries) => {
            let sorted: std::collections::BTreeMap<_, _> =
                entries.iter().map(|(key, value)| (key, canonical(value))).collect();
            format!("{sorted:?}")
        }
        Json::Array(items) => format!("{:?}", items.iter().map(canonical).collect::<Vec<_>>()),
        // 1 and 1.0 are the same number.
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => format!("{}", float as i64),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
