//! Answers in the format that the adapter in use reads.

use serde_json::{Map, Value};

use super::hint::Hint;
use super::prompt::{AskedField, Format, Prompt};

/// Writes the values of the fields that the prompt asks for; a value without a field is left out, as the adapter
/// would ignore it.
pub(super) fn answer(prompt: &Prompt, values: &Map<String, Value>) -> String {
    match prompt.format {
        Format::Chat => chat(prompt, values),
        Format::Xml => xml(prompt, values),
        Format::Json => json(prompt, values),
        Format::Free => match values.values().next() {
            Some(Value::String(text)) if values.len() == 1 => text.clone(),
            _ => Value::Object(values.clone()).to_string(),
        },
    }
}

fn chat(prompt: &Prompt, values: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (field, value) in asked(prompt, values) {
        // There is no text for `None` in a field of optional text: leaving the field out is how a model says it.
        if value.is_null() && field.may_be_missing() {
            continue;
        }
        text.push_str(&format!("[[ ## {} ## ]]\n{}\n\n", field.name, plain(field, value)));
    }
    text.push_str("[[ ## completed ## ]]\n");
    text
}

fn json(prompt: &Prompt, values: &Map<String, Value>) -> String {
    if prompt.fields.is_empty() {
        return Value::Object(values.clone()).to_string();
    }
    let object: Map<String, Value> =
        asked(prompt, values).map(|(field, value)| (field.name.clone(), value.clone())).collect();
    Value::Object(object).to_string()
}

fn xml(prompt: &Prompt, values: &Map<String, Value>) -> String {
    let elements: Vec<String> = asked(prompt, values)
        .map(|(field, value)| {
            // DSPy reads JSON in an element too, which keeps the types of values that have none of their own.
            let untyped = field.hint.as_ref().is_some_and(Hint::has_untyped_values);
            if field.nested_xml && !untyped && !value.is_string() {
                return element(&field.name, None, value);
            }
            let text =
                if value.is_null() && field.may_be_missing() { String::new() } else { plain(field, value) };
            format!("<{0}>\n{1}\n</{0}>", field.name, escaped(&text))
        })
        .collect();
    elements.join("\n\n")
}

fn asked<'a>(
    prompt: &'a Prompt,
    values: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a AskedField, &'a Value)> {
    prompt.fields.iter().filter_map(|field| values.get(&field.name).map(|value| (field, value)))
}

/// The text of one field: as it stands, or as JSON where DSPy reads it as JSON.
fn plain(field: &AskedField, value: &Value) -> String {
    match value {
        Value::String(text) if field.is_raw_text() => text.clone(),
        value => value.to_string(),
    }
}

/// The elements that `XMLAdapter` itself writes for nested values.
fn element(tag: &str, key: Option<&str>, value: &Value) -> String {
    let attribute =
        key.map(|key| format!(" key=\"{}\"", escaped(key).replace('"', "&quot;"))).unwrap_or_default();
    let body =
        match value {
            Value::Null => return format!("<{tag}{attribute} />"),
            Value::Array(items) => items.iter().map(|item| element("item", None, item)).collect(),
            Value::Object(entries) => entries
                .iter()
                .map(|(name, value)| {
                    if is_tag(name) {
                        element(name, None, value)
                    } else {
                        element("entry", Some(name), value)
                    }
                })
                .collect(),
            Value::String(text) => escaped(text),
            other => other.to_string(),
        };
    format!("<{tag}{attribute}>{body}</{tag}>")
}

fn is_tag(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// As text of an element. Control characters have no place in XML at all.
fn escaped(text: &str) -> String {
    let valid = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r'));
    valid.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace("]]>", "]]&gt;")
}
