//! Python docstrings as rustdoc.

/// A docstring as the text of a Rust doc comment: code is fenced, so that no doctest tries to compile it, and what
/// rustdoc would take for a link or for HTML is escaped.
///
/// ```
/// assert_eq!(dspex_codegen::rustdoc("Maps list[str] to <b>."), "Maps list\\[str\\] to \\<b>.");
/// ```
pub fn rustdoc(docstring: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    // Inside a fence of the docstring itself, and inside one that is opened here for an indented block.
    let (mut fenced, mut block) = (false, false);
    // An indented line begins a block after a blank one, and after a heading such as `Args:`.
    let mut opening = true;
    for line in docstring.trim().lines() {
        let blank = line.trim().is_empty();
        let prompt = line.trim_start().starts_with(">>>");
        if block && !blank && !line.starts_with("    ") && !prompt {
            close(&mut out);
            block = false;
        }
        if !block && line.trim_start().starts_with("```") {
            fenced = !fenced;
            // An opening fence without a language would be a doctest, and so would an indented one.
            let fence = line.trim();
            out.push(if fenced { python_fence(fence) } else { fence.to_owned() });
            opening = false;
            continue;
        }
        if !fenced && !block && (prompt || (opening && line.starts_with("    ") && !blank)) {
            out.push("```text".to_owned());
            block = true;
        }
        out.push(if fenced || block { line.to_owned() } else { escape(line) });
        opening = blank || line.trim_end().ends_with(':');
    }
    if block {
        close(&mut out);
    }
    if fenced {
        out.push("```".to_owned());
    }
    out.join("\n")
}

/// Ends a block before the blank lines that follow it.
fn close(out: &mut Vec<String>) {
    let end = out.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    out.insert(end, "```".to_owned());
}

fn python_fence(fence: &str) -> String {
    if fence == "```" { "```text".to_owned() } else { fence.to_owned() }
}

/// Escapes what rustdoc reads and Python does not mean, outside of code spans.
fn escape(line: &str) -> String {
    // A code span that does not end on its line is more likely a slip than a span.
    let spans = line.matches('`').count().is_multiple_of(2);
    let mut out = String::with_capacity(line.len());
    let mut code = false;
    let mut rest = line;
    while let Some(char) = rest.chars().next() {
        if !code && (rest.starts_with("https://") || rest.starts_with("http://")) {
            let (address, after) = rest.split_at(end_of_address(rest));
            out.push_str(&format!("<{address}>"));
            rest = after;
            continue;
        }
        match char {
            '`' if spans => code = !code,
            '`' => out.push('\\'),
            '[' | ']' | '<' if !code => out.push('\\'),
            _ => {}
        }
        out.push(char);
        rest = &rest[char.len_utf8()..];
    }
    out
}

/// The length of the address that a text begins with, without the punctuation of the sentence around it.
fn end_of_address(text: &str) -> usize {
    let end = text.find(|char: char| char.is_whitespace() || "`<>\"')]".contains(char)).unwrap_or(text.len());
    text[..end].trim_end_matches(['.', ',', ';', ':']).len()
}

#[cfg(test)]
mod tests {
    use super::rustdoc;

    #[test]
    fn code_spans_keep_their_brackets() {
        assert_eq!(rustdoc("Takes `list[str]` and x[0]."), "Takes `list[str]` and x\\[0\\].");
    }

    #[test]
    fn an_indented_block_becomes_a_fence_that_is_no_doctest() {
        let text = rustdoc("Example:\n\n    predict = dspy.Predict(\"q -> a\")\n\nThen call it.");
        assert_eq!(text, "Example:\n\n```text\n    predict = dspy.Predict(\"q -> a\")\n```\n\nThen call it.");
    }

    #[test]
    fn a_prompt_begins_a_block_without_a_blank_line() {
        assert_eq!(rustdoc("Use:\n>>> f()\n1\nDone."), "Use:\n```text\n>>> f()\n```\n1\nDone.");
    }

    #[test]
    fn the_section_of_a_docstring_keeps_its_lines() {
        let text = rustdoc("Args:\n    a: One.\n    b: Two.\n\nReturns:\n    list[int]: All.");
        assert_eq!(
            text,
            "Args:\n```text\n    a: One.\n    b: Two.\n```\n\nReturns:\n```text\n    list[int]: All.\n```"
        );
    }

    #[test]
    fn an_address_becomes_a_link_and_a_lone_backtick_no_code() {
        assert_eq!(rustdoc("See (https://x.org/a#b)."), "See (<https://x.org/a#b>).");
        assert_eq!(rustdoc("a ` and [b]"), "a \\` and \\[b\\]");
    }

    #[test]
    fn an_indented_fence_is_no_indented_block() {
        assert_eq!(rustdoc("Use:\n\n    ```\n    f()\n    ```"), "Use:\n\n```text\n    f()\n```");
    }

    #[test]
    fn fences_of_the_docstring_are_kept_and_closed() {
        assert_eq!(rustdoc("```\nx[0]"), "```text\nx[0]\n```");
        assert_eq!(rustdoc("```python\nx[0]\n```\nlist[str]"), "```python\nx[0]\n```\nlist\\[str\\]");
    }
}
