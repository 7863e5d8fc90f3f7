//! Which variables are meant.

/// Which variables are listed or watched.
///
/// ```
/// use dspex_state::Filter;
///
/// let filter = Filter::glob("temp*");
/// assert!(filter.matches("temperature") && !filter.matches("attempt"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Kind);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    All,
    Glob(String),
    Names(Vec<String>),
}

impl Filter {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self(Kind::All)
    }

    /// Those whose whole name matches: `*` is any text, `?` any character, all else is itself.
    #[must_use]
    pub fn glob(glob: impl Into<String>) -> Self {
        Self(Kind::Glob(glob.into()))
    }

    /// Those of these names.
    #[must_use]
    pub fn names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Kind::Names(names.into_iter().map(Into::into).collect()))
    }

    /// Whether a variable of this name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Glob(glob) => matches(glob, name),
            Kind::Names(names) => names.iter().any(|one| one == name),
        }
    }

    pub(super) fn as_glob(&self) -> Option<&str> {
        match &self.0 {
            Kind::Glob(glob) => Some(glob),
            _ => None,
        }
    }
}

/// Whether a whole text matches a glob. Takes time in proportion to the lengths' product at worst.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last star was, and how much of the text it has taken.
    let mut star = None;
    while seen < text.len() {
        match glob.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                seen = taken + 1;
            }
        }
    }
    glob[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_match_and_nothing_else_is_special() {
        for (glob, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("?", "ä", true),
            ("?", "", false),
            ("[a]", "[a]", true),
            ("[a]", "a", false),
            ("a.c", "abc", false),
            ("**a", "ba", true),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_regular_expression(glob in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let pattern: String = glob.chars().map(|one| match one {
                '*' => ".*".to_owned(),
                '?' => ".".to_owned(),
                other => regex::escape(&other.to_string()),
            }).collect();
            let expected = regex::Regex::new(&format!("^{pattern}$")).unwrap().is_match(&text);
            prop_assert_eq!(matches(&glob, &text), expected);
        }
    }
}
