//! What every module of this crate uses: tokens, and errors that are collected.

pub(crate) use proc_macro2::{Ident, Span, TokenStream};
pub(crate) use quote::{ToTokens, quote, quote_spanned};
pub(crate) use syn::Error;

/// A result whose error points at a place in the user's code.
pub(crate) type Result<T = (), E = Error> = std::result::Result<T, E>;

/// An error that points at all tokens of something.
macro_rules! err {
    ($at:expr, $($text:tt)+) => {
        syn::Error::new_spanned($at, format!($($text)+))
    };
}

/// Returns with an error that points at all tokens of something.
macro_rules! bail {
    ($at:expr, $($text:tt)+) => {
        return Err(err!($at, $($text)+))
    };
}

pub(crate) use {bail, err};

/// The errors of one item. They are all reported, in the order in which they were found.
#[derive(Default)]
pub(crate) struct Errors {
    combined: Option<Error>,
}

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.combined {
            Some(combined) => combined.combine(error),
            None => self.combined = Some(error),
        }
    }

    /// The value, or nothing after the error was kept.
    pub(crate) fn handle<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.combined.is_none()
    }

    /// The value if there were no errors, otherwise all of them.
    pub(crate) fn finish<T>(self, value: T) -> Result<T> {
        self.combined.map_or(Ok(value), Err)
    }
}
