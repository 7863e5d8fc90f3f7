//! Text with indentation and documentation.

use crate::rustdoc;

/// Writes lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    /// One line; an empty one has no spaces.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if !line.is_empty() {
            self.text.extend(std::iter::repeat_n("    ", self.depth));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    /// Lines between braces.
    pub(super) fn block(&mut self, head: impl AsRef<str>, body: impl FnOnce(&mut Self)) {
        self.line(format!("{} {{", head.as_ref()));
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.line("}");
    }

    /// A line that opens a pair of braces, and what stands between them; whoever calls closes it.
    pub(super) fn nested(&mut self, head: impl AsRef<str>, body: impl FnOnce(&mut Self)) {
        self.line(head);
        self.depth += 1;
        body(self);
        self.depth -= 1;
    }

    /// Documentation of dspex's own, as it is.
    pub(super) fn doc(&mut self, text: &str) {
        for line in text.lines() {
            self.line(if line.is_empty() { "///".to_owned() } else { format!("/// {line}") });
        }
    }

    /// A docstring, or a sentence where there is none.
    pub(super) fn docstring(&mut self, docstring: Option<&str>, otherwise: &str) {
        match docstring {
            Some(text) => {
                // A line of its own would end the comment that it stands in.
                let text = rustdoc(text).replace('\r', "");
                self.doc(&text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
            }
            None => self.doc(otherwise),
        }
    }

    /// Lines that were written elsewhere.
    pub(super) fn lines(&mut self, text: &str) {
        text.lines().for_each(|line| self.line(line));
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}
