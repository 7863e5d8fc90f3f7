//! Helper attributes with plain options, `#[signature(derive(..), crate = ::path)]`. darling reads them: which options
//! there are, that each is given once, and in which form.

use darling::{FromAttributes, FromMeta};
use dspex_codegen::Root;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use crate::context;
use crate::prelude::*;

/// `crate = ::path`
#[derive(Debug)]
pub(crate) struct Facade(pub(crate) Root);

impl FromMeta for Facade {
    fn from_expr(expr: &Expr) -> darling::Result<Self> {
        let path = match expr {
            Expr::Path(path) => path.path.clone(),
            // As serde wants it.
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.parse().map_err(darling::Error::from)?,
            Expr::Group(group) => return Self::from_expr(&group.expr),
            other => return Err(darling::Error::unexpected_expr_type(other)),
        };
        context::root(&path).map(Self).map_err(darling::Error::from)
    }
}

/// Reads all attributes of this name. `takes` says which options it has, for messages.
pub(crate) fn read<T: FromAttributes + Default>(
    name: &str,
    takes: &str,
    attrs: &[Attribute],
    errors: &mut Errors,
) -> T {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(name)) {
        if !matches!(attr.meta, Meta::List(_)) {
            errors.push(err!(attr, "`#[{name}]` needs options in parentheses; it takes {takes}"));
            return T::default();
        }
    }
    T::from_attributes(attrs).unwrap_or_else(|error| {
        for error in error.flatten() {
            let error = Error::from(error);
            errors.push(Error::new(error.span(), reworded(&error.to_string(), name, takes)));
        }
        T::default()
    })
}

/// What darling says in the words of this crate: its own sentences begin with a capital letter, and know nothing of
/// the attribute.
fn reworded(text: &str, name: &str, takes: &str) -> String {
    if let Some(rest) = text.strip_prefix("Unknown field: ") {
        let rest = rest.split(". Available values").next().unwrap_or(rest);
        let end = if rest.ends_with('?') { "" } else { "." };
        return format!("`#[{name}]` has no option {rest}{end} It takes {takes}");
    }
    if let Some(option) = text.strip_prefix("Duplicate field ") {
        return format!("{option} is given twice; remove one");
    }
    match text.starts_with(char::is_uppercase) {
        true => format!("an option cannot be read in this form; `#[{name}]` takes {takes}"),
        false => text.to_owned(),
    }
}
