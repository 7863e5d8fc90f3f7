//! Generated tokens as text that people read: one item, field or statement a line, documentation as comments.
//!
//! Meant for what [`SchemaTypes`](crate::SchemaTypes) generates; it knows no more of Rust than that takes.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

use super::writer::Writer;

/// The text of items.
pub(super) fn layout(tokens: TokenStream) -> String {
    let mut out = Writer::default();
    lines(tokens, &mut out);
    out.into_text()
}

/// What stands between two braces, or in a file.
fn lines(tokens: TokenStream, out: &mut Writer) {
    let mut line = Line::default();
    let mut tokens = tokens.into_iter().peekable();
    // Whether an item has just ended, which is worth an empty line before the next.
    let mut ended = false;
    while let Some(token) = tokens.next() {
        if std::mem::take(&mut ended) && !is(&token, ',') {
            out.line("");
        }
        match &token {
            TokenTree::Punct(hash) if hash.as_char() == '#' && line.is_empty() => {
                if let Some(TokenTree::Group(attribute)) = tokens.next() {
                    attribute_line(&attribute, out);
                }
            }
            TokenTree::Punct(end) if matches!(end.as_char(), ';' | ',') && !line.open => {
                line.push(&token);
                out.line(line.take());
            }
            TokenTree::Group(braces) if braces.delimiter() == Delimiter::Brace => {
                line.word("{");
                if braces.stream().is_empty() {
                    line.text.push('}');
                } else {
                    let head = line.take();
                    out.nested(head, |out| lines(braces.stream(), out));
                    line.text.push('}');
                }
                match tokens.peek() {
                    Some(next) if is(next, ',') || is(next, ';') => {}
                    next => {
                        ended = next.is_some();
                        out.line(line.take());
                    }
                }
            }
            _ => line.push(&token),
        }
    }
    if !line.is_empty() {
        out.line(line.take());
    }
}

fn attribute_line(attribute: &Group, out: &mut Writer) {
    let mut tokens = attribute.stream().into_iter();
    let (name, _, value) = (tokens.next(), tokens.next(), tokens.next());
    if let (Some(TokenTree::Ident(name)), Some(TokenTree::Literal(text))) = (name, value)
        && name == "doc"
        && let Some(text) = unquoted(&text.to_string())
    {
        out.line(format!("///{text}"));
        return;
    }
    let mut line = Line::default();
    line.text.push('#');
    line.push(&TokenTree::Group(attribute.clone()));
    out.line(line.take());
}

/// The text of a string literal of one line without escapes that matter; others stay attributes.
fn unquoted(literal: &str) -> Option<String> {
    let text: String = serde_json::from_str(&literal.replace("\\'", "'")).ok()?;
    (!text.contains(['\n', '\r'])).then_some(text)
}

fn is(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

/// A line as it grows.
#[derive(Default)]
struct Line {
    text: String,
    /// The angle brackets that are open, which is where a comma ends nothing.
    depth: usize,
    open: bool,
    last: Last,
}

/// What a line ends with, as far as the next token depends on it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    /// Nothing, or something to which the next token is joined.
    #[default]
    Joined,
    Word,
    /// A word after which a path or bracket begins anew.
    Keyword,
    /// A sign that wants a space after it.
    Sign,
    /// The end of a pair of brackets.
    Closed,
    /// The first part of `::`, `->` or `=>`.
    Half(char),
}

impl Line {
    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn take(&mut self) -> String {
        std::mem::take(self).text.trim_end().to_owned()
    }

    /// Adds something that stands by itself.
    fn word(&mut self, text: &str) {
        if !matches!(self.last, Last::Joined) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }

    fn push(&mut self, token: &TokenTree) {
        match token {
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                self.word(&name);
                self.last = if KEYWORDS.contains(&&*name) { Last::Keyword } else { Last::Word };
            }
            TokenTree::Literal(literal) => {
                self.word(&literal.to_string());
                self.last = Last::Word;
            }
            TokenTree::Group(group) => self.group(group),
            TokenTree::Punct(punct) => self.sign(punct.as_char(), punct.spacing()),
        }
    }

    fn group(&mut self, group: &Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ('(', ')'),
            Delimiter::Bracket => ('[', ']'),
            Delimiter::Brace => ('{', '}'),
            Delimiter::None => (' ', ' '),
        };
        if matches!(self.last, Last::Sign | Last::Keyword) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        let mut inner = Self { open: true, ..Self::default() };
        for token in group.stream() {
            inner.push(&token);
        }
        let text = inner.take();
        self.text.push(open);
        self.text.push_str(&text);
        self.text.push(close);
        self.last = Last::Closed;
    }

    fn sign(&mut self, char: char, spacing: Spacing) {
        let joint = spacing == Spacing::Joint;
        match (char, self.last) {
            (second @ (':' | '>'), Last::Half(first)) => {
                self.text.push(second);
                self.last = if first == ':' { Last::Joined } else { Last::Sign };
                return;
            }
            (':', last) if joint => {
                // A path that begins at the root is no part of what stands before it.
                if matches!(last, Last::Keyword | Last::Sign) && !self.text.ends_with(' ') {
                    self.text.push(' ');
                }
                self.text.push(':');
                self.last = Last::Half(':');
            }
            ('-' | '=', _) if joint => {
                self.word(&char.to_string());
                self.last = Last::Half(char);
            }
            ('=' | '+' | '|', _) => {
                self.word(&char.to_string());
                self.last = Last::Sign;
            }
            ('<', _) => {
                self.depth += 1;
                if self.last == Last::Sign {
                    self.word("<");
                } else {
                    self.text.push('<');
                }
                self.last = Last::Joined;
            }
            ('>', _) => {
                self.depth = self.depth.saturating_sub(1);
                self.text.push('>');
                self.last = Last::Closed;
            }
            (',' | ':' | ';', _) => {
                self.text.push(char);
                self.last = Last::Sign;
            }
            ('\'' | '&', _) => {
                self.word(&char.to_string());
                self.last = Last::Joined;
            }
            _ => {
                self.text.push(char);
                self.last = Last::Joined;
            }
        }
        self.open = self.depth > 0;
    }
}

/// Words after which a path or a bracket is another part of the sentence.
const KEYWORDS: &[&str] = &["pub", "impl", "for", "match", "mut", "return", "in", "as", "type"];

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;

    use super::layout;
    use crate::{Root, SchemaTypes};

    /// Everything that types of schemas are made of.
    fn team() -> TokenStream {
        let team: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/team.json")).unwrap();
        let mut types = SchemaTypes::new(Root::default());
        for (name, part) in team.as_object().unwrap() {
            types.ty(&part["schema"], name);
        }
        types.items()
    }

    #[test]
    fn the_text_means_what_the_tokens_mean() {
        let (tokens, text) = (team(), layout(team()));
        let formatted = |tokens| prettyplease::unparse(&syn::parse2(tokens).unwrap());
        let text: TokenStream = text.parse().unwrap_or_else(|error| panic!("{error}:\n{text}"));
        assert_eq!(formatted(text), formatted(tokens));
    }

    #[test]
    fn each_item_field_and_statement_has_a_line() {
        let tokens = r##"
            #[doc = " A thing."] #[derive(::core::clone::Clone, Debug)] pub struct Thing {
                #[doc = " Its `x`."] #[serde(default)] pub x: ::core::option::Option<Vec<(i64,)>>,
                pub map: BTreeMap<String, super::Other>,
            }
            impl Thing { fn new(x: i64) -> Self { Self { x: Self::default_x(), map: ::core::convert::Into::into(x), } } }
            impl<'de> Read<'de> for Thing { type Error = String; }
            pub enum Mood { #[doc = " `calm`"] #[serde(rename = "calm")] Calm, Other(Thing), }
        "##;
        let expected = r##"/// A thing.
#[derive(::core::clone::Clone, Debug)]
pub struct Thing {
    /// Its `x`.
    #[serde(default)]
    pub x: ::core::option::Option<Vec<(i64,)>>,
    pub map: BTreeMap<String, super::Other>,
}

impl Thing {
    fn new(x: i64) -> Self {
        Self {
            x: Self::default_x(),
            map: ::core::convert::Into::into(x),
        }
    }
}

impl<'de> Read<'de> for Thing {
    type Error = String;
}

pub enum Mood {
    /// `calm`
    #[serde(rename = "calm")]
    Calm,
    Other(Thing),
}
"##;
        assert_eq!(layout(tokens.parse().unwrap()), expected);
    }
}
