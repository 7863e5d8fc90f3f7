//! One text that matches a regular expression, for the plain ones that schemas use.

/// A text that matches; `None` where the pattern uses more than literals, classes, groups, alternatives and counts.
pub(super) fn example(pattern: &str) -> Option<String> {
    let mut reader = Reader { rest: pattern, depth: 0 };
    let text = reader.alternatives()?;
    (reader.rest.is_empty() && text.len() <= LONGEST).then_some(text)
}

/// Counts multiply; a schema must not make a test run out of memory.
const LONGEST: usize = 4096;

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The first alternative is the example; the others are only read over.
    fn alternatives(&mut self) -> Option<String> {
        self.depth += 1;
        if self.depth > 32 {
            return None;
        }
        let first = self.sequence()?;
        while self.eat("|") {
            self.sequence()?;
        }
        self.depth -= 1;
        Some(first)
    }

    fn sequence(&mut self) -> Option<String> {
        let mut text = String::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let piece = self.piece()?;
            let (least, _) = self.count()?;
            if least.saturating_mul(piece.len()).saturating_add(text.len()) > LONGEST {
                return None;
            }
            text.push_str(&piece.repeat(least));
        }
        Some(text)
    }

    fn piece(&mut self) -> Option<String> {
        match self.next()? {
            '^' | '$' => Some(String::new()),
            '.' => Some("x".to_owned()),
            '[' => self.class().map(String::from),
            '(' => {
                if self.eat("?") && !self.eat(":") {
                    return None;
                }
                let text = self.alternatives()?;
                self.eat(")").then_some(text)
            }
            '\\' => match self.next()? {
                'b' | 'A' | 'Z' | 'z' => Some(String::new()),
                escape => escaped(escape).map(String::from),
            },
            '*' | '+' | '?' | '{' => None,
            literal => Some(literal.to_string()),
        }
    }

    /// How often the piece comes: the fewest times, but once where it may come more often.
    fn count(&mut self) -> Option<(usize, ())> {
        let least = if self.eat("*") || self.eat("?") {
            0
        } else if self.eat("+") {
            1
        } else if self.eat("{") {
            let (range, rest) = self.rest.split_once('}')?;
            self.rest = rest;
            range.split(',').next()?.trim().parse().ok()?
        } else {
            return Some((1, ()));
        };
        let _lazy = self.eat("?");
        Some((least, ()))
    }

    fn class(&mut self) -> Option<char> {
        if self.rest.starts_with('^') {
            return None;
        }
        let mut first = None;
        loop {
            let c = match self.next()? {
                ']' if first.is_some() => return first,
                '\\' => escaped(self.next()?)?,
                c => c,
            };
            first.get_or_insert(c);
        }
    }
}

fn escaped(c: char) -> Option<char> {
    match c {
        'd' => Some('7'),
        'w' => Some('x'),
        's' => Some(' '),
        'n' => Some('\n'),
        't' => Some('\t'),
        c if c.is_alphanumeric() => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_patterns_have_an_example() {
        let cases = [
            (r"^[A-Z]{3}-\d{4}$", "AAA-7777"),
            (r"^(low|high)$", "low"),
            (r"^\w+@example\.org$", "x@example.org"),
            (r"^(?:ab){2,3}c?$", "abab"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(example(pattern).as_deref(), Some(expected), "{pattern}");
        }
    }

    #[test]
    fn what_is_not_plain_has_none() {
        for pattern in ["(?=x)y", "[^a]", "a{", "(", "x{9999}{9999}", r"\1", &"(".repeat(10_000)] {
            assert_eq!(example(pattern), None, "{pattern}");
        }
    }
}
