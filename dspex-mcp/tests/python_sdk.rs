//! The SDK for Python: DSPy's own bridge to a server of ours, and a server in Python whose tools are ours.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::path::{Path, PathBuf};

use dspex_mcp::{McpTools, ToolServer};
use dspex_runtime::pool::env::{EnvConfig, Environment};
use dspex_runtime::tool::{ToolErrorKind, ToolParameter};
use serde_json::{Value, json};
use support::{Seen, tools};
use tokio::process::Command;

/// The interpreter of the development tools, which has DSPy and the SDK.
async fn python() -> PathBuf {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/requirements-dev.lock");
    let provision = move || {
        let text = std::fs::read_to_string(lock).unwrap();
        Environment::provision(&EnvConfig::new().lock(text).var("DSPEX_PYTHON", "")).unwrap().python
    };
    tokio::task::spawn_blocking(provision).await.unwrap()
}

/// A program below `tests/python`.
async fn program(name: &str) -> Command {
    let mut command = Command::new(python().await);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)).kill_on_drop(true);
    command
}

#[tokio::test]
async fn dspys_own_bridge_takes_the_tools_of_our_server() {
    let server = ToolServer::new(tools(&Seen::default())).serve_http("127.0.0.1:0").await.unwrap();
    let output = program("dspy_of_server.py")
        .await
        .arg(server.url())
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["names"].as_array().unwrap().len(), 9);
    assert_eq!(told["required"]["plan_of"], json!(["email"]));
    assert_eq!(told["required"]["add"], json!(["a", "b"]));
    assert!(told["shown"].as_str().unwrap().contains("'invoices': {'type': 'integer'"), "{told}");
    assert_eq!(told["plan"], json!({"email": "sara@acme.io", "invoices": 3}));
    assert_eq!(told["sum"], json!("3"));
    // DSPy holds arguments against their schemas, too, as far as it does; what it lets through we refuse.
    assert!(
        told["refused"]["raised"].as_str().unwrap().contains("51 is greater than the maximum of 50"),
        "{told}"
    );
    let unfit = told["unfit"]["raised"].as_str().unwrap();
    assert!(unfit.contains("`email` is missing: expected string"), "{unfit}");
    assert_eq!(told["busy"]["raised"], json!("Failed to call a MCP tool: the CRM is busy"));
    assert_eq!(told["counted"], json!("1 2 3 "));
    assert_eq!(told["progress"], json!([[1.0, "1 "], [2.0, "2 "], [3.0, "3 "]]));
    server.shutdown().await;
}

#[tokio::test]
async fn tools_of_a_server_in_python_are_tools_of_dspex() {
    let theirs = McpTools::connect_stdio(program("server.py").await).await.unwrap().prefixed("stock_");
    assert!(theirs.left_out().is_empty(), "{:?}", theirs.left_out());
    let specs: Vec<_> = theirs.tools().specs().collect();
    assert_eq!(
        specs.iter().map(|spec| spec.name()).collect::<Vec<_>>(),
        ["stock_put", "stock_total", "stock_fail", "stock_die"]
    );
    assert_eq!(specs[0].description(), "Puts something on a shelf.");
    let shown: Vec<Value> = specs[0].parameters().iter().map(ToolParameter::to_schema).collect();
    assert_eq!(
        shown,
        [
            json!({
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "count": {"type": "integer", "minimum": 0},
                    "tags": {"type": "array", "items": {"type": "string"}, "default": []},
                },
                "required": ["name", "count"],
                "description": "Something in stock.",
            }),
            json!({"type": "string", "enum": ["low", "high"], "default": "low"}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}),
        ]
    );
    let run = async |tool: &str, arguments: Value| theirs.tools().execute(tool, arguments).await;
    let put = run("stock_put", json!({"item": {"name": "tea", "count": 2.0}, "note": null})).await.unwrap();
    assert_eq!(put, json!({"name": "tea on the low shelf", "count": 2, "tags": ["None"]}));
    assert_eq!(
        run("stock_total", json!({"counts": {"a": 1.5, "b": 2}})).await.unwrap(),
        json!({"result": 3.5})
    );
    let unfit = run("stock_put", json!({"item": {"name": "tea", "count": -1}})).await.unwrap_err();
    assert_eq!(unfit.kind(), ToolErrorKind::InvalidArguments);
    assert!(unfit.message().contains("`item.count`: expected integer of at least 0, got -1"), "{unfit}");
    let failed = run("stock_fail", json!({})).await.unwrap_err();
    assert!(failed.message().contains("the shelf broke") && !failed.is_retryable(), "{failed}");
}

#[tokio::test]
async fn a_server_that_dies_is_a_lost_connection() {
    let theirs = McpTools::connect_stdio(program("server.py").await).await.unwrap();
    for _ in 0..2 {
        let lost = theirs.tools().execute("die", json!({})).await.unwrap_err();
        assert_eq!(lost.message(), "the connection to the server `inventory` of the tool `die` is lost");
        assert!(lost.is_retryable());
    }
}
