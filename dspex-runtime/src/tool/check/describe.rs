//! Schemas and values in few words.

use serde_json::Value;

use super::rules::{Check, Kinds, ListRules, Number, NumberRules, ObjectRules, Others, Property, TextRules};
use super::value::Seen;

/// Longer than this, a description helps nobody.
const LONGEST: usize = 240;

/// Of more constants than this, a few show what is meant.
const MOST_CONSTANTS: usize = 20;

/// Below this, what an object holds is left out.
const DEEPEST: usize = 2;

/// What fits, as in `integer from 0 to 50`.
pub(super) fn describe(check: &Check) -> String {
    cut(&within(check, 0), LONGEST)
}

fn within(check: &Check, depth: usize) -> String {
    if let Some(constants) = &check.constants {
        return either(
            constants.iter().take(MOST_CONSTANTS).map(shown).collect(),
            constants.len() > MOST_CONSTANTS,
        );
    }
    let mut words = Vec::new();
    let alternatives = [&check.any_of, &check.one_of].into_iter().find(|branches| !branches.is_empty());
    match (alternatives, check.kinds) {
        (Some(branches), Kinds::ANY) => {
            words.push(either(branches.iter().map(|branch| within(branch, depth)).collect(), false))
        }
        (Some(branches), _) if check.object.is_none() => {
            words.push(either(branches.iter().map(|branch| within(branch, depth)).collect(), false));
        }
        _ => words.extend(kinds(check, depth)),
    }
    if words.is_empty() {
        words.extend(check.all_of.first().map(|part| within(part, depth)));
    }
    if let Some(not) = &check.not {
        words.push(format!("but not {}", within(not, depth)));
    }
    match words.is_empty() {
        true => "any JSON value".to_owned(),
        false => words.join(" "),
    }
}

fn either(mut words: Vec<String>, more: bool) -> String {
    words.dedup();
    if more {
        words.push("..".to_owned());
    }
    match words.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

fn kinds(check: &Check, depth: usize) -> Option<String> {
    let mut words = Vec::new();
    let has = |kind| check.kinds.have(kind);
    // Of a schema without types, the rules say what is meant.
    let any = check.kinds == Kinds::ANY;
    if !any && has(Kinds::NUMBER) || any && check.number.is_some() {
        words.push(number("number", check.number.as_deref()));
    } else if !any && has(Kinds::INTEGER) {
        words.push(number("integer", check.number.as_deref()));
    }
    if !any && has(Kinds::TEXT) || any && check.text.is_some() {
        words.push(text(check.text.as_deref()));
    }
    if !any && has(Kinds::BOOLEAN) {
        words.push("true or false".to_owned());
    }
    if !any && has(Kinds::LIST) || any && check.list.is_some() {
        words.push(list(check.list.as_deref(), depth));
    }
    if !any && has(Kinds::OBJECT) || any && check.object.is_some() {
        words.push(object(check.object.as_deref(), depth));
    }
    if !any && has(Kinds::NULL) {
        words.push("null".to_owned());
    }
    if check.kinds == Kinds::NONE {
        words.push("nothing at all".to_owned());
    }
    (!words.is_empty()).then(|| either(words, false))
}

fn number(kind: &str, rules: Option<&NumberRules>) -> String {
    let mut words = kind.to_owned();
    let Some(rules) = rules else { return words };
    match (rules.min.map(digits), rules.max.map(digits)) {
        (Some(min), Some(max)) => words.push_str(&format!(" from {min} to {max}")),
        (Some(min), None) => words.push_str(&format!(" of at least {min}")),
        (None, Some(max)) => words.push_str(&format!(" of at most {max}")),
        (None, None) => {}
    }
    if let Some(above) = rules.above {
        words.push_str(&format!(" above {}", digits(above)));
    }
    if let Some(below) = rules.below {
        words.push_str(&format!(" below {}", digits(below)));
    }
    if let Some(step) = rules.multiple_of {
        words.push_str(&format!(", a multiple of {}", digits(step)));
    }
    words
}

fn digits(number: Number) -> String {
    match number {
        Number::Integer(value) => value.to_string(),
        Number::Wide(value) | Number::Float(value) => value.to_string(),
    }
}

fn text(rules: Option<&TextRules>) -> String {
    let mut words = "string".to_owned();
    let Some(rules) = rules else { return words };
    match (rules.shortest, rules.longest) {
        (Some(shortest), Some(longest)) if shortest == longest => {
            words.push_str(&format!(" of {shortest} characters"));
        }
        (Some(shortest), Some(longest)) => words.push_str(&format!(" of {shortest} to {longest} characters")),
        (Some(shortest), None) => words.push_str(&format!(" of at least {shortest} characters")),
        (None, Some(longest)) => words.push_str(&format!(" of at most {longest} characters")),
        (None, None) => {}
    }
    if let Some(pattern) = &rules.pattern {
        words.push_str(&format!(" that matches `{}`", cut(pattern.as_str(), 60)));
    }
    words
}

fn list(rules: Option<&ListRules>, depth: usize) -> String {
    let Some(rules) = rules else { return "list".to_owned() };
    if !rules.first.is_empty() && depth <= DEEPEST {
        let items: Vec<String> = rules.first.iter().map(|item| within(item, depth + 1)).collect();
        return format!("list [{}]", items.join(", "));
    }
    let mut words = match (rules.fewest, rules.most) {
        (Some(fewest), Some(most)) if fewest == most => format!("list of {fewest} items"),
        (Some(fewest), Some(most)) => format!("list of {fewest} to {most} items"),
        (Some(fewest), None) => format!("list of at least {fewest} items"),
        (None, Some(most)) => format!("list of at most {most} items"),
        (None, None) => "list".to_owned(),
    };
    if let Some(items) = rules.items.as_ref().filter(|_| depth <= DEEPEST) {
        words.push_str(&format!(", each {}", within(items, depth + 1)));
    }
    if rules.unique {
        words.push_str(", none twice");
    }
    words
}

fn object(rules: Option<&ObjectRules>, depth: usize) -> String {
    let Some(rules) = rules.filter(|_| depth <= DEEPEST) else { return "object".to_owned() };
    let mut parts: Vec<String> = rules.properties.iter().map(|property| part(property, depth)).collect();
    if let Others::Fitting(check) = &rules.others {
        parts.push(format!(
            "{} (each {})",
            if parts.is_empty() { "any keys" } else { "other keys" },
            within(check, depth + 1)
        ));
    }
    match parts.is_empty() {
        true => "object".to_owned(),
        false => format!("object with {}", parts.join(", ")),
    }
}

fn part(property: &Property, depth: usize) -> String {
    let optional = if property.required { "" } else { ", optional" };
    format!("`{}` ({}{optional})", property.name, within(&property.check, depth + 1))
}

/// The arguments that a tool takes, as in `email (string), invoices (integer, optional)`.
pub(super) fn names(properties: &[Property]) -> impl Iterator<Item = &str> {
    properties.iter().map(|property| property.name.as_str())
}

/// What was found, never more than a line of it.
pub(super) fn found(value: &Value) -> String {
    match Seen::of(value) {
        Seen::List([]) => "an empty list".to_owned(),
        Seen::List(items) => format!("a list of {}", counted(items.len(), "item")),
        Seen::Object(entries) if entries.is_empty() => "an empty object".to_owned(),
        Seen::Object(entries) => {
            let keys: Vec<String> = entries.keys().take(5).map(|key| format!("`{}`", cut(key, 24))).collect();
            let more = if entries.len() > keys.len() { ", .." } else { "" };
            format!("an object with {}{more}", keys.join(", "))
        }
        Seen::Bytes(bytes) => counted(bytes.len(), "byte"),
        Seen::LoneSurrogates => "a text with lone surrogates, which are no characters".to_owned(),
        Seen::Opaque(kind) => format!("an object of Python's `{}`, which has no JSON", cut(kind, 64)),
        Seen::BrokenTag => "an object with the reserved key `$dspex`".to_owned(),
        Seen::Number(Number::Float(value)) if !value.is_finite() => value.to_string(),
        _ => shown(value),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A constant or a plain value as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let head = cut(text, 60);
            match head.len() == text.len() {
                true => Value::from(head).to_string(),
                false => format!("{} ({} characters)", Value::from(head), text.chars().count()),
            }
        }
        Value::Array(_) | Value::Object(_) => cut(&value.to_string(), 60),
        other => other.to_string(),
    }
}

/// The text, or its beginning.
pub(in super::super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}
