//! Python's type hints as DSPy prints them, such as `Union[list[int], NoneType]`, read as JSON Schema.

use serde_json::{Value, json};

/// A printed type hint.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hint {
    Any,
    Plain(&'static str),
    Null,
    Literal(Vec<Value>),
    List(Box<Hint>),
    Dict(Box<Hint>),
    Tuple(Vec<Hint>),
    Union(Vec<Hint>),
    /// The worker's own classes for optional values: `None` has to be written, as `null`.
    Nullable(Box<Hint>),
    /// A class that only its name is known of.
    Named(String),
}

impl Hint {
    /// Reads a hint at the beginning of a text, and returns what follows it.
    pub(super) fn read(text: &str) -> Option<(Hint, &str)> {
        read(text, 0)
    }

    /// The same as JSON Schema; `None` where a class is involved.
    pub(super) fn schema(&self) -> Option<Value> {
        Some(match self {
            Hint::Any => json!({}),
            Hint::Plain(name) => json!({"type": name}),
            Hint::Null => json!({"type": "null"}),
            Hint::Literal(members) => json!({"enum": members}),
            Hint::List(item) => json!({"type": "array", "items": item.schema()?}),
            Hint::Dict(value) => json!({"type": "object", "additionalProperties": value.schema()?}),
            Hint::Tuple(items) => {
                let items: Option<Vec<Value>> = items.iter().map(Hint::schema).collect();
                json!({"type": "array", "prefixItems": items?})
            }
            Hint::Union(members) => {
                let members: Option<Vec<Value>> = members.iter().map(Hint::schema).collect();
                json!({"anyOf": members?})
            }
            Hint::Nullable(inner) => json!({"anyOf": [inner.schema()?, {"type": "null"}]}),
            Hint::Named(_) => return None,
        })
    }

    /// `None` is a value of the type, and DSPy reads a missing field as `None`.
    pub(super) fn allows_none(&self) -> bool {
        match self {
            Hint::Null => true,
            Hint::Union(members) => members.iter().any(Hint::allows_none),
            _ => false,
        }
    }

    /// Some of the values have no type of their own: as elements of XML they would all become texts.
    pub(super) fn has_untyped_values(&self) -> bool {
        match self {
            Hint::Any => true,
            Hint::List(inner) | Hint::Dict(inner) | Hint::Nullable(inner) => inner.has_untyped_values(),
            Hint::Tuple(members) | Hint::Union(members) => members.iter().any(Hint::has_untyped_values),
            _ => false,
        }
    }

    /// DSPy takes the text of such a field as it stands, and does not read it as JSON.
    pub(super) fn is_raw_text(&self) -> bool {
        match self {
            Hint::Plain(name) => *name == "string",
            Hint::Literal(_) => true,
            Hint::Union(members) => members.contains(&Hint::Null) && members.contains(&Hint::Plain("string")),
            _ => false,
        }
    }
}

const MAX_DEPTH: usize = 32;

fn read(text: &str, depth: usize) -> Option<(Hint, &str)> {
    if depth > MAX_DEPTH {
        return None;
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let short = name.rsplit('.').next().unwrap_or(name);
    if let Some(inner) = rest.strip_prefix('[') {
        if short == "Literal" {
            let (members, rest) = members(inner)?;
            return Some((Hint::Literal(members), rest));
        }
        let (mut arguments, rest) = arguments(inner, depth)?;
        let hint = match (short, arguments.len()) {
            ("list" | "List" | "set" | "frozenset" | "Set" | "Sequence", 1) => {
                Hint::List(Box::new(arguments.remove(0)))
            }
            ("dict" | "Dict" | "Mapping", 2) => Hint::Dict(Box::new(arguments.remove(1))),
            ("tuple" | "Tuple", _) => Hint::Tuple(arguments),
            ("Union", _) => Hint::Union(arguments),
            ("Optional", 1) => Hint::Nullable(Box::new(arguments.remove(0))),
            ("Annotated", 1..) => arguments.remove(0),
            _ => Hint::Named(short.to_owned()),
        };
        return Some((hint, rest));
    }
    let hint = match short {
        "str" => Hint::Plain("string"),
        "int" => Hint::Plain("integer"),
        "float" => Hint::Plain("number"),
        "bool" => Hint::Plain("boolean"),
        "NoneType" => Hint::Null,
        "None" => Hint::Nullable(Box::new(Hint::Null)),
        "Any" => Hint::Any,
        "list" => Hint::List(Box::new(Hint::Any)),
        "dict" => Hint::Dict(Box::new(Hint::Any)),
        _ => Hint::Named(short.to_owned()),
    };
    Some((hint, rest))
}

fn arguments(mut text: &str, depth: usize) -> Option<(Vec<Hint>, &str)> {
    let mut found = Vec::new();
    loop {
        let (hint, rest) = read(text.trim_start(), depth + 1)?;
        found.push(hint);
        if let Some(rest) = rest.strip_prefix(']') {
            return Some((found, rest));
        }
        text = rest.strip_prefix(',')?;
    }
}

/// The members of a `Literal`: DSPy quotes texts in its own way, and writes the rest as Python does.
fn members(mut text: &str) -> Option<(Vec<Value>, &str)> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start();
        let (member, rest) = match text.chars().next()? {
            quote @ ('\'' | '"') => quoted(text, quote)?,
            _ => {
                let end = text.find([',', ']'])?;
                let (word, rest) = text.split_at(end);
                let member = match word.trim() {
                    "True" => json!(true),
                    "False" => json!(false),
                    "None" | "NoneType" => Value::Null,
                    word => word.parse::<i64>().map_or_else(|_| json!(word), |number| json!(number)),
                };
                (member, rest)
            }
        };
        found.push(member);
        if let Some(rest) = rest.strip_prefix(']') {
            return Some((found, rest));
        }
        text = rest.strip_prefix(',')?;
    }
}

/// A quoted text ends at a quote before `,` or `]`; only a single quote within single quotes is escaped.
fn quoted(text: &str, quote: char) -> Option<(Value, &str)> {
    let body = &text[1..];
    for (index, c) in body.char_indices() {
        let rest = &body[index + c.len_utf8()..];
        if c == quote && !body[..index].ends_with('\\') && rest.starts_with([',', ']']) {
            let text = body[..index].replace("\\'", "'");
            return Some((json!(text), rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_become_json_schema() {
        let cases = [
            ("int", json!({"type": "integer"})),
            (
                "Literal['Low', 'a; b', \"it's\", 'both \\' and \"', 3, True]",
                json!({"enum": ["Low", "a; b", "it's", "both ' and \"", 3, true]}),
            ),
            (
                "list[list[float]]",
                json!({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
            ),
            ("Optional[int]", json!({"anyOf": [{"type": "integer"}, {"type": "null"}]})),
            ("Union[str, NoneType]", json!({"anyOf": [{"type": "string"}, {"type": "null"}]})),
            ("dict[str, Any]", json!({"type": "object", "additionalProperties": {}})),
            (
                "tuple[str, int]",
                json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}),
            ),
        ];
        for (text, expected) in cases {
            let (hint, rest) = Hint::read(text).expect(text);
            assert_eq!(hint.schema(), Some(expected), "{text}");
            assert_eq!(rest, "", "{text}");
        }
    }

    #[test]
    fn a_class_has_a_name_and_no_schema() {
        let (hint, rest) = Hint::read("list[Person]): who").expect("a hint");
        assert_eq!(hint, Hint::List(Box::new(Hint::Named("Person".to_owned()))));
        assert_eq!(hint.schema(), None);
        assert_eq!(rest, "): who");
    }

    #[test]
    fn broken_hints_are_refused_without_a_panic() {
        for text in ["", "[", "list[", "Literal['x", "Literal[", "Union[int,", &"list[".repeat(5_000)] {
            assert_eq!(Hint::read(text), None, "{text}");
        }
    }
}
