//! The text as tokens, each with its bytes.

use std::ops::Range;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) range: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A word, with dots or `::` between its parts: `k`, `dspy.Image`, `crate::Person`.
    Name,
    /// A string without its quotes, escapes resolved.
    Text(String),
    /// A string that cannot be one, and why.
    BadText(&'static str),
    /// A number as it was written, without a sign.
    Number,
    Arrow,
    Ellipsis,
    /// Any other character.
    Mark(char),
    End,
}

/// Splits a text; never fails. The last token is always [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = token(&text[at..], first);
        tokens.push(Token { kind, range: at..at + length });
        at += length;
    }
    let end = text.trim_end().len();
    tokens.push(Token { kind: TokenKind::End, range: end..end });
    tokens
}

/// The token at the beginning of a text, and its length in bytes.
fn token(rest: &str, first: char) -> (TokenKind, usize) {
    if rest.starts_with("->") {
        return (TokenKind::Arrow, 2);
    }
    if rest.starts_with("...") {
        return (TokenKind::Ellipsis, 3);
    }
    match first {
        '\'' | '"' => string(rest, first),
        '0'..='9' => {
            // Letters belong to it, so that `0x10` and `1st` are one token each.
            let number = |char: char| char.is_alphanumeric() || char == '_' || char == '.';
            (TokenKind::Number, rest.find(|char| !number(char)).unwrap_or(rest.len()))
        }
        _ if is_word(first) => (TokenKind::Name, name(rest)),
        _ => (TokenKind::Mark(first), first.len_utf8()),
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The length of a name with all its parts. White space ends it, as nobody writes it there.
fn name(rest: &str) -> usize {
    let word = |text: &str| text.find(|char| !is_word(char)).unwrap_or(text.len());
    let mut length = word(rest);
    loop {
        let tail = &rest[length..];
        let separator = match tail {
            _ if tail.starts_with("::") => 2,
            _ if tail.starts_with('.') && !tail.starts_with("..") => 1,
            _ => return length,
        };
        match word(&tail[separator..]) {
            0 => return length,
            part => length += separator + part,
        }
    }
}

fn string(rest: &str, quote: char) -> (TokenKind, usize) {
    let triple = [quote; 3].iter().collect::<String>();
    if rest.starts_with(&triple) {
        let length = rest[3..].find(&triple).map_or(rest.len(), |at| at + 6);
        return (TokenKind::BadText("triple quotes are not for one value"), length);
    }
    let mut value = String::new();
    let mut bad = None;
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '\n' => return (TokenKind::BadText("a string ends on the line on which it begins"), at),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(escaped @ ('\\' | '\'' | '"')) => value.push(escaped),
                _ => bad = Some("of the escapes only \\n, \\t, \\r, \\\\, \\' and \\\" are known"),
            },
            _ if char == quote => {
                let kind = bad.map_or(TokenKind::Text(value), TokenKind::BadText);
                return (kind, at + 1);
            }
            _ => value.push(char),
        }
    }
    (TokenKind::BadText("a string without an end"), rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn names_keep_their_parts_and_their_bytes() {
        let found = tokens("größe: crate::a::B | dspy.Image");
        let texts: Vec<_> =
            found.iter().map(|token| &"größe: crate::a::B | dspy.Image"[token.range.clone()]).collect();
        assert_eq!(texts, ["größe", ":", "crate::a::B", "|", "dspy.Image", ""]);
    }

    #[test]
    fn strings_resolve_escapes_and_may_hold_arrows() {
        assert_eq!(
            kinds(r#"'p->q' "it\'s\n""#)[..2],
            [TokenKind::Text("p->q".into()), TokenKind::Text("it's\n".into())]
        );
    }

    #[test]
    fn strings_that_cannot_be_are_one_token_each() {
        for text in ["'abc", "'abc\\", "'''a'''", "'\\x41'", "'a\nb"] {
            assert!(matches!(kinds(text)[0], TokenKind::BadText(_)), "{text}");
        }
    }
}
