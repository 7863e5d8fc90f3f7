//! The parser's place among the tokens, and how it notes an error.

use std::ops::Range;

use super::fields::{Attempt, GivenUp, Parser};
use super::lexer::{Token, TokenKind};
use super::{Rule, SignatureError};

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> &Token {
        // The last token is the end, and nobody goes past it.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    pub(super) fn take(&mut self, mark: char) -> bool {
        let there = self.peek().kind == TokenKind::Mark(mark);
        self.next += usize::from(there);
        there
    }

    pub(super) fn expect(&mut self, mark: char, why: &str) -> Attempt<()> {
        if self.take(mark) {
            return Ok(());
        }
        let (at, shown) = (self.peek().range.clone(), self.shown());
        self.fail(Rule::Syntax, at, format!("expected `{mark}` {why}, found {shown}"), None)
    }

    pub(super) fn slice(&self, at: &Range<usize>) -> &'a str {
        &self.text[at.clone()]
    }

    pub(super) fn shown(&self) -> String {
        match self.peek() {
            Token { kind: TokenKind::End, .. } => "the end of the text".to_owned(),
            Token { range, .. } => format!("`{}`", self.slice(range)),
        }
    }

    pub(super) fn note(
        &mut self,
        rule: Rule,
        range: Range<usize>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        self.parsed.errors.push(SignatureError { rule, message: message.into(), suggestion, range });
    }

    pub(super) fn fail<T>(
        &mut self,
        rule: Rule,
        range: Range<usize>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> Attempt<T> {
        self.note(rule, range, message, suggestion);
        Err(GivenUp)
    }
}
