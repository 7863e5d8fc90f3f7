//! The types that a field can have.

use std::fmt;
use std::ops::Range;

use serde_json::json;

/// A type as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// Which type.
    pub kind: Kind,
    /// The bytes of the text that it was written with.
    pub range: Range<usize>,
}

/// Which type it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `str`
    Str,
    /// `int`
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
    /// `Any`
    Any,
    /// `None`; only one of several alternatives.
    None,
    /// `list[T]`; a bare `list` holds anything. Also `tuple[T, ...]`, which is the same in JSON.
    List(Box<Type>),
    /// `set[T]` and `frozenset[T]`
    Set(Box<Type>),
    /// `tuple[A, B]`
    Tuple(Vec<Type>),
    /// `dict[K, V]`; a bare `dict` maps texts to anything.
    Dict(Box<Type>, Box<Type>),
    /// `A | B`, `Union[A, B]` and `Optional[A]`: at least two alternatives, none of which is a union.
    Union(Vec<Type>),
    /// `Literal['a', -1, True, None]`
    Literal(Vec<Value>),
    /// A type of DSPy or of Python's library that dspex has a Rust type for.
    Native(Native),
    /// A type of Rust by its path.
    Rust(String),
}

/// A value of a `Literal`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A string.
    Str(String),
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// `None`
    None,
}

/// Declares the types of DSPy that have a Rust type: one line each, and everything that knows them follows.
macro_rules! natives {
    ($( $name:ident = $python:literal as $format:literal, )+) => {
        /// Types with a form of their own in Rust, all in `dspex::types`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Native {
            $( #[doc = concat!("`", $python, "`")] $name, )+
        }

        impl Native {
            /// All of them.
            pub const ALL: &[Self] = &[$( Self::$name, )+];

            /// The name in Python.
            pub fn python(self) -> &'static str {
                match self { $( Self::$name => $python, )+ }
            }

            /// The name in `dspex::types`.
            pub fn rust(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )+ }
            }

            /// The `format` of its JSON Schema, by which the worker knows it.
            pub fn format(self) -> &'static str {
                match self { $( Self::$name => $format, )+ }
            }
        }
    };
}

natives! {
    Image = "dspy.Image" as "image",
    Audio = "dspy.Audio" as "audio",
    File = "dspy.File" as "file",
    History = "dspy.History" as "history",
    Code = "dspy.Code" as "code",
    Reasoning = "dspy.Reasoning" as "reasoning",
    Tool = "dspy.Tool" as "tool",
    ToolCalls = "dspy.ToolCalls" as "tool-calls",
}

impl Type {
    /// The same without the places.
    #[must_use]
    pub fn without_ranges(&self) -> Self {
        let one = |ty: &Self| Box::new(ty.without_ranges());
        let all = |of: &[Self]| of.iter().map(Self::without_ranges).collect();
        let kind = match &self.kind {
            Kind::List(of) => Kind::List(one(of)),
            Kind::Set(of) => Kind::Set(one(of)),
            Kind::Tuple(of) => Kind::Tuple(all(of)),
            Kind::Union(of) => Kind::Union(all(of)),
            Kind::Dict(key, value) => Kind::Dict(one(key), one(value)),
            other => other.clone(),
        };
        Self { kind, range: 0..0 }
    }

    /// Whether the type, or one that it is made of, is a Rust type.
    pub fn has_rust_type(&self) -> bool {
        match &self.kind {
            Kind::Rust(_) => true,
            Kind::List(of) | Kind::Set(of) => of.has_rust_type(),
            Kind::Tuple(of) | Kind::Union(of) => of.iter().any(Self::has_rust_type),
            Kind::Dict(key, value) => key.has_rust_type() || value.has_rust_type(),
            _ => false,
        }
    }

    /// For a union with `None`, the other alternatives.
    pub fn optional(&self) -> Option<Vec<&Self>> {
        let Kind::Union(of) = &self.kind else { return None };
        let rest: Vec<_> = of.iter().filter(|ty| ty.kind != Kind::None).collect();
        (rest.len() < of.len()).then_some(rest)
    }
}

impl Value {
    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Str(text) => json!(text),
            Self::Int(number) => json!(number),
            Self::Bool(value) => json!(value),
            Self::None => serde_json::Value::Null,
        }
    }
}

impl fmt::Display for Value {
    /// The value as Python writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::None => f.write_str("None"),
            Self::Str(text) => {
                f.write_str("'")?;
                for char in text.chars() {
                    match char {
                        '\n' => f.write_str("\\n")?,
                        '\t' => f.write_str("\\t")?,
                        '\r' => f.write_str("\\r")?,
                        '\'' | '\\' => write!(f, "\\{char}")?,
                        _ => write!(f, "{char}")?,
                    }
                }
                f.write_str("'")
            }
        }
    }
}

impl fmt::Display for Type {
    /// The type as text that reads back as the same type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display], separator: &str) -> fmt::Result {
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    f.write_str(separator)?;
                }
                item.fmt(f)?;
            }
            Ok(())
        }
        match &self.kind {
            Kind::Str => f.write_str("str"),
            Kind::Int => f.write_str("int"),
            Kind::Float => f.write_str("float"),
            Kind::Bool => f.write_str("bool"),
            Kind::Any => f.write_str("Any"),
            Kind::None => f.write_str("None"),
            Kind::List(of) => write!(f, "list[{of}]"),
            Kind::Set(of) => write!(f, "set[{of}]"),
            Kind::Dict(key, value) => write!(f, "dict[{key}, {value}]"),
            Kind::Union(of) => list(f, of, " | "),
            Kind::Native(native) => f.write_str(native.python()),
            Kind::Rust(path) => f.write_str(path),
            Kind::Tuple(of) => {
                f.write_str("tuple[")?;
                list(f, of, ", ")?;
                f.write_str("]")
            }
            Kind::Literal(values) => {
                f.write_str("Literal[")?;
                list(f, values, ", ")?;
                f.write_str("]")
            }
        }
    }
}
