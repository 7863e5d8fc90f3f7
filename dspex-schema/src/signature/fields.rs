//! The parser of fields and sides. After an error in one field it goes on with the next.

use std::ops::Range;

use super::lexer::{Token, TokenKind, tokens};
use super::{Field, Kind, MAX_TEXT, Options, Parsed, Rule, Type};
use crate::{FieldNameProblem, Side, check_field_name};

/// Nothing: the error has been noted, and the field is given up.
pub(super) struct GivenUp;

pub(super) type Attempt<T> = Result<T, GivenUp>;

pub(super) fn parse(text: &str, options: &Options<'_>) -> Parsed {
    let mut parser = Parser { text, tokens: Vec::new(), next: 0, options, parsed: Parsed::default() };
    if text.len() > MAX_TEXT {
        let message = format!("a signature of {} bytes is longer than {MAX_TEXT}", text.len());
        parser.note(Rule::Limit, 0..text.len(), message, Some("use a struct with fields".to_owned()));
        return parser.parsed;
    }
    parser.tokens = tokens(text);
    parser.signature();
    let Parser { mut parsed, .. } = parser;
    parsed.errors.sort_by_key(|error| error.range.start);
    parsed
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
    pub(super) next: usize,
    pub(super) options: &'a Options<'a>,
    pub(super) parsed: Parsed,
}

impl<'a> Parser<'a> {
    fn signature(&mut self) {
        self.side(Side::Input);
        if self.peek().kind == TokenKind::Arrow {
            self.next += 1;
            self.side(Side::Output);
        } else if self.parsed.errors.is_empty() || !self.parsed.signature.inputs.is_empty() {
            let text = "there is no `->` between the inputs and the outputs";
            let range = self.peek().range.clone();
            self.note(Rule::Arrow, range, text, Some("write `question -> answer`".to_owned()));
        }
        while self.peek().kind == TokenKind::Arrow {
            let range = self.peek().range.clone();
            let text = "a second `->`";
            self.note(
                Rule::Arrow,
                range,
                text,
                Some("a signature has one, put all outputs behind it".to_owned()),
            );
            self.next += 1;
            self.side(Side::Output);
        }
    }

    /// The fields up to an arrow or the end.
    fn side(&mut self, side: Side) {
        let start = self.next;
        loop {
            match self.peek().kind {
                TokenKind::Arrow | TokenKind::End => break,
                TokenKind::Mark(',') => {
                    let range = self.peek().range.clone();
                    let advice = Some("remove it, or write a name before it".to_owned());
                    self.note(Rule::Syntax, range, "a comma without a field before it", advice);
                    self.next += 1;
                    continue;
                }
                _ => {}
            }
            let begun = self.next;
            if self.field(side).is_err() {
                self.recover(begun);
            }
            if !self.take(',') && !matches!(self.peek().kind, TokenKind::Arrow | TokenKind::End) {
                let (shown, range) = (self.shown(), self.peek().range.clone());
                let text = format!("expected `,` or `->`, found {shown}");
                self.note(Rule::Syntax, range, text, None);
                self.recover(self.next);
                self.take(',');
            }
        }
        if self.next == start {
            let (what, example) = match side {
                Side::Input => ("no inputs", "write at least one name before the `->`"),
                Side::Output => ("no outputs", "write at least one name after the `->`"),
            };
            // The arrow is what there is to point at: the next token, or the one before.
            let arrow = |token: &Token| token.kind == TokenKind::Arrow;
            let before = start.checked_sub(1).map(|at| self.tokens[at].clone()).filter(arrow);
            let range =
                Some(self.peek().clone()).filter(arrow).or(before).unwrap_or(self.peek().clone()).range;
            self.note(Rule::EmptySide, range, format!("the signature has {what}"), Some(example.to_owned()));
        }
    }

    /// Goes to the end of the field that begun at this token: the next comma outside of brackets, or the arrow.
    fn recover(&mut self, begun: usize) {
        let mut depth = 0_usize;
        let mut at = begun;
        loop {
            let kind = &self.tokens[at.min(self.tokens.len() - 1)].kind;
            match kind {
                TokenKind::End | TokenKind::Arrow if at >= self.next => break,
                TokenKind::Mark(',') if at >= self.next && depth == 0 => break,
                TokenKind::Mark('[' | '(' | '{') => depth += 1,
                TokenKind::Mark(']' | ')' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        self.next = at;
    }

    fn field(&mut self, side: Side) -> Attempt<()> {
        let token = self.peek().clone();
        let at = token.range.clone();
        match token.kind {
            TokenKind::Name => {}
            TokenKind::Mark('*' | '/') => {
                let advice = "name each field".to_owned();
                return self.fail(
                    Rule::Star,
                    at,
                    "stars and slashes are for functions, a signature has none",
                    Some(advice),
                );
            }
            TokenKind::Text(_) | TokenKind::BadText(_) => {
                let text = format!("the name of an {} stands without quotes", side.as_str());
                return self.fail(Rule::Syntax, at, text, Some("remove them".to_owned()));
            }
            TokenKind::Number => {
                let text = format!("`{}` is not an identifier in Python", self.slice(&at));
                return self.fail(Rule::Name, at, text, Some("begin the name with a letter".to_owned()));
            }
            _ => {
                let text = format!("expected the name of an {}, found {}", side.as_str(), self.shown());
                return self.fail(Rule::Syntax, at, text, None);
            }
        }
        self.next += 1;
        let name = self.slice(&at).to_owned();
        self.check_name(&name, &at, side);
        let ty = match self.take(':') {
            true => {
                let ty = self.ty(0)?;
                if ty.kind == Kind::None {
                    self.none_alone(&ty.range);
                }
                ty
            }
            false => Type { kind: Kind::Str, range: at.clone() },
        };
        let range = at.start..self.tokens[self.next - 1].range.end;
        let field = Field { name, name_range: at, ty, range };
        match side {
            Side::Input => self.parsed.signature.inputs.push(field),
            Side::Output => self.parsed.signature.outputs.push(field),
        }
        if self.peek().kind == TokenKind::Mark('=') {
            let start = self.peek().range.start;
            self.recover(self.next);
            let end = self.tokens[self.next - 1].range.end;
            let advice = "give the value where you call, or make the type `Optional[..]`".to_owned();
            self.note(Rule::Default, start..end, "DSPy drops the default of a field", Some(advice));
        }
        Ok(())
    }

    fn check_name(&mut self, name: &str, at: &Range<usize>, side: Side) {
        if let Err(problem) = check_field_name(name, side, self.options.class) {
            let rule = match problem {
                FieldNameProblem::Reserved { .. } | FieldNameProblem::Added { .. } => Rule::ReservedName,
                _ => Rule::Name,
            };
            let text = problem.to_string();
            let (message, advice) = match text.split_once("; ") {
                Some((message, advice)) => (message.to_owned(), Some(advice.to_owned())),
                None => (text, None),
            };
            self.note(rule, at.clone(), message, advice);
        }
        let signature = &self.parsed.signature;
        let first = match () {
            () if signature.inputs.iter().any(|field| field.name == name) => Side::Input,
            () if signature.outputs.iter().any(|field| field.name == name) => Side::Output,
            () => return,
        };
        let text = format!("`{name}` is already an {}", first.as_str());
        self.note(
            Rule::DuplicateField,
            at.clone(),
            text,
            Some("rename one of the two, or remove it".to_owned()),
        );
    }
}
