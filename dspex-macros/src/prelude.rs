//! What every module of this crate uses.

pub(crate) use darling::Error;
pub(crate) use darling::error::Accumulator;
pub(crate) use proc_macro2::{Ident, Span, TokenStream};
pub(crate) use quote::{ToTokens, quote, quote_spanned};

/// A result whose error points at a place in the user's code.
pub(crate) type Result<T = (), E = Error> = std::result::Result<T, E>;

/// An error at the span of something that has tokens.
macro_rules! err {
    ($at:expr, $($text:tt)+) => {
        $crate::prelude::Error::custom(format!($($text)+)).with_span($at)
    };
}

/// Returns with an error at the span of something that has tokens.
macro_rules! bail {
    ($at:expr, $($text:tt)+) => {
        return Err(err!($at, $($text)+))
    };
}

pub(crate) use {bail, err};
