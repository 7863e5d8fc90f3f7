//! How a generated struct is made: `new` with what is required, and a setter for each of the other fields.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

/// What `new` and a setter know of a field.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) ident: Ident,
    /// The type that is given.
    pub(super) ty: TokenStream,
    /// Whether that is a text, which may be given as anything that becomes one.
    pub(super) text: bool,
    /// Whether the field is an option of what is given.
    pub(super) some: bool,
    /// The value where nothing is given; none for a required field.
    pub(super) absent: Option<TokenStream>,
}

/// The functions. `rest` is a field that is empty at first.
pub(super) fn builder(ident: &Ident, parts: &[Part], rest: Option<&Ident>) -> TokenStream {
    let parameters = parts.iter().filter(|part| part.absent.is_none()).map(Part::parameter);
    let values = parts.iter().map(|part| {
        let name = &part.ident;
        match (&part.absent, part.text) {
            (Some(absent), _) => quote!(#name: #absent,),
            (None, true) => quote!(#name: ::core::convert::Into::into(#name),),
            (None, false) => quote!(#name,),
        }
    });
    let rest = rest.map(|rest| quote!(#rest: ::core::default::Default::default(),));
    // Functions that the struct has besides must keep their names.
    let optional: Vec<&Part> = parts.iter().filter(|part| part.absent.is_some()).collect();
    let defaults: Vec<String> = optional.iter().map(|part| format!("default_{}", part.plain())).collect();
    let taken = |part: &Part| part.plain() == "present" || defaults.contains(&part.plain());
    let setters: Vec<_> = optional.iter().filter(|part| !taken(part)).map(|part| part.setter()).collect();
    let doc = if setters.is_empty() {
        " With all of its fields."
    } else {
        " With the fields that have no default."
    };
    quote! {
        impl #ident {
            #[doc = #doc]
            #[must_use]
            pub fn new(#(#parameters),*) -> Self {
                Self { #(#values)* #rest }
            }
            #(#setters)*
        }
    }
}

impl Part {
    fn plain(&self) -> String {
        self.ident.to_string().trim_start_matches("r#").to_owned()
    }

    fn parameter(&self) -> TokenStream {
        let Self { ident, ty, .. } = self;
        match self.text {
            true => quote!(#ident: impl ::core::convert::Into<::std::string::String>),
            false => quote!(#ident: #ty),
        }
    }

    fn setter(&self) -> TokenStream {
        let Self { ident, text, some, .. } = self;
        let name = if ident == "new" { quote!(new_) } else { quote!(#ident) };
        let (parameter, doc) = (self.parameter(), format!(" Sets `{}`.", self.plain()));
        let value = if *text { quote!(::core::convert::Into::into(#ident)) } else { quote!(#ident) };
        let value = if *some { quote!(::core::option::Option::Some(#value)) } else { value };
        quote! {
            #[doc = #doc]
            #[must_use]
            pub fn #name(mut self, #parameter) -> Self {
                self.#ident = #value;
                self
            }
        }
    }
}
