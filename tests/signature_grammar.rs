//! The parser of signature texts against DSPy itself: on every text of a corpus the two agree on names and JSON
//! Schemas, or differ in a way that `docs/signatures.md` lists.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;

use common::builder;
use dspex::Carrier;
use dspex_schema::signature::{Rule, Signature, parse};
use serde_json::{Map, Value, json};

const CORPUS: &str = include_str!("data/signatures.txt");
const DOCUMENT: &str = include_str!("../docs/signatures.md");

/// What is to hold between the two.
#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Agree,
    Refuse,
    Stricter(String),
    Wider(String),
}

/// The hand-written texts with their verdicts.
fn written() -> Vec<(Verdict, String)> {
    let mut verdict = None;
    let mut cases = Vec::new();
    for line in CORPUS.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let (word, rest) = heading.split_once(' ').unwrap_or((heading, ""));
            verdict = Some(match word {
                "agree" => Verdict::Agree,
                "refuse" => Verdict::Refuse,
                "stricter" => Verdict::Stricter(rest.to_owned()),
                "wider" => Verdict::Wider(rest.to_owned()),
                other => panic!("no verdict `{other}`"),
            });
        } else if !line.starts_with('#')
            && let Some(verdict) = &verdict
            && !(line.is_empty() && *verdict != Verdict::Refuse)
        {
            cases.push((verdict.clone(), line.to_owned()));
        }
    }
    cases
}

/// A generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

fn generated_type(numbers: &mut Numbers, depth: usize) -> String {
    const LEAVES: &[&str] = &[
        "str",
        "int",
        "float",
        "bool",
        "Any",
        "list",
        "dict",
        "tuple",
        "set",
        "dspy.Image",
        "dspy.Audio",
        "dspy.File",
        "dspy.History",
        "Literal['a', 'b']",
        "Literal[1, 2]",
        "Literal['x', 3, None]",
        "Literal[True]",
        "typing.Any",
        "List[str]",
        "Dict[str, int]",
    ];
    if depth == 0 || numbers.below(3) == 0 {
        return numbers.pick(LEAVES).to_owned();
    }
    let inner = generated_type(numbers, depth - 1);
    match numbers.below(9) {
        0 => format!("list[{inner}]"),
        1 => format!("dict[str, {inner}]"),
        2 => format!("Optional[list[{inner}]]"),
        3 => format!("tuple[{inner}, {}]", generated_type(numbers, depth - 1)),
        4 => format!("tuple[{inner}, ...]"),
        5 => format!("list[{inner}] | None"),
        6 => format!("Union[dict[str, {inner}], int, str]"),
        7 => {
            format!("set[{}]", numbers.pick(&["str", "int", "bool", "tuple[int, str]", "Literal['a', 'b']"]))
        }
        _ => format!("(tuple[{inner}] | {})", numbers.pick(&["bool", "None", "float", "dspy.Image"])),
    }
}

fn generated_fields(numbers: &mut Numbers, names: &[&str]) -> Vec<String> {
    let count = 1 + numbers.below(names.len());
    names[..count]
        .iter()
        .map(|name| match numbers.below(4) {
            0 => (*name).to_owned(),
            _ => format!("{name}{}{}", numbers.pick(&[": ", ":", " : "]), generated_type(numbers, 3)),
        })
        .collect()
}

/// Texts from a grammar, and each of them broken in one way whose outcome is known.
fn generated() -> Vec<(Verdict, String)> {
    let mut numbers = Numbers(34);
    let mut cases = Vec::new();
    for round in 0..150 {
        let inputs = generated_fields(&mut numbers, &["question", "k", "context", "type"]).join(", ");
        let outputs =
            generated_fields(&mut numbers, &["answer", "score", "items"]).join(numbers.pick(&[",", ", "]));
        let stricter = |rule: &str| Verdict::Stricter(rule.to_owned());
        let (verdict, broken) = match round % 10 {
            0 => (stricter("DuplicateField"), format!("{inputs}, question -> {outputs}")),
            1 => (stricter("EmptySide"), format!("-> {outputs}")),
            2 => (stricter("Default"), format!("{inputs}, last: int = 7 -> {outputs}")),
            3 => (stricter("Repeated"), format!("{inputs} -> {outputs}, last: int | str | int")),
            4 => (stricter("NoneAlone"), format!("{inputs} -> {outputs}, last: None")),
            5 => (Verdict::Refuse, format!("{inputs}, answer -> {outputs}")),
            6 => (Verdict::Refuse, format!("{inputs} -> {outputs}, last: Unknown")),
            7 => (Verdict::Refuse, format!("{inputs} -> {outputs} -> last")),
            8 => (Verdict::Refuse, format!("{inputs} -> {outputs}, last: list[int")),
            _ => (
                Verdict::Wider("NegativeLiteral".to_owned()),
                format!("{inputs} -> {outputs}, last: Literal[-4]"),
            ),
        };
        cases.push((Verdict::Agree, format!("{inputs} -> {outputs}")));
        cases.push((verdict, broken));
    }
    cases
}

/// A schema in one of the ways in which the same thing can be said.
fn normal(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::Object(object) => {
            let mut out: Map<String, Value> = Map::new();
            for (key, value) in object {
                match key.as_str() {
                    "title" | "description" | "default" => {}
                    "const" => {
                        out.insert("enum".to_owned(), json!([value]));
                    }
                    "enum" => {
                        out.insert(key.clone(), value.clone());
                    }
                    _ => {
                        out.insert(key.clone(), normal(value));
                    }
                }
            }
            if out.contains_key("enum") {
                out.remove("type");
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

fn ours(signature: &Signature) -> Value {
    let side = |fields: &[dspex_schema::signature::Field]| -> Vec<Value> {
        fields.iter().map(|field| json!([field.name, normal(&field.ty.json_schema())])).collect()
    };
    json!({"inputs": side(&signature.inputs), "outputs": side(&signature.outputs)})
}

fn theirs(answer: &Value) -> Result<Value, String> {
    if let Some(error) = answer.get("error") {
        return Err(error.to_string());
    }
    let side = |key: &str| -> Vec<Value> {
        let fields = answer[key].as_array().unwrap();
        fields.iter().map(|field| json!([field[0], normal(&field[1])])).collect()
    };
    Ok(json!({"inputs": side("inputs"), "outputs": side("outputs")}))
}

/// Whether the text has what makes it fall under a reason.
fn is_wider(reason: &str, text: &str) -> bool {
    match reason {
        "NegativeLiteral" => text.contains("[-") || text.contains(", -"),
        "ArrowInLiteral" => text.matches("->").count() > 1,
        _ => false,
    }
}

#[test]
fn every_difference_is_listed_in_the_document() {
    let rules = written().into_iter().filter_map(|(verdict, _)| match verdict {
        Verdict::Stricter(name) | Verdict::Wider(name) => Some(name),
        _ => None,
    });
    for name in rules {
        assert!(DOCUMENT.contains(&format!("| `{name}` |")), "docs/signatures.md does not list `{name}`");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parser_and_dspy_agree_on_every_signature_or_differ_as_documented() {
    let cases: Vec<_> = written().into_iter().chain(generated()).collect();
    assert!(cases.len() >= 300, "{}", cases.len());
    let dspex = builder(Carrier::Framed).allow_module("dspex_signatures").start().await.unwrap();
    let texts: Vec<&str> = cases.iter().map(|(_, text)| text.as_str()).collect();
    let answers = dspex.dspy().call("dspex_signatures.resolve", &json!([texts]), &json!({})).await.unwrap();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), cases.len());

    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for ((verdict, text), answer) in cases.iter().zip(answers) {
        let (read, expected) = (parse(text), theirs(answer));
        let rules = |errors: &[dspex_schema::signature::SignatureError]| -> Vec<Rule> {
            errors.iter().map(|error| error.rule).collect()
        };
        let holds = match (verdict, &read, &expected) {
            (Verdict::Agree, Ok(signature), Ok(expected)) => ours(signature) == *expected,
            (Verdict::Refuse, Err(_), Err(_)) => true,
            (Verdict::Stricter(rule), Err(errors), Ok(_)) => {
                rules(errors).iter().all(|found| format!("{found:?}") == *rule)
            }
            (Verdict::Wider(reason), Ok(_), Err(_)) => is_wider(reason, text),
            _ => false,
        };
        *counts.entry(format!("{verdict:?}")).or_default() += 1;
        if !holds {
            let read =
                read.map(|signature| ours(&signature).to_string()).map_err(|errors| format!("{errors:?}"));
            wrong.push(format!("{verdict:?}: {text}\n  dspex: {read:?}\n  DSPy:  {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(counts["Agree"] >= 150 && counts["Refuse"] >= 80, "{counts:?}");
}
