//! Values of keywords: Rust literals as JSON.

use serde_json::{Number, Value};
use syn::{Expr, ExprLit, Lit, UnOp};

use crate::prelude::*;

/// A literal as the JSON that DSPy gets. Anything that is not a literal would have to be evaluated first.
pub(crate) fn json(expr: &Expr) -> Result<Value> {
    match expr {
        Expr::Lit(ExprLit { lit, .. }) => scalar(lit, ""),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => match &*unary.expr {
            Expr::Lit(ExprLit { lit: lit @ (Lit::Int(_) | Lit::Float(_)), .. }) => scalar(lit, "-"),
            _ => Err(not_a_literal(expr)),
        },
        Expr::Array(array) => {
            let mut errors = Errors::default();
            let items = array.elems.iter().filter_map(|item| errors.handle(json(item))).collect();
            errors.finish(Value::Array(items))
        }
        Expr::Group(group) => json(&group.expr),
        Expr::Paren(paren) => json(&paren.expr),
        _ => Err(not_a_literal(expr)),
    }
}

fn scalar(lit: &Lit, sign: &str) -> Result<Value> {
    match lit {
        Lit::Str(text) => Ok(Value::String(text.value())),
        Lit::Bool(value) => Ok(Value::Bool(value.value)),
        Lit::Int(int) => {
            let digits = format!("{sign}{}", int.base10_digits());
            if !int.suffix().is_empty() {
                bail!(
                    lit,
                    "a value has the type that Python gives it; write `{digits}`, without `{}`",
                    int.suffix()
                );
            }
            let number =
                digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from));
            number
                .map(Value::Number)
                .map_err(|_| err!(lit, "`{digits}` does not fit into 64 bits; use a smaller number"))
        }
        Lit::Float(float) => {
            let digits = format!("{sign}{}", float.base10_digits());
            if !float.suffix().is_empty() {
                bail!(
                    lit,
                    "a value has the type that Python gives it; write `{digits}`, without `{}`",
                    float.suffix()
                );
            }
            let number = digits.parse::<f64>().ok().and_then(Number::from_f64);
            number
                .map(Value::Number)
                .ok_or_else(|| err!(lit, "`{digits}` is too large for a float; use a smaller number"))
        }
        Lit::Char(char) => {
            Err(err!(lit, "Python has no characters; write the string `\"{}\"`", char.value()))
        }
        _ => Err(err!(lit, "a value is a number, boolean, string or array; bytes cannot be given here")),
    }
}

fn not_a_literal(expr: &Expr) -> Error {
    err!(
        expr,
        "a value is a literal: a number, boolean, string, or an array of them; `{}` would have to be evaluated",
        expr.to_token_stream().to_string().replace(' ', "")
    )
}
