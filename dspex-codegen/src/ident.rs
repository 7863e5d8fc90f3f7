//! Names of Python as identifiers of Rust.

use proc_macro2::{Ident, Span};

/// An identifier for a name of Python, and whether it had to become another name, so that serde needs to be told.
pub(crate) fn field_ident(name: &str) -> (Ident, bool) {
    match name {
        // These cannot even be raw identifiers.
        "self" | "Self" | "super" | "crate" | "_" => {
            (Ident::new(&format!("{name}_"), Span::call_site()), true)
        }
        _ if KEYWORDS.contains(&name) => (Ident::new_raw(name, Span::call_site()), false),
        _ => (Ident::new(name, Span::call_site()), false),
    }
}

/// The keywords of Rust, those reserved for later included.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::field_ident;

    #[test]
    fn a_keyword_becomes_a_raw_identifier() {
        assert_eq!(field_ident("type").0.to_string(), "r#type");
        assert_eq!(field_ident("reasoning").0.to_string(), "reasoning");
    }

    #[test]
    fn what_cannot_be_raw_gets_an_underscore_and_is_renamed() {
        let (ident, renamed) = field_ident("self");
        assert_eq!((ident.to_string().as_str(), renamed), ("self_", true));
    }
}
