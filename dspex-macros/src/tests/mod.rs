//! Snapshots of expansions, and checks that need a class of their own making.

mod checks;
mod expansions;

use proc_macro2::TokenStream;

/// Tokens as formatted Rust; as they are, if they are not a file of Rust.
fn pretty(tokens: TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(_) => tokens.to_string(),
    }
}
