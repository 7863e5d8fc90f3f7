//! Where generated code finds dspex.

use proc_macro2::{Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

/// The path of the facade crate, `::dspex` unless a user says otherwise.
#[derive(Clone, Debug)]
pub struct Root {
    path: ItemPath,
}

/// The path of an item. It is kept as tokens one by one: putting a whole stream into another asks the compiler,
/// which takes longer than all tokens of a path.
#[derive(Clone, Debug)]
pub(crate) struct ItemPath(Vec<TokenTree>);

impl Root {
    /// A root other than the default, for a renamed or re-exported facade. It should be absolute.
    pub fn new(path: impl ToTokens) -> Self {
        Self { path: ItemPath(path.into_token_stream().into_iter().collect()) }
    }

    /// The path as text.
    pub(crate) fn path(&self) -> String {
        self.path.to_token_stream().to_string().replace(' ', "")
    }

    /// The path of an item, given as text, of the same module as in [`private`](Self::private).
    pub(crate) fn item(&self, path: &str) -> ItemPath {
        let mut tokens = self.path.0.clone();
        for part in std::iter::once("__private").chain(path.split("::")) {
            tokens.push(Punct::new(':', Spacing::Joint).into());
            tokens.push(Punct::new(':', Spacing::Alone).into());
            tokens.push(Ident::new(part, Span::call_site()).into());
        }
        ItemPath(tokens)
    }

    /// The path of an item of the hidden module through which generated code reaches everything.
    pub fn private(&self, item: &TokenStream) -> TokenStream {
        let path = &self.path;
        quote!(#path::__private::#item)
    }

    /// The type of the runtime for values of a class of DSPy, by the public name of the class or by where it is defined.
    pub(crate) fn runtime_type(&self, class: &str) -> Option<TokenStream> {
        let ident = match class {
            "dspy.Image" | "dspy.adapters.types.image.Image" => quote!(Image),
            "dspy.Audio" | "dspy.adapters.types.audio.Audio" => quote!(Audio),
            "dspy.File" | "dspy.adapters.types.file.File" => quote!(File),
            "dspy.History" | "dspy.adapters.types.history.History" => quote!(History),
            "dspy.Code" | "dspy.adapters.types.code.Code" => quote!(Code),
            // `dspy.Code["java"]` is a class of its own.
            _ if class.starts_with("dspy.adapters.types.code.Code_") => quote!(Code),
            "dspy.Reasoning" | "dspy.adapters.types.reasoning.Reasoning" => quote!(Reasoning),
            "dspy.Tool" | "dspy.adapters.types.tool.Tool" => quote!(Tool),
            "dspy.ToolCalls" | "dspy.adapters.types.tool.ToolCalls" => quote!(ToolCalls),
            "dspy.experimental.Document" | "dspy.adapters.types.document.Document" => quote!(Document),
            "dspy.experimental.Citations" | "dspy.adapters.types.citation.Citations" => quote!(Citations),
            _ => return None,
        };
        let path = &self.path;
        Some(quote!(#path::types::#ident))
    }

    /// The path of a crate that the facade carries, as the text that serde and schemars want for their `crate`.
    pub fn crate_text(&self, name: &str) -> String {
        // Tokens are printed with spaces around `::`; a path has no other place for one.
        format!("{}::__private::{name}", self.path())
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new(quote!(::dspex))
    }
}

impl ToTokens for Root {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.path.to_tokens(tokens);
    }
}

impl ToTokens for ItemPath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.0.iter().cloned());
    }
}
