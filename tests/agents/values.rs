//! What goes through a tool: every kind of value, and as much as there may be.

use std::collections::BTreeMap;

use dspex::testing::ScriptedLm;
use dspex::tool::{ToolArguments, ToolOutput, ToolParameter, ToolSpec};
use dspex::wire;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::common::{assert_serves, on_both_carriers, worker_pids};
use crate::*;

/// Gives its argument back as it stands on the wire.
struct Echo(ToolSpec);

impl Tool for Echo {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn call(
        &self,
        _: ToolContext,
        arguments: ToolArguments,
    ) -> BoxFuture<'static, Result<ToolOutput, ToolError>> {
        ready(ToolOutput::document(arguments.get("value").unwrap())).boxed()
    }
}

fn echo() -> Echo {
    let spec = ToolSpec::builder("echo", "Gives its argument back.");
    Echo(spec.parameter(ToolParameter::required("value", json!({}))).build())
}

/// A text of so many letters.
#[dspex_tool]
fn letters(count: usize) -> String {
    "x".repeat(count)
}

#[derive(Debug, Clone, Copy, PartialEq, FieldType)]
enum Colour {
    Red,
    DarkGreen,
}

#[derive(Debug, Clone, PartialEq, FieldType)]
struct Inner {
    numbers: Vec<f64>,
    nothing: Option<String>,
}

#[derive(Debug, Clone, PartialEq, FieldType)]
struct Everything {
    flag: bool,
    small: i8,
    large: u64,
    float: f64,
    text: String,
    colour: Colour,
    colours: Vec<Colour>,
    inner: Inner,
    by_name: BTreeMap<String, Inner>,
    pair: (i32, String),
    maybe: Option<Inner>,
}

/// Gives all of it back.
#[dspex_tool]
fn mirror(all: Everything) -> Everything {
    all
}

/// Floats that JSON does not have.
#[dspex_tool]
fn odd_floats() -> Vec<f64> {
    vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE]
}

/// A list of numbers, as most lists are.
#[dspex_tool]
fn counts() -> Vec<u32> {
    vec![3, 5]
}

/// A list of objects.
#[dspex_tool]
fn inners() -> Vec<Inner> {
    vec![Inner { numbers: vec![0.5], nothing: None }, Inner { numbers: vec![], nothing: Some("«é»".into()) }]
}

fn everything() -> Everything {
    let inner = Inner { numbers: vec![0.1, -2.5e300], nothing: None };
    Everything {
        flag: true,
        small: -128,
        large: u64::MAX,
        float: 1.0 / 3.0,
        text: "ключ 😀 \u{0} \"\\".to_owned(),
        colour: Colour::DarkGreen,
        colours: vec![Colour::Red, Colour::DarkGreen],
        by_name: BTreeMap::from([("".to_owned(), inner.clone()), ("a b".to_owned(), inner.clone())]),
        pair: (-7, "seven".to_owned()),
        maybe: Some(inner.clone()),
        inner,
    }
}

/// One of each: types of JSON, their ends, what is empty, what is deep, and what JSON cannot hold.
fn each() -> Vec<Value> {
    let deep = (0..25).fold(json!("deep"), |inner, _| json!([{"in": inner}]));
    vec![
        json!(true),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.1),
        json!(-1.5e300),
        json!(""),
        json!("ключ 😀 é \u{0} \u{2028} \"\\/"),
        json!([]),
        json!({}),
        json!([[], {}, [null], {"a": null}]),
        json!({"": 1, "ключ": {"$": [1, "two", null, false]}}),
        json!([1, 1.0, "1", true]),
        deep,
        wire::float(f64::NAN),
        wire::float(f64::INFINITY),
        wire::float(f64::NEG_INFINITY),
        wire::integer(i128::from(u64::MAX) + 1),
        wire::bytes(&[0, 255, 10]),
        json!({"within": [wire::float(f64::NAN), wire::bytes(b"x")]}),
    ]
}

on_both_carriers! {
    async fn every_kind_of_value_goes_through_a_tool_and_comes_back(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![mirror].and(echo())).await.unwrap();
        for value in each() {
            let arguments = json!({"value": value});
            // Here data is data: what looks like a tag is none.
            if !value.to_string().contains(wire::TAG) {
                let direct = session.tools().execute("echo", &arguments).await;
                assert_eq!(direct.unwrap(), value, "without Python");
            }
            for program in ["use", "use_in_thread"] {
                let answer = run(&session, program, json!({"name": "echo", "arguments": arguments})).await;
                assert_eq!(answer.unwrap(), value, "by {program}");
            }
        }
        let all = json!({"all": everything()});
        let mirrored: Everything = session.tools().execute_as("mirror", &all).await.unwrap();
        assert_eq!(mirrored, everything());
        let mirrored = run(&session, "use", json!({"name": "mirror", "arguments": all})).await.unwrap();
        assert_eq!(mirrored, json!(everything()));
    }

    async fn values_of_python_that_json_lacks_reach_the_tool_and_come_back_as_they_were(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(echo()).await.unwrap();
        for (kind, name) in [
            ("nan", "float"),
            ("inf", "float"),
            ("negative_inf", "float"),
            ("big", "int"),
            ("exact", "int"),
            ("bytes", "bytes"),
            ("none", "NoneType"),
            ("unicode", "dict"),
        ] {
            let seen = run(&session, "use_with", json!({"name": "echo", "kind": kind})).await.unwrap();
            assert_eq!((&seen[1], &seen[2]), (&json!(name), &json!(true)), "{kind}: {seen}");
        }
        for kind in ["opaque", "surrogate"] {
            let seen = run(&session, "use_with", json!({"name": "echo", "kind": kind})).await.unwrap();
            assert!(failure(&seen[0]).starts_with("the argument `value` of the tool `echo` holds "), "{seen}");
        }
    }

    async fn floats_that_json_lacks_are_values_of_a_rust_function(carrier: Carrier) {
        let dspex = builder(carrier).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![odd_floats, sum]).await.unwrap();
        let floats: Vec<f64> = session.tools().execute_as("odd_floats", json!({})).await.unwrap();
        assert!(floats[0].is_nan() && floats[3].is_sign_negative());
        let seen = run(&session, "use", json!({"name": "odd_floats", "arguments": {}})).await.unwrap();
        assert_eq!(seen[0], wire::float(f64::NAN));
        assert_eq!(seen[2], wire::float(f64::NEG_INFINITY));
        let given = json!({"numbers": [1, wire::float(f64::INFINITY)]});
        let seen = run(&session, "use", json!({"name": "sum", "arguments": given})).await.unwrap();
        assert_eq!(seen, wire::float(f64::INFINITY));
    }

    async fn an_agent_reads_lists_of_anything(carrier: Carrier) {
        let steps = ["counts", "odd_floats", "inners"].map(|tool| step(tool, json!({})));
        let script = ScriptedLm::new(steps.into_iter().chain(finish("read")));
        let dspex = builder(carrier).lm(Lm::host(script.clone())).start().await.unwrap();
        let session = dspex.session();
        let tools = tools![counts, odd_floats, inners];
        let agent = dspex.react("question -> answer").tools(tools).create(&session).await.unwrap();
        let out: Prediction<Value> = agent.execute(json!({"question": "?"})).await.unwrap();
        assert_eq!(observation(&out, 0), json!([3, 5]));
        let prompt = script.requests().last().unwrap().last_user_text();
        assert!(prompt.contains("[1] «3»\n[2] «5»"), "{prompt}");
        assert!(prompt.contains("[1] «{\"numbers\": [0.5], \"nothing\": null}»"), "{prompt}");
    }

    async fn five_megabytes_from_a_tool_reach_python_and_the_model(carrier: Carrier) {
        const SIZE: usize = 5_000_000;
        let script = ScriptedLm::new([step("letters", json!({"count": SIZE}))].into_iter().chain(finish("read")));
        let dspex = builder(carrier).lm(Lm::host(script.clone())).start().await.unwrap();
        let session = dspex.session();
        let _registered = session.tools().register(tools![letters]).await.unwrap();
        let text = run(&session, "use", json!({"name": "letters", "arguments": {"count": SIZE}})).await.unwrap();
        assert_eq!(text.as_str().unwrap().len(), SIZE);
        let agent = dspex.react("question -> answer").tools(&session).create(&session).await.unwrap();
        let out: Prediction<Value> = agent.execute(json!({"question": "?"})).await.unwrap();
        assert_eq!(observation(&out, 0).as_str().unwrap().len(), SIZE);
        assert!(script.requests()[1].prompt_text().len() > SIZE);
    }

    async fn an_answer_over_the_limit_of_a_message_is_told_to_the_model(carrier: Carrier) {
        const LIMIT: usize = 1 << 20;
        let steps = [step("letters", json!({"count": 2 * LIMIT})), step("letters", json!({"count": 3}))];
        let script = ScriptedLm::new(steps.into_iter().chain(finish("read")));
        let dspex =
            builder(carrier).max_message_bytes(LIMIT as u64).lm(Lm::host(script)).start().await.unwrap();
        let pids = worker_pids(&dspex);
        let session = dspex.session();
        let agent = dspex.react("question -> answer").tools(tools![letters]).create(&session).await.unwrap();
        let out: Prediction<Value> = agent.execute(json!({"question": "?"})).await.unwrap();
        let told = observation(&out, 0);
        assert!(failure(&told).contains("1048576"), "{told}");
        assert_eq!(observation(&out, 1), "xxx");
        assert_eq!(worker_pids(&dspex), pids);
        assert_serves(&dspex).await;
    }

    async fn arguments_over_the_limit_of_a_message_are_told_to_the_program(carrier: Carrier) {
        let dspex = builder(carrier).max_message_bytes(1 << 20).start().await.unwrap();
        let pids = worker_pids(&dspex);
        let session = dspex.session();
        let _registered = session.tools().register(echo()).await.unwrap();
        let told = run(&session, "use_many_letters", json!({"name": "echo", "count": 2 << 20})).await.unwrap();
        assert!(failure(&told).contains("1048576"), "{told}");
        assert_eq!(worker_pids(&dspex), pids);
        assert_serves(&dspex).await;
    }
}

/// Adds numbers.
#[dspex_tool]
fn sum(numbers: Vec<f64>) -> f64 {
    numbers.iter().sum()
}
