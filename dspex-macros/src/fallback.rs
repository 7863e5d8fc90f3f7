//! What is emitted when an item has errors: the item itself, as it was written.

use proc_macro2::{Delimiter, Group, TokenTree};

use crate::prelude::*;

/// The tokens of an item without the helper attributes of these names, wherever they stand. It works on bare tokens,
/// so that an item which cannot be parsed is still there for an editor.
pub(crate) fn without_helpers(item: TokenStream, helpers: &[&str]) -> TokenStream {
    let mut out = Vec::new();
    let mut tokens = item.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        if hash && matches!(tokens.peek(), Some(TokenTree::Group(group)) if is_helper(group, helpers)) {
            tokens.next();
            continue;
        }
        out.push(match token {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_helpers(group.stream(), helpers));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        });
    }
    out.into_iter().collect()
}

fn is_helper(group: &Group, helpers: &[&str]) -> bool {
    let mut inner = group.stream().into_iter();
    group.delimiter() == Delimiter::Bracket
        && matches!(inner.next(), Some(TokenTree::Ident(name)) if helpers.iter().any(|helper| name == helper))
        && matches!(inner.next(), None | Some(TokenTree::Group(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helper_attributes_are_removed_at_any_depth_and_others_stay() {
        let item = quote! {
            #[derive(Debug)]
            struct X { #[input] a: String, #[output(x)] b: [u8; { #[input] 3 }], #[serde(default)] c: input }
        };
        let left = quote! {
            #[derive(Debug)]
            struct X { a: String, b: [u8; { 3 }], #[serde(default)] c: input }
        };
        assert_eq!(without_helpers(item, &["input", "output"]).to_string(), left.to_string());
    }

    #[test]
    fn an_item_that_cannot_be_parsed_is_kept() {
        let item = quote!(struct X { #[input] a: , b });
        assert_eq!(without_helpers(item, &["input"]).to_string(), quote!(struct X { a: , b }).to_string());
    }
}
