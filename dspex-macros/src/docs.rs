//! Doc comments as text: instructions and descriptions.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use crate::prelude::*;

/// Whether an attribute is a doc comment, or says what one says.
pub(crate) fn is_doc(attr: &Attribute) -> bool {
    // `#[doc(hidden)]` and its like are no text.
    matches!(&attr.meta, Meta::NameValue(pair) if pair.path.is_ident("doc"))
}

/// The text of all doc comments among the attributes, as an expression of type `&'static str`. Other attributes may
/// stand in between. `#[doc = include_str!("..")]` stays an expression, since only the compiler can read the file.
pub(crate) fn text(attrs: &[Attribute]) -> Option<TokenStream> {
    let mut parts: Vec<Part> = Vec::new();
    for attr in attrs.iter().filter(|attr| is_doc(attr)) {
        let Meta::NameValue(pair) = &attr.meta else { continue };
        match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match parts.last_mut() {
                Some(Part::Text(before)) => {
                    before.push('\n');
                    before.push_str(&unindent(&text.value()));
                }
                Some(Part::Expr(_)) => parts.push(Part::Text(format!("\n{}", unindent(&text.value())))),
                None => parts.push(Part::Text(unindent(&text.value()))),
            },
            other => {
                match parts.last_mut() {
                    Some(Part::Text(before)) => before.push('\n'),
                    Some(Part::Expr(_)) => parts.push(Part::Text("\n".to_owned())),
                    None => {}
                }
                parts.push(Part::Expr(other.to_token_stream()));
            }
        }
    }
    match parts.as_slice() {
        [] => None,
        [Part::Text(text)] => {
            let text = text.trim();
            (!text.is_empty()).then(|| quote!(#text))
        }
        parts => Some(quote!(::core::concat!(#(#parts),*))),
    }
}

enum Part {
    Text(String),
    Expr(TokenStream),
}

impl ToTokens for Part {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Text(text) => text.to_tokens(tokens),
            Self::Expr(expr) => expr.to_tokens(tokens),
        }
    }
}

/// Removes what the comment's form puts before the text: one space, and the column of stars of a block comment.
fn unindent(text: &str) -> String {
    let starred = text.lines().count() > 1
        && text.lines().skip(1).all(|line| line.trim().is_empty() || line.trim_start().starts_with('*'));
    let mut lines: Vec<&str> = Vec::new();
    for (position, line) in text.lines().enumerate() {
        let line = match starred && position > 0 {
            true => line.trim_start().strip_prefix('*').unwrap_or(""),
            false => line,
        };
        lines.push(line.strip_prefix(' ').unwrap_or(line));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use syn::{ItemStruct, parse_quote};

    fn text(item: ItemStruct) -> Option<String> {
        super::text(&item.attrs).map(|tokens| tokens.to_string())
    }

    #[test]
    fn lines_are_joined_and_lose_one_space() {
        let item = parse_quote! {
            /// First.
            ///
            ///   Indented.
            struct X;
        };
        assert_eq!(text(item).unwrap(), r#""First.\n\n  Indented.""#);
    }

    #[test]
    fn other_attributes_in_between_do_not_end_the_text() {
        let item = parse_quote! {
            /// One.
            #[derive(Debug)]
            /// Two.
            #[doc(hidden)]
            struct X;
        };
        assert_eq!(text(item).unwrap(), r#""One.\nTwo.""#);
    }

    #[test]
    fn an_included_file_stays_an_expression() {
        let item = parse_quote! {
            /// Before.
            #[doc = include_str!("prompt.md")]
            /// After.
            struct X;
        };
        let text = text(item).unwrap();
        assert_eq!(text, r#":: core :: concat ! ("Before.\n" , include_str ! ("prompt.md") , "\nAfter.")"#);
    }

    #[test]
    fn a_block_comment_loses_its_stars() {
        let item = parse_quote! {
            #[doc = " One.\n     * Two.\n     *\n     * Three.\n     "]
            struct X;
        };
        assert_eq!(text(item).unwrap(), r#""One.\nTwo.\n\nThree.""#);
    }

    #[test]
    fn nothing_and_blanks_are_no_text() {
        assert_eq!(
            text(parse_quote!(
                struct X;
            )),
            None
        );
        assert_eq!(
            text(parse_quote!(
                #[doc = "  "]
                struct X;
            )),
            None
        );
    }
}
