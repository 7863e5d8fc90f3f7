//! Tools over the Model Context Protocol, with sessions, agents of DSPy, and the example as other programs start it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::PathBuf;

use common::{builder, program};
use dspex::mcp::{McpError, McpTools, ToolServer};
use dspex::prelude::*;
use dspex::testing::ScriptedLm;
use dspex::tool::ToolErrorKind;
use dspex::{Carrier, tools};
use serde_json::{Value, json};
use tokio::process::Command;

/// Says it loudly.
#[dspex_tool]
fn shout(#[ctx] session: Session, text: String) -> String {
    format!("{} in {}", text.to_uppercase(), session.id())
}

/// Charges a price per seat.
#[dspex_tool]
fn charge(#[ctx] price: State<u32>, seats: u32) -> u32 {
    *price * seats
}

/// The example's program, which lies beside the tests; cargo builds it with them, unless only some are asked for.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/mcp_server");
    assert!(program.is_file(), "build it first: cargo build --features mcp --example mcp_server");
    program
}

fn names(tools: &McpTools) -> Vec<&str> {
    tools.tools().specs().map(|spec| spec.name()).collect()
}

#[tokio::test]
async fn a_program_that_serves_tools_over_its_standard_streams_is_a_set_of_tools() {
    let rivers = McpTools::connect_stdio(Command::new(example())).await.unwrap();
    assert_eq!(names(&rivers), ["river", "longest"]);
    let specs: Vec<_> = rivers.tools().specs().collect();
    assert!(specs.iter().all(|spec| spec.is_read_only()));
    assert_eq!(specs[0].parameters()[0].described(), Some("Its English name, such as \"Nile\"."));
    let run = async |tool: &str, arguments| rivers.tools().execute(tool, arguments).await;
    assert_eq!(
        run("river", json!({"name": "volga"})).await.unwrap(),
        json!({"name": "Volga", "length_km": 3530, "mouth": "Caspian Sea"})
    );
    assert_eq!(run("longest", json!({"count": null})).await.unwrap(), json!("Nile\nAmazon\nYangtze\n"));
    let unknown = run("river", json!({"name": "Styx"})).await.unwrap_err();
    assert_eq!(
        unknown.message(),
        "the atlas has no river \"Styx\"; it has Nile, Amazon, Yangtze, Mississippi, Volga, Murray"
    );
    let many = run("longest", json!({"count": 7})).await.unwrap_err();
    assert_eq!(many.kind(), ToolErrorKind::InvalidArguments);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_dspy_calls_the_tools_of_another_program() {
    let step = |tool: &str, args: Value| json!({"next_thought": "So.", "next_tool_name": tool, "next_tool_args": args});
    let script = ScriptedLm::new([
        step("geo_longest", json!({"count": 1})),
        step("geo_river", json!({"name": "Nile"})),
        step("geo_river", json!({"river": "Nile"})),
        step("finish", json!({})),
        json!({"reasoning": "Seen.", "answer": "6650 km"}),
    ]);
    let dspex = builder(Carrier::Framed).lm(Lm::host(script.clone())).start().await.unwrap();
    let rivers = McpTools::connect_stdio(Command::new(example())).await.unwrap().prefixed("geo_");
    let session = dspex.session();
    let agent = dspex.react("question -> answer").tools(&rivers).create(&session).await.unwrap();
    let out: Prediction<Value> =
        agent.execute(json!({"question": "How long is the longest river?"})).await.unwrap();
    assert_eq!(out["answer"], "6650 km");
    let seen = &out["trajectory"];
    assert_eq!(seen["observation_0"], "Nile\n");
    assert_eq!(
        seen["observation_1"],
        json!({"name": "Nile", "length_km": 6650, "mouth": "Mediterranean Sea"})
    );
    let refused = seen["observation_2"]["error"].as_str().unwrap();
    assert!(refused.contains("`name` is missing: expected string"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tools_of_a_session_in_both_languages_are_served_as_they_come_and_go() {
    let dspex = builder(Carrier::Framed).start().await.unwrap();
    let session = dspex.sessions().create("served", SessionConfig::new()).await.unwrap();
    let of_rust = session.tools().register(tools![shout]).await.unwrap();
    session.tools().register_python(&program("describe_word")).await.unwrap().keep();
    let server = ToolServer::of_session(&session).serve_http("127.0.0.1:0").await.unwrap();
    let theirs = McpTools::connect_http(&server.url()).await.unwrap();
    assert_eq!(names(&theirs), ["shout", "describe_word"]);
    let run = async |tool: &str, arguments| theirs.tools().execute(tool, arguments).await;
    assert_eq!(run("shout", json!({"text": "hello"})).await.unwrap(), json!("HELLO in served"));
    assert_eq!(
        run("describe_word", json!({"word": "tea"})).await.unwrap(),
        json!({"word": "tea", "letters": 3})
    );
    // What a Python tool raises is told without the place, which is nothing to others.
    session.tools().register_python(&program("refuse_word")).await.unwrap().keep();
    let theirs = theirs.refresh().await.unwrap();
    let raised = theirs.tools().execute("refuse_word", json!({"word": "tea"})).await.unwrap_err();
    assert_eq!(raised.message(), "ValueError: no tea");
    drop(of_rust);
    assert_eq!(names(&theirs.refresh().await.unwrap()), ["describe_word", "refuse_word"]);
    let gone = theirs.tools().execute("shout", json!({"text": "hello"})).await.unwrap_err();
    assert_eq!(gone.message(), "there is no tool `shout`; there are describe_word, refuse_word");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_items_of_a_generator_of_python_are_together_its_answer() {
    const TOOLS: &str = "dspex_tool_programs";
    let dspex = builder(Carrier::Framed).allow_module(TOOLS).start().await.unwrap();
    let session = dspex.session();
    session.tools().register_python(&format!("{TOOLS}.count_down")).await.unwrap().keep();
    let server = ToolServer::of_session(&session).serve_http("127.0.0.1:0").await.unwrap();
    let theirs = McpTools::connect_http(&server.url()).await.unwrap();
    let counted = theirs.tools().execute("count_down", json!({"start": 3})).await.unwrap();
    assert_eq!(counted, json!("[3,2,1]"));
    assert_eq!(theirs.tools().execute("count_down", json!({"start": 0})).await.unwrap(), json!("[]"));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_tools_that_lack_what_they_need_does_not_start() {
    let refusal = async |tools| {
        let error = ToolServer::new(tools).serve_http("127.0.0.1:0").await.map(drop).unwrap_err();
        assert!(matches!(error, McpError::Tools(_)), "{error:?}");
        format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string))
    };
    let error = refusal(tools![shout]).await;
    assert!(error.contains("`shout` takes a `Session`"), "{error}");
    let error = refusal(tools![charge]).await;
    assert!(
        error.contains("`charge` takes `State<u32>`") && error.contains("tools![..].state(..)"),
        "{error}"
    );
    let streams = ToolServer::new(tools![charge]).serve(tokio::io::empty(), tokio::io::sink()).await;
    assert!(matches!(streams, Err(McpError::Tools(_))), "{streams:?}");
    // A session's tools are held against it when they are registered.
    let dspex = builder(Carrier::Framed).start().await.unwrap();
    let error = dspex.session().tools().register(tools![charge]).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("`charge` takes `State<u32>`"), "{error}");
    let server = ToolServer::new(tools![charge].state(7_u32)).serve_http("127.0.0.1:0").await.unwrap();
    let theirs = McpTools::connect_http(&server.url()).await.unwrap();
    assert_eq!(theirs.tools().execute("charge", json!({"seats": 6})).await.unwrap(), json!("42"));
    server.shutdown().await;
}
