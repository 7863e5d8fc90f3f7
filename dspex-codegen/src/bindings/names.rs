//! Names of bindings.

use heck::ToUpperCamelCase;

use crate::ident::field_ident;

/// A name of Python as an identifier of Rust, with an underscore where it is taken.
pub(super) fn ident(name: &str, taken: &[&str]) -> String {
    let ident = field_ident(name).0.to_string();
    if taken.contains(&ident.as_str()) { format!("{ident}_") } else { ident }
}

/// The name of the type for a call of a method with optional arguments.
pub(super) fn call_type(owner: &str, method: &str) -> String {
    format!("{owner}{}Call", method.to_upper_camel_case())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_an_underscore() {
        assert_eq!(ident("create", &["new", "create"]), "create_");
        assert_eq!(ident("type", &["new"]), "r#type");
        assert_eq!(ident("max_iters", &["new"]), "max_iters");
    }

    #[test]
    fn the_type_of_a_call_is_named_by_class_and_method() {
        assert_eq!(call_type("ReAct", "dump_state"), "ReActDumpStateCall");
    }
}
