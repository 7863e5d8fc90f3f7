//! Signatures as text: what is read, what is refused and where, and properties of the parser.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dspex_schema::signature::{Kind, Native, Options, Rule, Signature, Value, parse, parse_with};
use dspex_schema::{Catalog, Class};
use proptest::prelude::*;
use serde_json::json;

fn rules(text: &str) -> Vec<(Rule, &str)> {
    parse(text).unwrap_err().into_iter().map(|error| (error.rule, &text[error.range])).collect()
}

fn only_error(text: &str) -> String {
    let errors = parse(text).unwrap_err();
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    errors[0].to_string()
}

fn class(name: &str) -> Class {
    Catalog::builtin().get(name).unwrap().unwrap()
}

#[test]
fn a_signature_is_read_with_the_bytes_of_every_part() {
    let text = "größe, k: int -> label: Literal['a', -1, True, None], x: Optional[dspy.Image]";
    let signature = parse(text).unwrap();
    let names: Vec<_> = signature.fields().map(|field| &text[field.name_range.clone()]).collect();
    assert_eq!(names, ["größe", "k", "label", "x"]);
    let types: Vec<_> = signature.fields().map(|field| &text[field.ty.range.clone()]).collect();
    assert_eq!(types, ["größe", "int", "Literal['a', -1, True, None]", "Optional[dspy.Image]"]);
    let fields: Vec<_> = signature.fields().map(|field| &text[field.range.clone()]).collect();
    assert_eq!(fields[3], "x: Optional[dspy.Image]");
    let values = [Value::Str("a".into()), Value::Int(-1), Value::Bool(true), Value::None];
    assert_eq!(signature.outputs[0].ty.kind, Kind::Literal(values.into()));
}

#[test]
fn different_ways_of_writing_a_type_are_the_same_type() {
    for (one, other) in [
        ("Optional[int]", "int | None"),
        ("Union[int, str, None]", "int | (str | None)"),
        ("List[typing.Dict[str, Any]]", "list[dict]"),
        ("tuple[int, ...]", "list[int]"),
        ("frozenset[int]", "Set[int]"),
        ("typing.Optional[typing.Any]", "Any|None"),
        ("Literal[\"a\",]", "Literal['a']"),
    ] {
        let [one, other] = [one, other].map(|ty| parse(&format!("q -> a: {ty}")).unwrap().without_ranges());
        assert_eq!(one, other);
    }
}

#[test]
fn what_dspy_loses_without_a_word_is_refused_where_it_stands() {
    assert_eq!(rules("a, a -> b"), [(Rule::DuplicateField, "a")]);
    assert_eq!(rules("a -> b, a: int"), [(Rule::DuplicateField, "a")]);
    assert_eq!(rules("-> b"), [(Rule::EmptySide, "->")]);
    assert_eq!(rules("a ->"), [(Rule::EmptySide, "->")]);
    assert_eq!(rules("a: int = 3, b -> c"), [(Rule::Default, "= 3")]);
    assert_eq!(rules("*a, b -> c"), [(Rule::Star, "*")]);
    assert_eq!(rules("a -> b -> c"), [(Rule::Arrow, "->")]);
    assert_eq!(rules("a, b"), [(Rule::Arrow, "")]);
    assert_eq!(rules("a -> b: None"), [(Rule::NoneAlone, "None")]);
    assert_eq!(rules("a -> b: int | int"), [(Rule::Repeated, "int")]);
    assert_eq!(rules("a -> b: Literal['x', \"x\"]"), [(Rule::Repeated, "\"x\"")]);
    assert_eq!(rules("a -> b: bytes"), [(Rule::UnsupportedType, "bytes")]);
    assert_eq!(rules("a -> b: os.PathLike"), [(Rule::UnknownType, "os.PathLike")]);
}

#[test]
fn every_error_of_a_text_is_reported_in_its_order() {
    let text = "class, a: flaot, _p, fields -> a, b: Optionl[int], c: dict[float, int], d: list[";
    let expected = [
        (Rule::Name, "class"),
        (Rule::UnknownType, "flaot"),
        (Rule::Name, "_p"),
        (Rule::ReservedName, "fields"),
        (Rule::UnknownType, "Optionl"),
        (Rule::DictKey, "float"),
        (Rule::Syntax, ""),
    ];
    assert_eq!(rules(text), expected);
}

#[test]
fn an_error_says_what_to_write_instead() {
    for (text, expected) in [
        ("a -> b: flaot", "the type `flaot` is unknown; did you mean `float`?"),
        ("a -> b: string", "the type `string` is unknown; did you mean `str`?"),
        ("a -> b: Vec[int]", "the type `Vec` is unknown; did you mean `list[..]`?"),
        ("a -> b: 'int'", "a type stands without quotes; write `int`"),
        ("a -> b: Literal[true]", "`true` is no value; write `True`"),
        ("a -> b: Literal[yes]", "`yes` is no value; write `'yes'` for a string"),
        ("a -> b: Optional", "`Optional` needs types in brackets; write `Optional[..]`"),
        ("a -> b: List", "`List` needs types in brackets; write `list`, or `list[..]`"),
        ("a -> b: int[3]", "`int` takes nothing in brackets; write `int`"),
        ("a -> b: dict[str]", "`dict` cannot hold 1 type; write `dict[str, ..]`"),
        ("a, b", "there is no `->` between the inputs and the outputs; write `question -> answer`"),
        ("a b -> c", "expected `,` or `->`, found `b`"),
    ] {
        assert_eq!(only_error(text), expected);
    }
}

#[test]
fn names_that_the_class_uses_are_reserved() {
    let react = class("dspy.ReAct");
    let options = Options { class: Some(&react), ..Options::default() };
    let errors = parse_with("max_iters -> trajectory", &options).errors;
    assert_eq!(errors.iter().map(|error| error.rule).collect::<Vec<_>>(), [Rule::ReservedName; 2]);
    let chain = class("dspy.ChainOfThought");
    let options = Options { class: Some(&chain), ..Options::default() };
    let errors = parse_with("question -> reasoning, answer", &options).errors;
    assert!(errors[0].to_string().contains("adds the output `reasoning` itself"), "{errors:?}");
}

#[test]
fn types_of_rust_are_read_where_they_are_asked_for() {
    let text = "p: crate::Person, o: Order -> q: list[Order] | None";
    assert!(parse(text).is_err());
    let options = Options { rust_types: true, ..Options::default() };
    let signature = parse_with(text, &options).finish().unwrap();
    assert_eq!(signature.inputs[0].ty.kind, Kind::Rust("crate::Person".into()));
    assert!(signature.outputs[0].ty.has_rust_type());
    for wrong in ["a -> b: person", "a -> b: Person[int]", "a -> b: crate::Person[int]", "a -> b: Callable"] {
        assert_eq!(parse_with(wrong, &options).errors.len(), 1, "{wrong}");
    }
}

#[test]
fn schemas_are_those_of_pydantic() {
    let schema = |ty: &str| parse(&format!("q -> a: {ty}")).unwrap().outputs[0].ty.json_schema();
    assert_eq!(
        schema("tuple[int, str]"),
        json!({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2})
    );
    assert_eq!(schema("dict"), json!({"type": "object", "additionalProperties": true}));
    assert_eq!(
        schema("dspy.Audio | None"),
        json!({"anyOf": [{"type": "object", "format": "audio"}, {"type": "null"}]})
    );
}

#[test]
fn a_text_too_long_or_too_deep_is_refused_and_not_followed() {
    let deep = format!("q -> a: {}int{}", "list[".repeat(5000 / 5), "]".repeat(1000));
    assert_eq!(parse(&deep).unwrap_err()[0].rule, Rule::Limit);
    let parentheses = format!("q -> a: {}int", "(".repeat(5000));
    assert_eq!(parse(&parentheses).unwrap_err()[0].rule, Rule::Limit);
    assert_eq!(parse(&"a".repeat(20_000)).unwrap_err()[0].rule, Rule::Limit);
}

#[test]
fn an_excerpt_shows_the_line_and_the_fragment() {
    let text = "größe,\n\tk: itn -> a";
    assert_eq!(parse(text).unwrap_err()[0].excerpt(text), " k: itn -> a\n    ^^^");
    assert_eq!(parse("a, b").unwrap_err()[0].excerpt("a, b"), "a, b\n    ^");
}

/// Types as people write them.
fn any_type() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[a-zA-Z '\"\\\\>-]{0,6}".prop_map(|text| Value::Str(text).to_string()),
        any::<i64>().prop_map(|number| Value::Int(number).to_string()),
        Just("True".to_owned()),
        Just("None".to_owned()),
    ];
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "str",
            "int",
            "float",
            "bool",
            "Any",
            "list",
            "dict",
            "dspy.Image",
            "tuple"
        ])
        .prop_map(str::to_owned),
        prop::collection::vec(value, 1..4).prop_map(|values| format!("Literal[{}]", values.join(", "))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|ty| format!("list[{ty}]")),
            inner.clone().prop_map(|ty| format!("Optional[{ty}]")),
            inner.clone().prop_map(|ty| format!("dict[str, {ty}]")),
            inner.clone().prop_map(|ty| format!("({ty})")),
            inner.clone().prop_map(|ty| format!("tuple[{ty}, ...]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("tuple[{a}, {b}]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a} | {b}")),
        ]
    })
}

fn printed_and_read(signature: &Signature) -> Signature {
    parse(&signature.to_string()).unwrap().without_ranges()
}

proptest! {
    #[test]
    fn a_printed_signature_reads_back_as_itself(types in prop::collection::vec(any_type(), 2..5)) {
        let field = |(at, ty): (usize, &String)| format!("f{at}: {ty}");
        let fields: Vec<_> = types.iter().enumerate().map(field).collect();
        let text = format!("q, {} -> {}", fields[1..].join(" , "), fields[0]);
        // Values and alternatives that are there twice are errors, and the rest is read all the same.
        let signature = parse_with(&text, &Options::default()).signature;
        prop_assume!(parse(&text).is_ok());
        prop_assert_eq!(printed_and_read(&signature), signature.without_ranges());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_sequence_of_words_makes_the_parser_panic_or_point_outside_of_the_text(
        words in prop::collection::vec(prop::sample::select(vec![
            "a", "->", ",", ":", "[", "]", "(", ")", "|", "list", "Literal", "'x'", "'", "\"", "-", "1", "...", "=",
            "*", "é", "::", ".", "None", "Optional", "dict", "\n", " ", "\\", "dspy.Image", "int",
        ]), 0..24)
    ) {
        let text = words.concat();
        for options in [false, true].map(|rust_types| Options { rust_types, ..Options::default() }) {
            let parsed = parse_with(&text, &options);
            for error in &parsed.errors {
                prop_assert!(text.get(error.range.clone()).is_some(), "{text:?} {error:?}");
                prop_assert!(!error.excerpt(&text).is_empty());
            }
            if parsed.errors.is_empty() {
                prop_assert!(!parsed.signature.inputs.is_empty() && !parsed.signature.outputs.is_empty());
                let printed = parse_with(&parsed.signature.to_string(), &options).finish().unwrap();
                prop_assert_eq!(printed.without_ranges(), parsed.signature.without_ranges());
            }
        }
    }
}

#[test]
fn an_error_in_brackets_is_not_followed_by_others_about_what_is_left_of_them() {
    for text in [
        "a: Literal[0x10, 2], b -> c",
        "a: dict[nope, Literal[1.5, 2]] -> b",
        "a: list[nope | int, c: 3 -> b",
    ] {
        let errors = parse(text).unwrap_err();
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    }
}

fn rust(text: &str) -> Result<Kind, String> {
    let options = Options { rust_types: true, ..Options::default() };
    let parsed = parse_with(&format!("q -> a: {text}"), &options).finish();
    parsed.map(|signature| signature.outputs[0].ty.kind.clone()).map_err(|errors| errors[0].to_string())
}

#[test]
fn a_capitalised_name_is_a_rust_type_unless_it_is_a_slip() {
    for name in [
        "Doc",
        "Person",
        "Images",
        "Choice",
        "Text",
        "Uuid",
        "Decimal",
        "DateTime",
        "Onions",
        "crate::Image",
        "self::Strng",
    ] {
        assert_eq!(rust(name), Ok(Kind::Rust(name.to_owned())));
    }
    for (name, meant) in [
        ("Strng", "str"),
        ("String", "str"),
        ("Intger", "int"),
        ("Flaot", "float"),
        ("Boolen", "bool"),
        ("Vec", "list[..]"),
        ("Image", "dspy.Image"),
        ("Audoi", "dspy.Audio"),
        ("Optionl", "Optional"),
        ("Litral", "Literal"),
        ("Unoin", "Union"),
    ] {
        let error = rust(name).unwrap_err();
        let wanted = format!("did you mean `{meant}`? A Rust type of this name is written `self::{name}`");
        assert!(error.ends_with(&wanted), "{error}");
    }
    for name in ["Datetime", "UUID", "datetime.date", "uuid.UUID", "decimal.Decimal"] {
        assert!(rust(name).unwrap_err().contains("use `str`, or a Rust type"), "{name}");
    }
}

#[test]
fn every_native_type_is_read_by_its_name_and_proposed_without_its_module() {
    for native in Native::ALL {
        assert_eq!(rust(native.python()), Ok(Kind::Native(*native)));
        assert!(rust(native.rust()).unwrap_err().contains(&format!("did you mean `{}`?", native.python())));
        assert!(parse("q -> a: nothing_like_it").unwrap_err()[0].to_string().contains(native.python()));
    }
}
