//! The options of `#[dspex_tool(..)]` and of `#[tool(..)]` on parameters.

use darling::util::Flag;
use darling::{FromAttributes, FromMeta};
use dspex_codegen::Root;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, parse_quote};

use super::bounds::Bounds;
use super::examples::Examples;
use crate::attribute::{self, Facade};
use crate::prelude::*;

/// `#[dspex_tool(..)]`
#[derive(Default, FromAttributes)]
#[darling(attributes(dspex_tool), default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) read_only: Flag,
    pub(crate) stream: Flag,
    pub(crate) examples: Option<Examples>,
    #[darling(rename = "crate")]
    facade: Option<Facade>,
}

/// `#[dspex_tools(..)]`
#[derive(Default, FromAttributes)]
#[darling(attributes(dspex_tools), default)]
pub(crate) struct ServiceOptions {
    #[darling(rename = "crate")]
    facade: Option<Facade>,
}

/// `#[tool(..)]`
#[derive(Default, FromAttributes)]
#[darling(attributes(tool), default)]
pub(crate) struct ParameterOptions {
    pub(crate) default: Option<Value>,
    pub(crate) range: Option<Bounds>,
    pub(crate) length: Option<Bounds>,
    pub(crate) pattern: Option<LitStr>,
}

const TAKES: &str =
    "`name`, `timeout`, `concurrency`, `read_only`, `stream`, `examples(..)` and `crate = ::path`";
const PARAMETER_TAKES: &str = "`default = ..`, `range(..)`, `length(..)` and `pattern = \"..\"`";

impl Options {
    /// The options of the macro that is being expanded.
    pub(crate) fn of_arguments(args: TokenStream, errors: &mut Errors) -> Self {
        let attr: Attribute = match args.is_empty() {
            true => return Self::default(),
            false => parse_quote!(#[dspex_tool(#args)]),
        };
        attribute::read("dspex_tool", TAKES, &[attr], errors)
    }

    /// The options of an attribute that another macro has found, under whatever path.
    pub(crate) fn of_attribute(attr: &Attribute, errors: &mut Errors) -> Self {
        match &attr.meta {
            Meta::Path(_) => Self::default(),
            Meta::List(list) => Self::of_arguments(list.tokens.clone(), errors),
            Meta::NameValue(pair) => {
                errors.push(err!(pair, "`#[dspex_tool]` takes options in parentheses: {TAKES}"));
                Self::default()
            }
        }
    }

    /// Where the facade is, if it is said.
    pub(crate) fn root(&self) -> Option<&Root> {
        self.facade.as_ref().map(|Facade(root)| root)
    }
}

impl ServiceOptions {
    /// The options of the macro that is being expanded.
    pub(crate) fn of_arguments(args: TokenStream, errors: &mut Errors) -> Self {
        let attr: Attribute = match args.is_empty() {
            true => return Self::default(),
            false => parse_quote!(#[dspex_tools(#args)]),
        };
        attribute::read("dspex_tools", "`crate = ::path`", &[attr], errors)
    }

    pub(crate) fn root(self) -> Root {
        self.facade.map(|Facade(root)| root).unwrap_or_default()
    }
}

impl ParameterOptions {
    pub(crate) fn of(attrs: &[Attribute], errors: &mut Errors) -> Self {
        attribute::read("tool", PARAMETER_TAKES, attrs, errors)
    }
}

/// An expression as it was written; darling would read Rust in a string.
pub(crate) struct Value(pub(crate) Expr);

impl FromMeta for Value {
    fn from_expr(expr: &Expr) -> darling::Result<Self> {
        Ok(Self(expr.clone()))
    }
}

/// `timeout = "30s"`, in milliseconds.
pub(crate) struct Timeout(pub(crate) u64);

impl FromMeta for Timeout {
    fn from_expr(expr: &Expr) -> darling::Result<Self> {
        let unreadable = || {
            let text = "a time limit is a number with its unit in quotes, such as \"500ms\", \"30s\", \"2m\" or \"1h\"";
            darling::Error::custom(text).with_span(expr)
        };
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match milliseconds(&text.value()) {
                Some(0) => {
                    Err(darling::Error::custom("a time limit of nothing; remove it for none").with_span(expr))
                }
                Some(limit) => Ok(Self(limit)),
                None => Err(unreadable()),
            },
            Expr::Group(group) => Self::from_expr(&group.expr),
            _ => Err(unreadable()),
        }
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `concurrency = 4`
pub(crate) struct Concurrency(pub(crate) usize);

impl FromMeta for Concurrency {
    fn from_expr(expr: &Expr) -> darling::Result<Self> {
        let count = match expr {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
            Expr::Group(group) => return Self::from_expr(&group.expr),
            _ => None,
        };
        match count {
            Some(count) if count > 0 => Ok(Self(count)),
            _ => Err(darling::Error::custom("how many runs there may be at once is a number of at least 1")
                .with_span(expr)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn time_limits_are_numbers_with_units() {
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("30s"), Some(30_000));
        assert_eq!(milliseconds(" 2 m "), Some(120_000));
        assert_eq!(milliseconds("1h"), Some(3_600_000));
        for wrong in
            ["", "30", "s", "-1s", "1.5s", "1d", "1m30s", "99999999999999999999s", "9999999999999999999h"]
        {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
    }
}
