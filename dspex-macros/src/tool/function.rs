//! A function as it was written, with its body left alone.

use proc_macro2::TokenTree;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, Item, Signature, Visibility};

use super::HELPERS;
use crate::docs;
use crate::prelude::*;

/// A function. The body is tokens, whatever is in it.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
}

impl Function {
    /// Parses an item that should be a function.
    pub(crate) fn parse(item: TokenStream) -> Result<Self> {
        let error = match syn::parse2::<Self>(item.clone()) {
            Ok(function) => return Ok(function),
            Err(error) => error,
        };
        let what = |keyword: &dyn ToTokens, what: &str, advice: &str| {
            Error::new_spanned(
                keyword.to_token_stream(),
                format!("`#[dspex_tool]` goes on a function, and this is {what}{advice}"),
            )
        };
        match syn::parse2::<Item>(item) {
            Ok(Item::Impl(item)) => Err(what(
                &item.impl_token,
                "an impl block",
                "; put `#[dspex_tools]` on the block, and `#[dspex_tool]` on its methods",
            )),
            Ok(Item::Struct(item)) => Err(what(&item.struct_token, "a struct", "")),
            Ok(Item::Enum(item)) => Err(what(&item.enum_token, "an enum", "")),
            Ok(Item::Trait(item)) => Err(what(&item.trait_token, "a trait", "")),
            Ok(Item::Mod(item)) => Err(what(&item.mod_token, "a module", "")),
            Ok(Item::Fn(_) | Item::Verbatim(_)) | Err(_) => Err(error),
            Ok(item) => Err(what(&item, "something else", "")),
        }
    }

    /// The function again, without what rustc does not allow on parameters.
    pub(crate) fn without_helpers(&self) -> Self {
        let mut function = self.clone();
        for input in &mut function.sig.inputs {
            let (FnArg::Typed(syn::PatType { attrs, .. }) | FnArg::Receiver(syn::Receiver { attrs, .. })) =
                input;
            attrs
                .retain(|attr| !docs::is_doc(attr) && !HELPERS.iter().any(|name| attr.path().is_ident(name)));
        }
        function
    }

    /// The attributes of one name.
    pub(crate) fn attrs_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Attribute> {
        self.attrs.iter().filter(move |attr| attr.path().is_ident(name))
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let (vis, sig) = (input.parse()?, input.parse()?);
        if !input.peek(syn::token::Brace) {
            return Err(input.error("a tool needs a body in braces"));
        }
        let body: TokenTree = input.parse()?;
        if !input.is_empty() {
            return Err(input.error("expected the end of the function"));
        }
        Ok(Self { attrs, vis, sig, body: body.into() })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, sig, body } = self;
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}
