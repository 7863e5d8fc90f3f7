//! The parser of the values of a `Literal`.

use super::fields::{Attempt, Parser};
use super::lexer::{Token, TokenKind};
use super::{Rule, Value};

impl Parser<'_> {
    /// The values up to the bracket.
    pub(super) fn literal(&mut self) -> Attempt<Vec<Value>> {
        let mut values: Vec<Value> = Vec::new();
        while self.peek().kind != TokenKind::Mark(']') {
            let start = self.peek().range.start;
            let value = self.value()?;
            let at = start..self.tokens[self.next - 1].range.end;
            if values.contains(&value) {
                let text = format!("the value `{value}` is there twice");
                self.note(Rule::Repeated, at, text, Some("remove one".to_owned()));
            } else {
                values.push(value);
            }
            if !self.take(',') {
                break;
            }
        }
        if values.is_empty() {
            let at = self.peek().range.clone();
            return self.fail(
                Rule::Parameters,
                at,
                "`Literal` without values",
                Some("write `Literal['a', 'b']`".to_owned()),
            );
        }
        if values == [Value::None] {
            self.none_alone(&self.tokens[self.next - 1].range.clone());
        }
        Ok(values)
    }

    fn value(&mut self) -> Attempt<Value> {
        let start = self.peek().range.start;
        let negative = self.take('-');
        let Token { kind, range } = self.peek().clone();
        let at = start..range.end;
        let value = match kind {
            TokenKind::Text(ref text) if !negative => Some(Value::Str(text.clone())),
            TokenKind::BadText(problem) => {
                return self.fail(
                    Rule::LiteralValue,
                    at,
                    problem,
                    Some("write the value in one pair of quotes".to_owned()),
                );
            }
            TokenKind::Number => {
                let digits = self.slice(&range);
                // Python refuses a leading zero.
                let decimal = digits.bytes().all(|byte| byte.is_ascii_digit())
                    && (digits == "0" || !digits.starts_with('0'));
                let sign = if negative { "-" } else { "" };
                let number = format!("{sign}{digits}").parse().ok().filter(|_| decimal);
                number.map(Value::Int)
            }
            TokenKind::Name if !negative => match self.slice(&range) {
                "True" => Some(Value::Bool(true)),
                "False" => Some(Value::Bool(false)),
                "None" => Some(Value::None),
                word => {
                    let advice = match word {
                        "true" => "write `True`".to_owned(),
                        "false" => "write `False`".to_owned(),
                        "null" | "none" => "write `None`".to_owned(),
                        _ => format!("write `'{word}'` for a string"),
                    };
                    let text = format!("`{word}` is no value");
                    return self.fail(Rule::LiteralValue, at, text, Some(advice));
                }
            },
            _ => None,
        };
        let Some(value) = value else {
            let text = match kind {
                TokenKind::Number => {
                    format!("`{}` is no decimal integer of 64 bits", self.slice(&at))
                }
                _ => format!("expected a value, found {}", self.shown()),
            };
            let advice = "a `Literal` holds strings, integers, `True`, `False` and `None`".to_owned();
            return self.fail(Rule::LiteralValue, at, text, Some(advice));
        };
        self.next += 1;
        Ok(value)
    }
}
