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
    let mut previous_blank = true;
    for line in docstring.trim().lines() {
        let blank = line.trim().is_empty();
        let prompt = line.trim_start().starts_with(">>>");
        if block && !blank && !line.starts_with("    ") && !prompt {
            close(&mut out);
            block = false;
        }
        if !block && line.trim_start().starts_with("```") {
            fenced = !fenced;
            // An opening fence without a language would be a doctest.
            out.push(if fenced { python_fence(line) } else { line.to_owned() });
            previous_blank = false;
            continue;
        }
        if !fenced && !block && (prompt || (previous_blank && line.starts_with("    ") && !blank)) {
            out.push("```text".to_owned());
            block = true;
        }
        out.push(if fenced || block { line.to_owned() } else { escape(line) });
        previous_blank = blank;
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

fn python_fence(line: &str) -> String {
    match line.trim() {
        "```" => line.replace("```", "```text"),
        _ => line.to_owned(),
    }
}

/// Escapes what rustdoc reads and Python does not mean, outside of code spans.
fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut code = false;
    for char in line.chars() {
        match char {
            '`' => code = !code,
            '[' | ']' | '<' if !code => out.push('\\'),
            _ => {}
        }
        out.push(char);
    }
    out
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
    fn fences_of_the_docstring_are_kept_and_closed() {
        assert_eq!(rustdoc("```\nx[0]"), "```text\nx[0]\n```");
        assert_eq!(rustdoc("```python\nx[0]\n```\nlist[str]"), "```python\nx[0]\n```\nlist\\[str\\]");
    }
}
