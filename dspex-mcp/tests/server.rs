//! Tools of dspex as the SDK's own client sees them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use dspex_mcp::{McpError, ToolServer};
use rmcp::ServiceError;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ErrorCode};
use rmcp::service::PeerRequestOptions;
use serde_json::json;
use support::{Running, Seen, call, connect, connect_http, eventually, text, tools};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn client() -> (Running, Seen) {
    let seen = Seen::default();
    (connect(ToolServer::new(tools(&seen)).named("crm", "1.2.3").instructions("Ask for plans.")).await, seen)
}

#[tokio::test]
async fn a_client_is_told_of_the_server_and_of_its_tools() {
    let (client, _) = client().await;
    let info = client.peer_info().unwrap();
    let server = info.server_info.as_ref().unwrap();
    assert_eq!((server.name.as_str(), server.version.as_str()), ("crm", "1.2.3"));
    assert_eq!(info.instructions.as_deref(), Some("Ask for plans."));
    let listed = client.list_all_tools().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(
        names,
        ["plan_of", "add", "nothing", "not_a_number", "busy", "explode", "hang", "count", "wait"]
    );
    let plan = &listed[0];
    assert_eq!(plan.description.as_deref(), Some("Plan of a customer, by e-mail."));
    assert_eq!(
        plan.schema_as_json_value(),
        json!({
            "type": "object",
            "properties": {
                "email": {"type": "string", "description": "Her address."},
                "invoices": {"type": "integer", "minimum": 0, "maximum": 50, "default": 3},
            },
            "required": ["email"],
            "additionalProperties": false,
        })
    );
    assert_eq!(plan.output_schema.as_ref().unwrap()["required"], json!(["email", "invoices"]));
    assert_eq!(plan.annotations.as_ref().unwrap().read_only_hint, Some(true));
    assert_eq!(listed[1].annotations.as_ref().unwrap().read_only_hint, Some(false));
}

#[tokio::test]
async fn an_object_is_structured_and_every_answer_is_a_text() {
    let (client, _) = client().await;
    let plan = call(&client, "plan_of", json!({"email": "sara@acme.io", "invoices": null})).await.unwrap();
    assert_eq!(plan.is_error, Some(false));
    assert_eq!(plan.structured_content, Some(json!({"email": "sara@acme.io", "invoices": 3})));
    assert_eq!(text(&plan), r#"{"email":"sara@acme.io","invoices":3}"#);
    let sum = call(&client, "add", json!({"a": 1, "b": 2})).await.unwrap();
    assert_eq!((text(&sum), &sum.structured_content), ("3", &None));
    assert!(call(&client, "nothing", json!(null)).await.unwrap().content.is_empty());
    assert_eq!(text(&call(&client, "not_a_number", json!({})).await.unwrap()), "NaN");
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_an_answer_for_the_model() {
    let (client, _) = client().await;
    let refused = call(&client, "plan_of", json!({"mail": "x", "invoices": "7"})).await.unwrap();
    assert_eq!(refused.is_error, Some(true));
    assert_eq!(
        text(&refused),
        "The arguments of `plan_of` do not fit:\n\
         - `email` is missing: expected string\n\
         - `invoices`: expected integer from 0 to 50, got \"7\"\n\
         - `mail` is not known; did you mean `email`?\n\
         It takes `email` (string), `invoices` (integer from 0 to 50, optional)."
    );
    // To a tool, an object that looks like one of dspex's tags is an object.
    let tag = call(&client, "plan_of", json!({"email": {"$dspex": ["str", "YQ=="]}})).await.unwrap();
    assert!(text(&tag).contains("expected string, got an object with `$dspex`"), "{}", text(&tag));
}

#[tokio::test]
async fn failures_panics_and_time_limits_are_answers_that_tell_nothing_of_the_host() {
    let (client, _) = client().await;
    let busy = call(&client, "busy", json!({})).await.unwrap();
    assert_eq!((busy.is_error, text(&busy)), (Some(true), "the CRM is busy"));
    assert_eq!(busy.meta.as_ref().unwrap().0["dspex/retryable"], json!(true));
    let panicked = call(&client, "explode", json!({})).await.unwrap();
    assert_eq!((panicked.is_error, text(&panicked)), (Some(true), "the tool failed unexpectedly"));
    let late = call(&client, "hang", json!({})).await.unwrap();
    assert_eq!((late.is_error, text(&late)), (Some(true), "the tool did not end within 50ms"));
}

#[tokio::test]
async fn a_tool_that_there_is_not_is_an_error_of_the_protocol() {
    let (client, _) = client().await;
    let Err(ServiceError::McpError(error)) = call(&client, "plans", json!({})).await else {
        panic!("it was called")
    };
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    assert!(
        error.message.starts_with("there is no tool `plans`; there are plan_of, add"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn the_items_of_a_stream_are_progress_and_together_the_answer() {
    let (client, _) = client().await;
    let counted = call(&client, "count", json!({"to": 3})).await.unwrap();
    assert_eq!(text(&counted), "1 2 3 ");
    let progress = client.service().progress.clone();
    eventually("all progress", || progress.lock().unwrap().len() == 3).await;
    let told: Vec<_> =
        progress.lock().unwrap().iter().map(|item| (item.progress, item.message.clone())).collect();
    assert_eq!(told, [(1.0, Some("1 ".into())), (2.0, Some("2 ".into())), (3.0, Some("3 ".into()))]);
}

#[tokio::test]
async fn a_request_that_is_cancelled_drops_the_tool_and_cancels_what_it_started() {
    let (client, seen) = client().await;
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("wait")));
    let handle = client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap();
    eventually("the tool runs", || seen.waiting.load(Ordering::SeqCst) == 1).await;
    handle.cancel(Some("enough".to_owned())).await.unwrap();
    eventually("the future is dropped and the token cancelled", || {
        seen.cancelled.load(Ordering::SeqCst) == 2
    })
    .await;
    assert_eq!(text(&call(&client, "add", json!({"a": 1, "b": 1})).await.unwrap()), "2");
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_requests_with_it() {
    let (client, seen) = client().await;
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("wait")));
    client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap();
    eventually("the tool runs", || seen.waiting.load(Ordering::SeqCst) == 1).await;
    client.cancel().await.unwrap();
    eventually("the tool is gone", || seen.cancelled.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn over_http_it_is_the_same() {
    let seen = Seen::default();
    let server = ToolServer::new(tools(&seen)).serve_http("127.0.0.1:0").await.unwrap();
    assert!(server.addr().port() > 0);
    let client = connect_http(server.url()).await;
    assert_eq!(client.list_all_tools().await.unwrap().len(), 9);
    assert_eq!(text(&call(&client, "add", json!({"a": 20, "b": 22})).await.unwrap()), "42");
    assert_eq!(text(&call(&client, "count", json!({"to": 2})).await.unwrap()), "1 2 ");
    let progress = client.service().progress.clone();
    eventually("all progress", || progress.lock().unwrap().len() == 2).await;
    client.cancel().await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn a_server_over_http_ends_with_its_guard_and_takes_running_tools_with_it() {
    let seen = Seen::default();
    let server = ToolServer::new(tools(&seen)).serve_http("127.0.0.1:0").await.unwrap();
    let address = server.addr();
    let client = connect_http(server.url()).await;
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("wait")));
    let _running = client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap();
    eventually("the tool runs", || seen.waiting.load(Ordering::SeqCst) == 1).await;
    tokio::time::timeout(Duration::from_secs(8), server.shutdown()).await.unwrap();
    eventually("the tool is gone", || seen.cancelled.load(Ordering::SeqCst) == 2).await;
    assert!(TcpStream::connect(address).await.is_err());
}

/// The status of a request with these headers.
async fn status(server: &dspex_mcp::HttpServer, path: &str, headers: &str) -> u16 {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\n{headers}Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn pages_of_the_web_reach_no_tools() {
    let server = ToolServer::new(tools(&Seen::default())).serve_http("127.0.0.1:0").await.unwrap();
    let local = "Host: 127.0.0.1\r\n";
    assert_eq!(status(&server, "/", local).await, 404);
    assert_eq!(status(&server, "/mcp", "Host: evil.example\r\n").await, 403);
    assert_eq!(status(&server, "/mcp", &format!("{local}Origin: https://evil.example\r\n")).await, 403);
    assert_ne!(status(&server, "/mcp", local).await, 403);
    let app = ToolServer::new(tools(&Seen::default())).allowed_origins(["https://app.example:443"]);
    let app = app.serve_http("127.0.0.1:0").await.unwrap();
    assert_ne!(status(&app, "/mcp", &format!("{local}Origin: https://app.example\r\n")).await, 403);
}

#[tokio::test]
async fn an_address_for_everybody_needs_the_names_of_its_hosts() {
    let tools = ToolServer::new(tools(&Seen::default()));
    let error = tools.clone().serve_http("0.0.0.0:0").await.unwrap_err();
    assert!(matches!(error, McpError::Open(_)), "{error}");
    let server = tools.allowed_hosts(["tools.example"]).serve_http("0.0.0.0:0").await.unwrap();
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], server.addr().port()));
    assert!(TcpStream::connect(local).await.is_ok());
    let taken = ToolServer::new(support::tools(&Seen::default())).serve_http(local).await.unwrap_err();
    assert!(matches!(taken, McpError::Bind { .. }), "{taken}");
}
