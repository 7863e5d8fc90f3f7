//! Names of Python and of schemas as names of Rust.

use crate::ident::field_ident;

/// A type or variant: `my-type_2` is `MyType2`.
pub(super) fn type_name(text: &str) -> String {
    let mut name = String::new();
    let mut upper = true;
    for char in text.chars() {
        if !char.is_alphanumeric() {
            upper = true;
        } else if upper {
            name.extend(char.to_uppercase());
            upper = false;
        } else {
            name.push(char);
        }
    }
    // `HIGH_RISK` is `HighRisk`, while `RAGAnswer` stays as it is.
    if name.chars().any(char::is_alphabetic)
        && !text.chars().any(char::is_lowercase)
        && text.chars().count() > 1
    {
        let words = text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
        name = words.map(capitalised).collect();
    }
    match name.chars().next() {
        None => "Value".to_owned(),
        Some(first) if !unicode_start(first) => format!("V{name}"),
        _ if name == "Self" => "Self_".to_owned(),
        _ => name,
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

/// A field: as it is where Rust can say it, with `r#` where it has to.
pub(super) fn field_name(text: &str) -> String {
    let mut name: String = text
        .chars()
        .map(|char| if char.is_alphanumeric() && char.is_ascii() || char == '_' { char } else { '_' })
        .collect();
    if name.trim_matches('_').is_empty() {
        name = "field".to_owned();
    } else if name.starts_with(|first: char| first.is_ascii_digit()) {
        name = format!("field_{name}");
    }
    field_ident(&name).0.to_string()
}

fn unicode_start(char: char) -> bool {
    char.is_ascii_alphabetic()
}

/// Whether the text can be an identifier's part at all; others are spelled out.
pub(super) fn variant_name(text: &str) -> String {
    let ascii: String = text.chars().map(|char| if char.is_ascii() { char } else { ' ' }).collect();
    let name = type_name(&ascii);
    if name == "Value" && !text.eq_ignore_ascii_case("value") { symbol_name(text) } else { name }
}

/// A text of signs alone, by their code points: `+` is `U2B`.
fn symbol_name(text: &str) -> String {
    if text.is_empty() {
        return "Empty".to_owned();
    }
    text.chars().take(8).map(|char| format!("U{:X}", u32::from(char))).collect()
}

#[cfg(test)]
mod tests {
    use super::{field_name, type_name, variant_name};

    #[test]
    fn types_and_variants_are_in_camel_case() {
        for (text, name) in [
            ("calm", "Calm"),
            ("HIGH_RISK", "HighRisk"),
            ("RAGAnswer", "RAGAnswer"),
            ("list[int]", "ListInt"),
            ("3d", "V3d"),
            ("self", "Self_"),
            ("A", "A"),
        ] {
            assert_eq!(type_name(text), name);
        }
        assert_eq!((variant_name("+").as_str(), variant_name("").as_str()), ("U2B", "Empty"));
    }

    #[test]
    fn fields_keep_their_names_where_rust_can_say_them() {
        for (text, name) in [
            ("text", "text"),
            ("type", "r#type"),
            ("self", "self_"),
            ("a-b", "a_b"),
            ("1st", "field_1st"),
            ("$", "field"),
        ] {
            assert_eq!(field_name(text), name);
        }
    }
}
