//! Holding a value against a schema.

use serde_json::{Map, Value};

use super::describe::{describe, found, names};
use super::report::{Path, Problem, Sink, Verdict};
use super::rules::{Check, Kinds, ListRules, Number, NumberRules, ObjectRules, Others, TextRules};
use super::value::{Seen, equal, repeated};

impl Check {
    /// Whether the value fits.
    pub(in super::super) fn fits(&self, value: &Value) -> bool {
        !self.verdict(value).unfit
    }

    pub(super) fn verdict(&self, value: &Value) -> Verdict {
        let mut verdict = Verdict::default();
        self.visit(value, &Path::Root, &mut verdict);
        verdict
    }

    /// Tells the sink what is wrong with the value.
    pub(super) fn visit<S: Sink>(&self, value: &Value, path: &Path<'_>, sink: &mut S) {
        let seen = Seen::of(value);
        let unfit = || Problem::Unfit { expected: describe(self), found: found(value) };
        let kind = seen.kind();
        if self.kinds != Kinds::ANY && !kind.is_some_and(|kind| self.kinds.have(kind)) {
            return sink.add(path, unfit);
        }
        if let Some(constants) = &self.constants
            && !constants.iter().any(|constant| equal(constant, value))
        {
            return sink.add(path, unfit);
        }
        match &seen {
            Seen::Number(number) => {
                if matches!(number, Number::Float(_)) && number.is_integer() && self.takes_only_integers() {
                    sink.whole_float();
                }
                if self.number.as_ref().is_some_and(|rules| !rules.take(*number)) {
                    sink.add(path, unfit);
                }
            }
            Seen::Text(text) if self.text.as_ref().is_some_and(|rules| !rules.take(text)) => {
                sink.add(path, unfit);
            }
            Seen::Bytes(bytes) if self.list.as_ref().is_some_and(|rules| !rules.take_bytes(bytes)) => {
                sink.add(path, unfit);
            }
            Seen::List(items) => {
                if let Some(rules) = &self.list {
                    rules.visit(items, path, sink, &unfit);
                }
            }
            Seen::Object(entries) => {
                if let Some(rules) = &self.object {
                    rules.visit(entries, path, sink, &unfit);
                }
            }
            _ => {}
        }
        self.combined(value, path, sink, &unfit);
    }

    fn combined<S: Sink>(&self, value: &Value, path: &Path<'_>, sink: &mut S, unfit: &impl Fn() -> Problem) {
        for part in &self.all_of {
            if !sink.is_full() {
                part.visit(value, path, sink);
            }
        }
        for (branches, exactly_one) in [(&self.any_of, false), (&self.one_of, true)] {
            if branches.is_empty() || sink.is_full() {
                continue;
            }
            let mut fitting =
                branches.iter().map(|branch| branch.verdict(value)).filter(|verdict| !verdict.unfit);
            match fitting.next() {
                Some(verdict) => {
                    if verdict.whole_floats {
                        sink.whole_float();
                    }
                    if exactly_one && fitting.next().is_some() {
                        sink.add(path, || Problem::Unfit {
                            expected: format!("exactly one of: {}", describe(self)),
                            found: found(value),
                        });
                    }
                }
                None => match meant(branches, value).filter(|_| sink.explains()) {
                    Some(branch) => branch.visit(value, path, sink),
                    None => sink.add(path, unfit),
                },
            }
        }
        if let Some(not) = &self.not
            && !sink.is_full()
            && not.fits(value)
        {
            sink.add(path, unfit);
        }
    }

    pub(super) fn takes_only_integers(&self) -> bool {
        self.kinds.have(Kinds::INTEGER) && !self.kinds.have(Kinds::FRACTION)
    }

    fn takes_kind_of(&self, value: &Value) -> bool {
        match Seen::of(value).kind() {
            Some(kind) => self.kinds.have(kind),
            None => self.kinds == Kinds::ANY,
        }
    }
}

/// The alternative that was most likely meant: the only one of the value's type, or the one whose tag the value has.
fn meant<'a>(branches: &'a [Check], value: &Value) -> Option<&'a Check> {
    let mut of_kind = branches.iter().filter(|branch| branch.takes_kind_of(value));
    let first = of_kind.next()?;
    if of_kind.next().is_none() {
        return Some(first);
    }
    let Seen::Object(entries) = Seen::of(value) else { return None };
    let mut tagged = branches.iter().filter(|branch| branch.has_tag_of(entries));
    let first = tagged.next()?;
    tagged.next().is_none().then_some(first)
}

impl Check {
    /// A property of one constant that the object has, or the only key of both.
    fn has_tag_of(&self, entries: &Map<String, Value>) -> bool {
        let Some(object) = &self.object else { return false };
        let tag = object.properties.iter().any(|property| {
            let constant = property.check.constants.as_deref();
            matches!(constant, Some([constant]) if entries.get(&property.name).is_some_and(|value| equal(constant, value)))
        });
        let variant = match object.properties.as_slice() {
            [only] => {
                let alone = only.required && only.check.constants.is_none() && entries.len() == 1;
                alone && entries.contains_key(&only.name)
            }
            _ => false,
        };
        tag || variant
    }
}

impl NumberRules {
    fn take(&self, number: Number) -> bool {
        // What compares with nothing is in no range.
        let holds = |bound: Option<Number>, fits: fn(std::cmp::Ordering) -> bool| {
            bound.is_none_or(|bound| number.compare(bound).is_some_and(fits))
        };
        holds(self.min, std::cmp::Ordering::is_ge)
            && holds(self.max, std::cmp::Ordering::is_le)
            && holds(self.above, std::cmp::Ordering::is_gt)
            && holds(self.below, std::cmp::Ordering::is_lt)
            && self.multiple_of.is_none_or(|step| number.is_multiple_of(step))
    }
}

impl TextRules {
    fn take(&self, text: &str) -> bool {
        if self.shortest.is_some() || self.longest.is_some() {
            let characters = text.chars().count() as u64;
            if self.shortest.is_some_and(|shortest| characters < shortest)
                || self.longest.is_some_and(|longest| characters > longest)
            {
                return false;
            }
        }
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }
}

impl ListRules {
    fn visit<S: Sink>(&self, items: &[Value], path: &Path<'_>, sink: &mut S, unfit: &impl Fn() -> Problem) {
        if !self.has_room_for(items.len()) {
            sink.add(path, unfit);
        }
        if self.unique
            && !sink.is_full()
            && let Some(at) = repeated(items)
        {
            let expected = || "no two equal items".to_owned();
            sink.add(&Path::Index(path, at), || Problem::Unfit {
                expected: expected(),
                found: format!("{} again", found(&items[at])),
            });
        }
        for (at, item) in items.iter().enumerate() {
            if sink.is_full() {
                return;
            }
            match self.first.get(at).or(self.items.as_ref()) {
                Some(check) => check.visit(item, &Path::Index(path, at), sink),
                None if at >= self.first.len() => return,
                None => {}
            }
        }
    }

    fn has_room_for(&self, count: usize) -> bool {
        let count = count as u64;
        self.fewest.is_none_or(|fewest| count >= fewest) && self.most.is_none_or(|most| count <= most)
    }

    /// Bytes are a list of integers.
    fn take_bytes(&self, bytes: &[u8]) -> bool {
        if !self.has_room_for(bytes.len()) {
            return false;
        }
        let mut seen = [false; 256];
        for (at, byte) in bytes.iter().enumerate() {
            let first = self.first.get(at);
            let known = std::mem::replace(&mut seen[usize::from(*byte)], true);
            if known && self.unique {
                return false;
            }
            if known && first.is_none() && at > self.first.len() {
                continue;
            }
            if first.or(self.items.as_ref()).is_some_and(|check| !check.fits(&Value::from(*byte))) {
                return false;
            }
        }
        true
    }
}

impl ObjectRules {
    fn visit<S: Sink>(
        &self,
        entries: &Map<String, Value>,
        path: &Path<'_>,
        sink: &mut S,
        unfit: &impl Fn() -> Problem,
    ) {
        let mut known = 0;
        for (at, property) in self.properties.iter().enumerate() {
            match entries.get(&property.name) {
                Some(value) if at < self.described => {
                    known += 1;
                    property.check.visit(value, &Path::Key(path, &property.name), sink);
                }
                Some(_) => {}
                None if property.required => sink.add(path, || Problem::Missing {
                    name: property.name.clone(),
                    expected: describe(&property.check),
                }),
                None => {}
            }
            if sink.is_full() {
                return;
            }
        }
        if known < entries.len() && (!self.patterns.is_empty() || !matches!(self.others, Others::Anything)) {
            self.visit_others(entries, path, sink);
        }
        let count = entries.len() as u64;
        if self.fewest.is_some_and(|fewest| count < fewest) || self.most.is_some_and(|most| count > most) {
            sink.add(path, unfit);
        }
        for (key, needed) in &self.dependent {
            for name in needed.iter().filter(|name| entries.contains_key(key) && !entries.contains_key(*name))
            {
                let expected = || format!("it together with `{key}`");
                sink.add(path, || Problem::Missing { name: name.clone(), expected: expected() });
            }
        }
    }

    fn visit_others<S: Sink>(&self, entries: &Map<String, Value>, path: &Path<'_>, sink: &mut S) {
        let described = &self.properties[..self.described];
        for (key, value) in entries {
            if sink.is_full() {
                return;
            }
            let mut matched = described.iter().any(|property| property.name == *key);
            for (pattern, check) in &self.patterns {
                if pattern.is_match(key) {
                    matched = true;
                    check.visit(value, &Path::Key(path, key), sink);
                }
            }
            if matched {
                continue;
            }
            match &self.others {
                Others::Anything => {}
                Others::Fitting(check) => check.visit(value, &Path::Key(path, key), sink),
                Others::Nothing => sink.add(path, || Problem::Unknown {
                    name: key.clone(),
                    suggestion: dspex_schema::closest(&super::cut(key, 64), names(described))
                        .map(str::to_owned),
                }),
            }
        }
    }
}

impl Check {
    /// Writes floats that are whole numbers as integers where integers are expected. The value fits.
    pub(super) fn settle(&self, value: &mut Value) {
        for part in &self.all_of {
            part.settle(value);
        }
        for branches in [&self.any_of, &self.one_of] {
            if let Some(branch) = branches.iter().find(|branch| branch.fits(value)) {
                branch.settle(value);
            }
        }
        match value {
            Value::Number(number) if self.takes_only_integers() => {
                if let Number::Float(whole) = Number::of(number)
                    && whole.abs() < 1e38
                {
                    *value = crate::wire::integer(whole as i128);
                }
            }
            Value::Array(items) => {
                let Some(rules) = &self.list else { return };
                for (at, item) in items.iter_mut().enumerate() {
                    if let Some(check) = rules.first.get(at).or(rules.items.as_ref()) {
                        check.settle(item);
                    }
                }
            }
            Value::Object(entries) => {
                let Some(rules) = &self.object else { return };
                for (key, value) in entries {
                    rules.settle(key, value);
                }
            }
            _ => {}
        }
    }
}

impl ObjectRules {
    fn settle(&self, key: &str, value: &mut Value) {
        let mut matched = false;
        for property in self.properties[..self.described].iter().filter(|property| property.name == key) {
            matched = true;
            property.check.settle(value);
        }
        for (_, check) in self.patterns.iter().filter(|(pattern, _)| pattern.is_match(key)) {
            matched = true;
            check.settle(value);
        }
        if let (false, Others::Fitting(check)) = (matched, &self.others) {
            check.settle(value);
        }
    }
}
