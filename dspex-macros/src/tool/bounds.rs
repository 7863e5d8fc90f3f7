//! `range(0..=50)` and `length(..=10)`.

use darling::FromMeta;
use syn::{Expr, ExprLit, ExprRange, ExprUnary, Lit, Meta, RangeLimits, UnOp};

use crate::prelude::*;

/// A range, closed as far as that can be done here.
pub(crate) struct Bounds {
    /// All of it, for errors.
    pub(crate) whole: ExprRange,
    pub(crate) min: Option<Expr>,
    pub(crate) max: Option<Max>,
}

/// The upper end.
pub(crate) enum Max {
    Inclusive(Expr),
    /// Not itself part of the range, and no integer that one could be taken from.
    Exclusive(Expr),
}

impl FromMeta for Bounds {
    fn from_meta(meta: &Meta) -> darling::Result<Self> {
        let name = meta.path().to_token_stream().to_string();
        let unreadable = |at: &dyn ToTokens| {
            let text = format!(
                "expected a range in parentheses; write `{name}(1..=50)`, `{name}(1..)` or `{name}(..=50)`"
            );
            darling::Error::custom(text).with_span(&at.to_token_stream())
        };
        let Meta::List(list) = meta else { return Err(unreadable(meta)) };
        let Ok(Expr::Range(range)) = list.parse_args::<Expr>() else { return Err(unreadable(list)) };
        Self::new(range).map_err(darling::Error::from)
    }
}

impl Bounds {
    fn new(range: ExprRange) -> Result<Self> {
        if range.start.is_none() && range.end.is_none() {
            bail!(&range, "this range has no bounds; remove it");
        }
        let min = range.start.as_deref().cloned();
        let max = range.end.as_deref().cloned().map(|end| match (&range.limits, integer(&end)) {
            (RangeLimits::Closed(_), _) => Max::Inclusive(end),
            (RangeLimits::HalfOpen(_), Some(value)) => Max::Inclusive(literal(value - 1, &end)),
            (RangeLimits::HalfOpen(_), None) => Max::Exclusive(end),
        });
        let bounds = Self { whole: range, min, max };
        if let (Some(min), Some(max)) = (bounds.min.as_ref().and_then(number), bounds.max_number())
            && (min > max || (min == max && matches!(bounds.max, Some(Max::Exclusive(_)))))
        {
            bail!(&bounds.whole, "nothing is in this range; its end is before its start");
        }
        Ok(bounds)
    }

    fn max_number(&self) -> Option<f64> {
        match self.max.as_ref()? {
            Max::Inclusive(max) | Max::Exclusive(max) => number(max),
        }
    }

    /// Whether a value that is written out lies outside of bounds that are.
    pub(crate) fn excludes(&self, value: &Expr) -> bool {
        let Some(value) = number(value) else { return false };
        let below = self.min.as_ref().and_then(number).is_some_and(|min| value < min);
        let above = self.max_number().is_some_and(|max| match self.max {
            Some(Max::Exclusive(_)) => value >= max,
            _ => value > max,
        });
        below || above
    }

    /// The range as people write it.
    pub(crate) fn shown(&self) -> String {
        self.whole.to_token_stream().to_string().replace(' ', "")
    }

    /// The expressions of both ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &Expr> {
        let max = self.max.as_ref().map(|(Max::Inclusive(max) | Max::Exclusive(max))| max);
        self.min.iter().chain(max)
    }

    /// What schemars is told: `key` is its own name of the check, `exclusive` JSON Schema's of an end that is left out.
    pub(crate) fn settings(&self, key: &TokenStream, exclusive: &str) -> TokenStream {
        let min = self.min.as_ref().map(|min| quote!(min = #min));
        let max = match &self.max {
            Some(Max::Inclusive(max)) => Some(quote!(max = #max)),
            _ => None,
        };
        let closed: Vec<TokenStream> = min.into_iter().chain(max).collect();
        let closed = (!closed.is_empty()).then(|| quote!(#[schemars(#key(#(#closed),*))]));
        let open = match &self.max {
            Some(Max::Exclusive(max)) => Some(quote!(#[schemars(extend(#exclusive = #max))])),
            _ => None,
        };
        quote!(#closed #open)
    }
}

/// An integer that is written out.
pub(crate) fn integer(expr: &Expr) -> Option<i128> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => integer(expr).map(|value| -value),
        Expr::Group(group) => integer(&group.expr),
        Expr::Paren(paren) => integer(&paren.expr),
        _ => None,
    }
}

/// A number that is written out.
fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => number.base10_parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|value| -value),
        Expr::Group(group) => number(&group.expr),
        Expr::Paren(paren) => number(&paren.expr),
        _ => None,
    }
}

/// An integer at the place of an expression.
fn literal(value: i128, at: &Expr) -> Expr {
    let mut number = proc_macro2::Literal::u128_unsuffixed(value.unsigned_abs());
    let span = at.to_token_stream().into_iter().last().map_or_else(Span::call_site, |token| token.span());
    number.set_span(span);
    let number = Lit::new(number);
    match value < 0 {
        true => syn::parse_quote!(-#number),
        false => syn::parse_quote!(#number),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn bounds(meta: &Meta) -> Result<Bounds, String> {
        Bounds::from_meta(meta).map_err(|error| error.to_string())
    }

    fn settings(meta: Meta) -> String {
        bounds(&meta).unwrap().settings(&quote!(range), "exclusiveMaximum").to_string()
    }

    #[test]
    fn integers_are_closed_and_other_ends_stay_open() {
        assert_eq!(settings(parse_quote!(range(0..=50))), "# [schemars (range (min = 0 , max = 50))]");
        assert_eq!(settings(parse_quote!(range(-5..0))), "# [schemars (range (min = - 5 , max = - 1))]");
        assert_eq!(settings(parse_quote!(range(1..))), "# [schemars (range (min = 1))]");
        assert_eq!(
            settings(parse_quote!(range(0.0..1.0))),
            "# [schemars (range (min = 0.0))] # [schemars (extend (\"exclusiveMaximum\" = 1.0))]"
        );
        assert_eq!(
            settings(parse_quote!(range(..MAX))),
            "# [schemars (extend (\"exclusiveMaximum\" = MAX))]"
        );
    }

    #[test]
    fn empty_ranges_and_other_things_are_refused() {
        for wrong in [parse_quote!(range(5..=1)), parse_quote!(range(0..0)), parse_quote!(range(1.0..1.0))] {
            assert!(bounds(&wrong).err().unwrap().starts_with("nothing is in this range"));
        }
        assert!(bounds(&parse_quote!(range(..))).err().unwrap().contains("no bounds"));
        for wrong in
            [parse_quote!(range), parse_quote!(range = 5), parse_quote!(range(5)), parse_quote!(range())]
        {
            assert!(bounds(&wrong).err().unwrap().contains("expected a range"));
        }
    }

    #[test]
    fn a_default_outside_is_seen() {
        let range = bounds(&parse_quote!(range(0.0..1.0))).unwrap();
        let cases: [(Expr, bool); 5] = [
            (parse_quote!(0.0), false),
            (parse_quote!(1.0), true),
            (parse_quote!(-0.5), true),
            (parse_quote!(2), true),
            (parse_quote!(SOME), false),
        ];
        for (value, excluded) in cases {
            assert_eq!(range.excludes(&value), excluded, "{}", value.to_token_stream());
        }
    }
}
