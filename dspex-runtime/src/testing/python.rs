//! Python's literals: DSPy shows a tool's parameters as the `repr` of a dictionary.

use serde_json::{Map, Number, Value};

/// Reads one literal at the beginning of a text, and returns what follows it.
pub(super) fn literal(text: &str) -> Option<(Value, &str)> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    Some((value, reader.rest))
}

/// Literals nest at most this deep; a prompt may hold anything.
const MAX_DEPTH: usize = 64;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_space();
        match self.rest.chars().next()? {
            '{' => self.dictionary(depth),
            '[' => self.list("[", "]", depth),
            '(' => self.list("(", ")", depth),
            '\'' | '"' => self.text().map(Value::String),
            c if c.is_ascii_digit() || c == '-' || c == '.' => self.number(),
            _ => self.name(),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Option<Value> {
        self.eat("{");
        let mut object = Map::new();
        while !self.eat("}") {
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            if !self.eat(":") {
                return None;
            }
            let value = self.value(depth + 1)?;
            object.insert(key, value);
            if !self.eat(",") {
                return self.eat("}").then_some(Value::Object(object));
            }
        }
        Some(Value::Object(object))
    }

    fn list(&mut self, open: &str, close: &str, depth: usize) -> Option<Value> {
        self.eat(open);
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.value(depth + 1)?);
            if !self.eat(",") {
                return self.eat(close).then_some(Value::Array(items));
            }
        }
        Some(Value::Array(items))
    }

    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((index, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[index + c.len_utf8()..];
                return Some(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let digits = match chars.next()?.1 {
                'n' => {
                    text.push('\n');
                    continue;
                }
                't' => {
                    text.push('\t');
                    continue;
                }
                'r' => {
                    text.push('\r');
                    continue;
                }
                'x' => 2,
                'u' => 4,
                'U' => 8,
                other => {
                    text.push(other);
                    continue;
                }
            };
            let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
            text.push(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap_or('\u{FFFD}'));
        }
        None
    }

    fn number(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_')))
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Ok(value) = digits.parse::<i64>() {
            return Some(value.into());
        }
        let value: f64 = digits.parse().ok()?;
        Some(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn name(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        match name {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" | "nan" | "inf" => Some(Value::Null),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_s_parameters_are_read_from_their_repr() {
        let text = r#"{'x': {'type': 'integer', 'default': -3}, 'y': {"anyOf": [{'type': 'string'}, None], 'e': (1.5, True, "it's\n\xe9")}}. More"#;
        let (value, rest) = literal(text).expect("a literal");
        let expected = json!({
            "x": {"type": "integer", "default": -3},
            "y": {"anyOf": [{"type": "string"}, null], "e": [1.5, true, "it's\né"]}
        });
        assert_eq!(value, expected);
        assert_eq!(rest, ". More");
    }

    #[test]
    fn what_is_no_literal_is_refused_without_a_panic() {
        for text in
            ["", "{", "{'a'", "{'a': }", "[1, ", "'open", "foo(", "-", "{'a': '\\x", &"[".repeat(10_000)]
        {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
