//! The parser of types.

use std::ops::Range;

use super::fields::{Attempt, GivenUp, Parser};
use super::lexer::{Token, TokenKind};
use super::names::{self, Generic};
use super::{Kind, MAX_NESTING, Rule, Type};

impl Parser<'_> {
    /// A type with its alternatives.
    pub(super) fn ty(&mut self, depth: usize) -> Attempt<Type> {
        let start = self.peek().range.start;
        if depth > MAX_NESTING {
            let at = self.peek().range.clone();
            let text = format!("types nested deeper than {MAX_NESTING} levels");
            return self.fail(
                Rule::Limit,
                at,
                text,
                Some("use a Rust type that implements `FieldType`".to_owned()),
            );
        }
        let mut branches = vec![self.single(depth)?];
        while self.take('|') {
            branches.push(self.single(depth)?);
        }
        Ok(self.union(branches, start))
    }

    /// One alternative.
    fn single(&mut self, depth: usize) -> Attempt<Type> {
        let Token { kind, range: at } = self.peek().clone();
        match kind {
            TokenKind::Name => {}
            TokenKind::Mark('(') => {
                self.next += 1;
                if self.take(')') {
                    let range = at.start..self.tokens[self.next - 1].range.end;
                    let advice = Some("write a type between the parentheses, or remove them".to_owned());
                    return self.fail(Rule::Parameters, range, "`()` is no type", advice);
                }
                let mut ty = self.ty(depth + 1)?;
                self.expect(')', "to close the parenthesis")?;
                ty.range = at.start..self.tokens[self.next - 1].range.end;
                return Ok(ty);
            }
            TokenKind::Text(text) => {
                let advice = match names::plain(&text) {
                    Some(_) => format!("write `{text}`"),
                    None => format!("for a choice write `Literal['{text}']`"),
                };
                return self.fail(Rule::Syntax, at, "a type stands without quotes", Some(advice));
            }
            TokenKind::Mark('*') => {
                return self.fail(
                    Rule::Star,
                    at,
                    "a star is no type",
                    Some("write out the types".to_owned()),
                );
            }
            _ => {
                let text = format!("expected a type, found {}", self.shown());
                return self.fail(Rule::Syntax, at, text, None);
            }
        }
        self.next += 1;
        let written = self.slice(&at);
        let name = written.strip_prefix("typing.").unwrap_or(written);
        if self.peek().kind == TokenKind::Mark('[') {
            return self.brackets(name, at, depth);
        }
        if self.peek().kind == TokenKind::Mark('(') {
            let advice = names::unsupported(name).unwrap_or("write the type alone").to_owned();
            return self.fail(Rule::UnsupportedType, at, format!("`{name}(..)` is no type"), Some(advice));
        }
        if let Some(mut kind) = names::plain(name) {
            // What a bare container holds has no place of its own.
            match &mut kind {
                Kind::List(of) | Kind::Set(of) => of.range = at.clone(),
                Kind::Dict(key, value) => (key.range, value.range) = (at.clone(), at.clone()),
                _ => {}
            }
            return Ok(Type { kind, range: at });
        }
        if names::generic(name).is_some() {
            let advice = match names::meant(name) {
                Some(other) => format!("write `{other}`, or `{other}[..]`"),
                None => format!("write `{name}[..]`"),
            };
            return self.fail(
                Rule::Parameters,
                at,
                format!("`{name}` needs types in brackets"),
                Some(advice),
            );
        }
        self.other(name, at)
    }

    /// A name that is none of the types listed.
    fn other(&mut self, name: &str, at: Range<usize>) -> Attempt<Type> {
        let rust = || Type { kind: Kind::Rust(name.to_owned()), range: at.clone() };
        if self.options.rust_types && name.contains("::") {
            return Ok(rust());
        }
        if let Some(advice) = names::unsupported(name) {
            let text = format!("the type `{name}` cannot be the type of a field");
            return self.fail(Rule::UnsupportedType, at, text, Some(advice.to_owned()));
        }
        if self.options.rust_types && !name.contains('.') && name.starts_with(char::is_uppercase) {
            let Some(other) = names::mistaken(name) else { return Ok(rust()) };
            let advice =
                format!("did you mean `{other}`? A Rust type of this name is written `self::{name}`");
            return self.fail(Rule::UnknownType, at, format!("the type `{name}` is unknown"), Some(advice));
        }
        let advice =
            match names::meant(name).or_else(|| names::nearest(name)).or_else(|| names::mistaken(name)) {
                Some(other) => format!("did you mean `{other}`?"),
                None if self.options.rust_types => {
                    format!("known are {}, and Rust types by path, such as `crate::Person`", names::known())
                }
                None => format!("known are {}", names::known()),
            };
        self.fail(Rule::UnknownType, at, format!("the type `{name}` is unknown"), Some(advice))
    }

    /// A type with others in brackets. The next token is the bracket.
    fn brackets(&mut self, name: &str, at: Range<usize>, depth: usize) -> Attempt<Type> {
        let Some(generic) = names::generic(name) else {
            if names::plain(name).is_some() {
                let text = format!("`{name}` takes nothing in brackets");
                return self.fail(Rule::Parameters, at, text, Some(format!("write `{name}`")));
            }
            if self.options.rust_types && name.contains("::") {
                let text = format!("`{name}` is a type of Rust, which has no brackets here");
                let advice = "declare a type alias, and write its name".to_owned();
                return self.fail(Rule::Parameters, at, text, Some(advice));
            }
            // With brackets it is none of Rust's.
            let advice = match (names::unsupported(name), names::meant(name).or_else(|| names::nearest(name)))
            {
                (Some(advice), _) => {
                    let text = format!("the type `{name}` cannot be the type of a field");
                    return self.fail(Rule::UnsupportedType, at, text, Some(advice.to_owned()));
                }
                (None, Some(other)) => format!("did you mean `{other}`?"),
                (None, None) => format!("known are {}", names::known()),
            };
            return self.fail(Rule::UnknownType, at, format!("the type `{name}` is unknown"), Some(advice));
        };
        self.next += 1;
        if generic == Generic::Literal {
            let values = self.literal()?;
            self.expect(']', "to close `Literal[`")?;
            let range = at.start..self.tokens[self.next - 1].range.end;
            return Ok(Type { kind: Kind::Literal(values), range });
        }
        let mut of = Vec::new();
        let mut variadic = false;
        while self.peek().kind != TokenKind::Mark(']') {
            if generic == Generic::Tuple && of.len() == 1 && self.peek().kind == TokenKind::Ellipsis {
                self.next += 1;
                variadic = true;
                break;
            }
            of.push(self.ty(depth + 1)?);
            if !self.take(',') {
                break;
            }
        }
        self.expect(']', &format!("to close `{name}[`"))?;
        let range = at.start..self.tokens[self.next - 1].range.end;
        self.generic(generic, name, of, variadic, range)
    }

    fn generic(
        &mut self,
        generic: Generic,
        name: &str,
        of: Vec<Type>,
        variadic: bool,
        range: Range<usize>,
    ) -> Attempt<Type> {
        let wanted = match generic {
            Generic::List | Generic::Set | Generic::Optional => of.len() == 1,
            Generic::Dict => of.len() == 2,
            Generic::Tuple => (1..=12).contains(&of.len()),
            Generic::Union | Generic::Literal => of.len() > 1,
        };
        if !wanted {
            let advice = match generic {
                Generic::Dict => format!("write `{name}[str, ..]`"),
                Generic::Union => "write `Union[.., ..]`, or the type alone".to_owned(),
                Generic::Tuple => format!("write between 1 and 12 types, or `{name}[.., ...]`"),
                _ => format!("write `{name}[..]` with one type"),
            };
            let count = of.len();
            let text = format!("`{name}` cannot hold {count} type{}", if count == 1 { "" } else { "s" });
            return self.fail(Rule::Parameters, range, text, Some(advice));
        }
        // `None` is only ever one of several alternatives.
        if !matches!(generic, Generic::Union | Generic::Optional)
            && let Some(none) = of.iter().find(|ty| ty.kind == Kind::None)
        {
            self.none_alone(&none.range.clone());
        }
        let mut parts = of.into_iter();
        let mut one = || parts.next().map(Box::new).ok_or(GivenUp);
        let kind = match generic {
            Generic::List => Kind::List(one()?),
            Generic::Set => Kind::Set(one()?),
            Generic::Tuple if variadic => Kind::List(one()?),
            Generic::Dict => {
                let (key, value) = (one()?, one()?);
                if !matches!(key.kind, Kind::Str | Kind::Int) {
                    let text = format!("the keys of a `dict` are `str` or `int`, not `{key}`");
                    let advice = format!("write `{name}[str, ..]`");
                    self.note(Rule::DictKey, key.range.clone(), text, Some(advice));
                }
                Kind::Dict(key, value)
            }
            Generic::Optional => {
                let of = *one()?;
                let none = Type { kind: Kind::None, range: of.range.clone() };
                let start = range.start;
                let mut ty = self.union(vec![of, none], start);
                ty.range = range;
                return Ok(ty);
            }
            Generic::Tuple => Kind::Tuple(parts.collect()),
            Generic::Union | Generic::Literal => {
                let start = range.start;
                let mut ty = self.union(parts.collect(), start);
                ty.range = range;
                return Ok(ty);
            }
        };
        Ok(Type { kind, range })
    }

    /// One type out of alternatives: flat, each of them once.
    fn union(&mut self, branches: Vec<Type>, start: usize) -> Type {
        let end = self.tokens[self.next.saturating_sub(1)].range.end;
        let mut flat: Vec<Type> = Vec::new();
        let single = branches.len() == 1;
        for branch in branches {
            if single {
                return branch;
            }
            let parts = match branch.kind {
                Kind::Union(of) => of,
                kind => vec![Type { kind, range: branch.range }],
            };
            for part in parts {
                if flat.iter().any(|other| other.without_ranges() == part.without_ranges()) {
                    let text = format!("`{part}` is there twice");
                    self.note(Rule::Repeated, part.range.clone(), text, Some("remove one".to_owned()));
                } else {
                    flat.push(part);
                }
            }
        }
        // As pydantic has it: null comes last.
        flat.sort_by_key(|ty| ty.kind == Kind::None);
        match flat.len() {
            1 => flat.remove(0),
            _ => Type { kind: Kind::Union(flat), range: start..end },
        }
    }

    pub(super) fn none_alone(&mut self, at: &Range<usize>) {
        let advice = "write `Optional[..]` for what may be missing".to_owned();
        self.note(Rule::NoneAlone, at.clone(), "`None` alone leaves nothing to say", Some(advice));
    }
}
