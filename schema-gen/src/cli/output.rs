//! What the commands print: aligned columns, colours where a person looks, JSON where a program does.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::Failure;

/// Colours, or none: off a terminal, with `NO_COLOR` set to anything, or on a terminal that has none.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// For what goes to stdout.
    pub fn of_stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// For what goes to stderr.
    pub fn of_stderr() -> Self {
        Self::of(&io::stderr())
    }

    fn of(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colours: stream.is_terminal() && !unwanted }
    }

    /// Something that was added, or that is as it should be.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something that was removed, or that is wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Something that changed, or that deserves a look.
    pub fn notice(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Writes to stdout. A reader that has seen enough, such as `head`, is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a document to stdout, indented.
pub fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Lines of columns that are as wide as their widest cell; the last column is as wide as it is.
pub fn columns(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
    let pad = |row: &Vec<String>| {
        let last = row.len().saturating_sub(1);
        let cell = |(at, cell): (usize, &String)| {
            if at == last { cell.clone() } else { format!("{cell:<width$}", width = widths[at]) }
        };
        row.iter().enumerate().map(cell).collect()
    };
    rows.iter().map(pad).collect()
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), "c".to_owned()]];
        let lines: Vec<String> = columns(&rows).iter().map(|row| row.join("  ")).collect();
        assert_eq!(lines, ["a     b", "long  c"]);
    }
}
