//! Names of tools, compared while compiling.

use super::super::Tool;

/// A tool whose name is known while compiling.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function with `#[dspex_tool]`",
    label = "not a tool that is known while compiling",
    note = "a tool of your own goes into a set with `ToolSet::new().with(..)`"
)]
pub trait Named: Tool {
    /// The name.
    const NAME: &'static str;
}

/// The name of a tool.
pub const fn name_of<T: Named>(_: &T) -> &'static str {
    T::NAME
}

/// Refuses the name at a position that one before it has.
///
/// # Panics
///
/// While compiling, with what to do.
#[track_caller]
pub const fn name_is_distinct(names: &[&str], position: usize) {
    let name = names[position];
    if contains(names.split_at(position).0, name) {
        refuse(&[
            "two tools are called `",
            name,
            "`; remove one, or rename it: `#[dspex_tool(name = \"..\")]`",
        ]);
    }
}

/// Refuses a name that the class has for a tool of its own.
///
/// # Panics
///
/// While compiling, with what to do.
#[track_caller]
pub const fn name_is_free(name: &str, class: &str, taken: &[&str]) {
    if contains(taken, name) {
        refuse(&[
            "`",
            class,
            "` has a tool `",
            name,
            "` of its own; give yours another name: `#[dspex_tool(name = \"..\")]`",
        ]);
    }
}

const fn contains(names: &[&str], name: &str) -> bool {
    let mut rest = names;
    while let [first, others @ ..] = rest {
        if equal(first.as_bytes(), name.as_bytes()) {
            return true;
        }
        rest = others;
    }
    false
}

const fn equal(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}

/// Panics with the parts as one text. Nothing is allocated while compiling; what is longer is cut.
#[track_caller]
const fn refuse(parts: &[&str]) -> ! {
    let mut text = [0_u8; 512];
    let mut length = 0;
    let mut parts = parts;
    while let [part, rest @ ..] = parts {
        let mut bytes = part.as_bytes();
        while let [byte, others @ ..] = bytes {
            if length < text.len() {
                text[length] = *byte;
                length += 1;
            }
            bytes = others;
        }
        parts = rest;
    }
    match std::str::from_utf8(text.split_at(length).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("two tools have the same name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_pass() {
        name_is_distinct(&["a"], 0);
        name_is_distinct(&["b", "aa", "", "a", "a"], 3);
        name_is_free("finished", "dspy.ReAct", &["finish"]);
    }

    #[test]
    #[should_panic(expected = "two tools are called `plan_of`; remove one, or rename it")]
    fn a_name_that_is_there_is_named() {
        name_is_distinct(&["plan_of", "refund", "plan_of"], 2);
    }

    #[test]
    #[should_panic(expected = "`dspy.ReAct` has a tool `finish` of its own; give yours another name")]
    fn a_name_of_the_class_is_named() {
        name_is_free("finish", "dspy.ReAct", &["finish"]);
    }

    #[test]
    #[should_panic(expected = "two tools are called `aaaa")]
    fn a_long_name_is_cut() {
        name_is_distinct(&[&"a".repeat(2_000), &"a".repeat(2_000)], 1);
    }
}
