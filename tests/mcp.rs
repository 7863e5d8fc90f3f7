//! The example of a server of tools, as the programs see it that start it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use dspex::mcp::McpTools;
use dspex::tool::ToolErrorKind;
use serde_json::json;
use tokio::process::Command;

/// The example's program, which lies beside the tests; cargo builds it with them, unless only some are asked for.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/mcp_server");
    assert!(program.is_file(), "build it first: cargo build --features mcp --example mcp_server");
    program
}

#[tokio::test]
async fn a_program_that_serves_tools_over_its_standard_streams_is_a_set_of_tools() {
    let rivers = McpTools::connect_stdio(Command::new(example())).await.unwrap();
    let specs: Vec<_> = rivers.tools().specs().collect();
    assert_eq!(specs.iter().map(|spec| spec.name()).collect::<Vec<_>>(), ["river", "longest"]);
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
