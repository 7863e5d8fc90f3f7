//! `tools![a, b::c]`

use proc_macro2::{Group, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Path, Token};

use crate::prelude::*;
use dspex_codegen::Root;

/// Expands `tools![..]` of the facade, which puts its own path in front.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut tokens = input.into_iter();
    let root = match tokens.next() {
        Some(TokenTree::Group(root)) => Root::new(Group::stream(&root)),
        _ => Root::default(),
    };
    let mut errors = Errors::default();
    let paths = errors.handle(paths(tokens.collect())).unwrap_or_default();
    for (position, path) in paths.iter().enumerate() {
        if paths[..position].contains(path) {
            errors.push(err!(path, "`{}` is there twice; remove one", shown(path)));
        }
    }
    match errors.finish(()) {
        Ok(()) => of_paths(&root, &paths, None),
        Err(errors) => {
            let errors = errors.into_compile_error();
            quote!({ #errors #root::tool::ToolSet::new() })
        }
    }
}

fn paths(tokens: TokenStream) -> Result<Vec<Path>> {
    let example = "`tools![my_tool, billing::refund]`";
    if tokens.is_empty() {
        let text = format!("`tools![]` names no tool; name at least one, as in {example}");
        return Err(Error::new(Span::call_site(), text));
    }
    let parser = |input: syn::parse::ParseStream<'_>| {
        Punctuated::<Path, Token![,]>::parse_terminated_with(input, Path::parse_mod_style)
    };
    let paths = parser.parse2(tokens).map_err(|error| {
        Error::new(error.span(), format!("expected paths of functions with `#[dspex_tool]`; write {example}"))
    })?;
    Ok(paths.into_iter().collect())
}

/// A path as people write it.
pub(crate) fn shown(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// The set of these tools, as an expression. Their names are compared by the compiler, which knows them; `class` is one
/// that has tools of its own, and their names.
pub(crate) fn of_paths(root: &Root, paths: &[Path], class: Option<(&str, &[String])>) -> TokenStream {
    let count = paths.len();
    // Whatever is said of a tool is said at its path.
    let at = |path: &Path| at(path.span(), root.private(&quote!(tool)));
    let names = paths.iter().map(|path| {
        let private = at(path);
        quote_spanned!(path.span()=> #private::name_of(&#path {}))
    });
    let checks = paths.iter().enumerate().map(|(position, path)| {
        let private = at(path);
        let free = class.filter(|(_, taken)| !taken.is_empty()).map(|(class, taken)| {
            quote_spanned!(path.span()=>
                const _: () = #private::name_is_free(__NAMES[#position], #class, &[#(#taken),*]);
            )
        });
        let distinct = (position > 0).then(
            || quote_spanned!(path.span()=> const _: () = #private::name_is_distinct(&__NAMES, #position);),
        );
        quote!(#distinct #free)
    });
    let set = paths.iter().fold(quote!(#root::tool::ToolSet::new()), |set, path| {
        let private = at(path);
        quote_spanned!(path.span()=> #private::with(#set, #path {}))
    });
    quote! {{
        const __NAMES: [&::core::primitive::str; #count] = [#(#names),*];
        #(#checks)*
        #set
    }}
}

/// Tokens that are shown at another place, and mean what they meant.
pub(super) fn at(span: Span, tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(span));
            token
        })
        .collect()
}
