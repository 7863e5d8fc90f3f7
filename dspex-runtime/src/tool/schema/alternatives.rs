//! `anyOf`, `oneOf` and `allOf`, as short as they can be said.

use serde_json::{Map, Value, json};

use super::merge;
use super::types::is_annotation;

/// Says alternatives shortly: what nests needlessly is flattened, constants become one `enum`, null comes last.
pub(super) fn simplify(schema: &mut Map<String, Value>) {
    merge_all(schema);
    for keyword in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = schema.get_mut(keyword) else { continue };
        let mut branches = flattened(std::mem::take(branches), keyword);
        branches.sort_by_key(is_null);
        let note = constants(&mut branches, keyword == "oneOf");
        if let Some(note) = note {
            if let [Value::Object(only)] = branches.as_mut_slice() {
                describe(only, &note);
            } else if let Some(Value::Object(first)) = branches.first_mut() {
                describe(first, &note);
            }
        }
        match branches.as_mut_slice() {
            [Value::Object(only)] => {
                let only = std::mem::take(only);
                schema.shift_remove(keyword);
                let own = schema.get("description").cloned();
                let described = only.get("description").cloned();
                *schema = merge::into(std::mem::take(schema), only);
                // The field's own words, and those of the variants after them.
                if let (Some(Value::String(own)), Some(Value::String(variants))) = (own, described)
                    && variants.starts_with('`')
                {
                    schema.insert("description".to_owned(), format!("{own} {variants}").into());
                }
            }
            _ => {
                schema.insert(keyword.to_owned(), branches.into());
            }
        }
    }
}

/// What all holds is put together as far as it agrees.
fn merge_all(schema: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = schema.shift_remove("allOf") else { return };
    for part in parts {
        match part {
            Value::Object(part) => *schema = merge::into(std::mem::take(schema), part),
            other => {
                if let Value::Array(all) = schema.entry("allOf").or_insert_with(|| json!([])) {
                    all.push(other);
                }
            }
        }
    }
}

/// Alternatives among alternatives are alternatives; of equal ones, one is enough in `anyOf`.
fn flattened(branches: Vec<Value>, keyword: &str) -> Vec<Value> {
    let mut flat: Vec<Value> = Vec::new();
    for branch in branches {
        let inner = match branch {
            Value::Object(mut branch) if keyword == "anyOf" && branch.len() == 1 => {
                match branch.shift_remove("anyOf") {
                    Some(Value::Array(inner)) => inner,
                    Some(other) => vec![json!({"anyOf": other})],
                    None => vec![Value::Object(branch)],
                }
            }
            other => vec![other],
        };
        for branch in inner {
            if keyword != "anyOf" || !flat.contains(&branch) {
                flat.push(branch);
            }
        }
    }
    flat
}

fn is_null(branch: &Value) -> bool {
    branch.get("type") == Some(&"null".into())
}

/// Makes one `enum` of alternatives that are constants, and says what was said of them.
fn constants(branches: &mut Vec<Value>, exclusive: bool) -> Option<String> {
    let count = branches.iter().filter(|branch| !is_null(branch)).count();
    if count < 2 {
        return None;
    }
    let mut values: Vec<Value> = Vec::new();
    let mut notes = Vec::new();
    let mut kind: Option<&Value> = None;
    for branch in branches[..count].iter() {
        let branch = branch.as_object()?;
        let known = |keyword: &str| is_annotation(keyword) || matches!(keyword, "const" | "enum" | "type");
        if !branch.keys().all(|keyword| known(keyword)) || branch.contains_key("default") {
            return None;
        }
        let own = match (branch.get("const"), branch.get("enum")) {
            (Some(constant), None) => std::slice::from_ref(constant),
            (None, Some(Value::Array(constants))) => constants.as_slice(),
            _ => return None,
        };
        let there = branch.get("type");
        if (!values.is_empty() && kind != there) || own.iter().any(|value| !value.is_string()) {
            return None;
        }
        kind = there;
        for value in own {
            match values.contains(value) {
                // Neither of two equal ones is the only one that fits.
                true if exclusive => return None,
                true => {}
                false => values.push(value.clone()),
            }
        }
        if let (Some(text), [Value::String(name)]) = (branch.get("description").and_then(Value::as_str), own)
        {
            notes.push(format!("`{name}`: {}", sentence(text)));
        }
    }
    let mut folded = Map::new();
    if let Some(kind) = kind {
        folded.insert("type".to_owned(), kind.clone());
    }
    folded.insert("enum".to_owned(), values.into());
    branches.splice(..count, [Value::Object(folded)]);
    (!notes.is_empty()).then(|| notes.join(" "))
}

fn describe(schema: &mut Map<String, Value>, note: &str) {
    let described = match schema.get("description").and_then(Value::as_str) {
        Some(own) => format!("{} {note}", sentence(own)),
        None => note.to_owned(),
    };
    schema.insert("description".to_owned(), described.into());
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    match text.ends_with(['.', '!', '?', ';', ':']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}
