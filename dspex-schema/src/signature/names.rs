//! Names of types: which are known, and what was probably meant by the others.

use strsim::damerau_levenshtein;

use super::{Kind, Native, Type};
use crate::closest;

/// A type by its name alone, without brackets.
pub(super) fn plain(name: &str) -> Option<Kind> {
    let any = || Box::new(Type { kind: Kind::Any, range: 0..0 });
    Some(match name {
        "str" => Kind::Str,
        "int" => Kind::Int,
        "float" => Kind::Float,
        "bool" => Kind::Bool,
        "Any" => Kind::Any,
        "None" => Kind::None,
        "list" | "tuple" => Kind::List(any()),
        "set" | "frozenset" => Kind::Set(any()),
        "dict" => Kind::Dict(Box::new(Type { kind: Kind::Str, range: 0..0 }), any()),
        _ => Kind::Native(*Native::ALL.iter().find(|native| native.python() == name)?),
    })
}

/// A type that takes others in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generic {
    List,
    Set,
    Tuple,
    Dict,
    Optional,
    Union,
    Literal,
}

/// What takes types in brackets under this name.
pub(super) fn generic(name: &str) -> Option<Generic> {
    Some(match name {
        "list" | "List" => Generic::List,
        "set" | "Set" | "frozenset" | "FrozenSet" => Generic::Set,
        "tuple" | "Tuple" => Generic::Tuple,
        "dict" | "Dict" => Generic::Dict,
        "Optional" => Generic::Optional,
        "Union" => Generic::Union,
        "Literal" => Generic::Literal,
        _ => return None,
    })
}

/// The type that somebody means who writes a name of another language, or of an older Python.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    Some(match name {
        "string" | "text" | "String" | "Str" | "char" | "Text" => "str",
        "integer" | "Int" | "Integer" | "long" => "int",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "int",
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "int",
        "f32" | "f64" | "double" | "number" | "Float" | "Number" | "decimal" => "float",
        "boolean" | "Bool" | "Boolean" => "bool",
        "any" | "object" => "Any",
        "none" | "null" | "nil" | "NoneType" | "void" => "None",
        "array" | "Vec" | "vec" | "Array" | "Sequence" | "Iterable" => "list[..]",
        "map" | "Mapping" | "HashMap" | "BTreeMap" | "Map" | "Object" => "dict[str, ..]",
        "HashSet" | "BTreeSet" => "set[..]",
        "Option" | "optional" | "option" => "Optional[..]",
        "union" => "Union[..]",
        "literal" | "Enum" | "enum" | "Choice" => "Literal[..]",
        "List" => "list",
        "Dict" => "dict",
        "Tuple" => "tuple",
        "Set" => "set",
        "FrozenSet" => "frozenset",
        _ => return native(name),
    })
}

/// The type of DSPy that is called so, but for `dspy.` and capitals.
fn native(name: &str) -> Option<&'static str> {
    let last = name.strip_prefix("dspy.").unwrap_or(name);
    Native::ALL.iter().find(|native| native.rust().eq_ignore_ascii_case(last)).map(|native| native.python())
}

/// Words that name a type somewhere, and that a program may just as well call a type of its own.
const COMMON: &[&str] =
    &["Array", "Choice", "Enum", "Iterable", "Map", "Mapping", "Number", "Object", "Sequence", "Text"];

/// The type that somebody means by a name that could be that of a Rust type, since it begins with a capital letter:
/// a type of another language, one of DSPy's without `dspy.`, or nearly one of these.
pub(super) fn mistaken(name: &str) -> Option<&'static str> {
    if COMMON.contains(&name) {
        return None;
    }
    meant(name).or_else(|| {
        let words = ["String", "Integer", "Float", "Boolean", "Optional", "Union", "Literal", "Tuple"];
        let natives = Native::ALL.iter().map(|native| native.rust());
        // One letter is a slip; a plural is a type of its own.
        let slip = |word: &&str| {
            name.len() > 4 && name.strip_suffix('s') != Some(*word) && damerau_levenshtein(name, word) == 1
        };
        let word = words.into_iter().chain(natives).find(slip)?;
        meant(word).or_else(|| nearest(word))
    })
}

/// What to say about types that exist in Python and have no form here.
pub(super) fn unsupported(name: &str) -> Option<&'static str> {
    const AS_TEXT: &str = "use `str`, or a Rust type that implements `FieldType`";
    Some(match name {
        "bytes" | "bytearray" => "JSON holds no bytes, use `dspy.File`, or `str` with base64",
        "complex" => "JSON holds no complex numbers, use `tuple[float, float]`",
        "Callable" | "type" | "Type" => "only data crosses to Python",
        "Annotated" => "write the constraint on a field of a struct: `#[schemars(range(min = 1, max = 5))]`",
        "Field" => "describe the field in the doc comment of a struct's field",
        "date" | "datetime" | "Datetime" | "time" | "timedelta" | "UUID" => AS_TEXT,
        _ if ["datetime.", "decimal.", "uuid."].iter().any(|module| name.starts_with(module)) => AS_TEXT,
        _ if name.starts_with("pydantic.") => "use a Rust type that implements `FieldType`",
        "dspy.Tool" => "tools are no fields here, use `dict[str, Any]`",
        "dspy.Document" | "dspy.Citations" | "dspy.Type" | "dspy.Example" | "dspy.Prediction" => {
            "use a Rust type that implements `FieldType`"
        }
        _ => return None,
    })
}

/// The names that can be written and are not DSPy's.
const KNOWN: &[&str] =
    &["str", "int", "float", "bool", "Any", "list", "dict", "tuple", "set", "Optional", "Union", "Literal"];

/// All names that can be written, for messages.
pub(super) fn known() -> String {
    let names: Vec<_> =
        KNOWN.iter().copied().chain(Native::ALL.iter().map(|native| native.python())).collect();
    names.join(", ")
}

/// The known name that comes closest.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let natives = Native::ALL.iter().map(|native| native.python());
    closest(name, KNOWN.iter().copied().chain(natives).chain(["frozenset", "None"]))
}
