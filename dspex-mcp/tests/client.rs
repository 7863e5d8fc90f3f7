//! Tools of servers as tools of dspex: of dspex's own server, and of one that is written with the SDK.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dspex_mcp::{McpError, McpTools, ToolServer};
use dspex_runtime::tool::{IntoToolSet, ToolErrorKind, ToolParameter, ToolSet};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RunningService};
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use support::{Client, Seen, connect, eventually, tools};

async fn round_trip(seen: &Seen) -> McpTools {
    McpTools::of_client(connect(ToolServer::new(tools(seen))).await).await.unwrap()
}

#[tokio::test]
async fn tools_come_back_as_they_were_served() {
    let seen = Seen::default();
    let (ours, theirs) = (tools(&seen), round_trip(&seen).await);
    assert!(theirs.left_out().is_empty());
    assert_eq!(theirs.tools().len(), ours.len());
    for (ours, theirs) in ours.specs().zip(theirs.tools().specs()) {
        assert_eq!((ours.name(), ours.description()), (theirs.name(), theirs.description()));
        assert_eq!(ours.arguments_schema(), theirs.arguments_schema());
        assert_eq!(ours.is_read_only(), theirs.is_read_only());
    }
    assert_eq!(theirs.tools().specs().next().unwrap().returns(), ours.specs().next().unwrap().returns());
}

#[tokio::test]
async fn answers_and_failures_come_back_as_they_were_given() {
    let theirs = round_trip(&Seen::default()).await;
    let run = async |tool: &str, arguments: Value| theirs.tools().execute(tool, arguments).await;
    assert_eq!(run("plan_of", json!({"email": "a"})).await.unwrap(), json!({"email": "a", "invoices": 3}));
    // What is no object comes as a text.
    assert_eq!(run("add", json!({"a": 1, "b": 2})).await.unwrap(), json!("3"));
    assert_eq!(run("nothing", Value::Null).await.unwrap(), Value::Null);
    let busy = run("busy", json!({})).await.unwrap_err();
    assert_eq!((busy.message(), busy.is_retryable()), ("the CRM is busy", true));
    let exploded = run("explode", json!({})).await.unwrap_err();
    assert_eq!((exploded.message(), exploded.is_retryable()), ("the tool failed unexpectedly", false));
    // Before anything is sent.
    let refused = run("plan_of", json!({})).await.unwrap_err();
    assert_eq!(refused.kind(), ToolErrorKind::InvalidArguments);
}

#[tokio::test]
async fn a_run_that_is_dropped_is_cancelled_at_the_server() {
    let seen = Seen::default();
    let theirs = round_trip(&seen).await;
    let running = tokio::spawn({
        let tools = theirs.tools().clone();
        async move { tools.execute("wait", json!({})).await }
    });
    eventually("the tool runs", || seen.waiting.load(Ordering::SeqCst) == 1).await;
    running.abort();
    eventually("the tool is gone", || seen.cancelled.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn a_time_limit_of_ones_own_ends_a_run_and_cancels_it_at_the_server() {
    let seen = Seen::default();
    let theirs = round_trip(&seen).await.timeout(Duration::from_millis(50));
    let late = theirs.tools().execute("wait", json!({})).await.unwrap_err();
    assert_eq!((late.kind(), late.is_retryable()), (ToolErrorKind::TimedOut, true));
    eventually("the tool is gone", || seen.cancelled.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn prefixes_tell_the_tools_of_servers_apart() {
    let first = round_trip(&Seen::default()).await;
    let second = round_trip(&Seen::default()).await;
    assert!(first.tools().clone().and(&second).is_err());
    let second = second.prefixed("crm_");
    let both = first.tools().clone().and(&second).unwrap();
    assert_eq!(both.len(), 18);
    assert_eq!(both.execute("crm_add", json!({"a": 2, "b": 2})).await.unwrap(), json!("4"));
}

#[tokio::test]
async fn over_http_it_is_the_same() {
    let seen = Seen::default();
    let server = ToolServer::new(tools(&seen)).serve_http("127.0.0.1:0").await.unwrap();
    let theirs = McpTools::connect_http(&server.url()).await.unwrap();
    assert_eq!(theirs.tools().len(), 9);
    assert_eq!(theirs.tools().execute("add", json!({"a": 20, "b": 22})).await.unwrap(), json!("42"));
    let all = (0..50).map(|at| theirs.tools().execute("add", json!({"a": at, "b": 1})));
    let sums: Vec<Value> = futures::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(sums[49], json!("50"));
    server.shutdown().await;
    let lost = theirs.tools().execute("add", json!({"a": 1, "b": 1})).await.unwrap_err();
    assert!(lost.is_retryable(), "{lost:?}");
    assert_eq!(lost.message(), "the connection to the server `dspex` of the tool `add` is lost");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_an_error_that_names_it() {
    let missing =
        McpTools::connect_stdio(tokio::process::Command::new("no-such-server-of-tools")).await.unwrap_err();
    assert!(missing.to_string().starts_with("the server `no-such-server-of-tools` could not be started"));
    let silent = McpTools::connect_stdio(tokio::process::Command::new("true")).await.unwrap_err();
    assert!(matches!(silent, McpError::Handshake { .. }), "{silent}");
    let address = McpTools::connect_http("file:///etc/passwd").await.unwrap_err();
    assert!(matches!(address, McpError::Client { .. }), "{address}");
    let closed = McpTools::connect_http("http://127.0.0.1:9/mcp").await.unwrap_err();
    assert!(matches!(closed, McpError::Handshake { .. }), "{closed}");
}

/// A server as others write them, with schemas and names that models do not take.
#[derive(Clone, Default)]
struct Foreign {
    grown: Arc<AtomicBool>,
}

fn foreign(name: &'static str, schema: Value) -> Tool {
    Tool::new(name, "", schema.as_object().unwrap().clone())
}

impl ServerHandler for Foreign {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let second = page.is_some_and(|page| page.cursor.is_some());
        let mut tools = match second {
            false => vec![
                foreign(
                    "files/read",
                    json!({
                        "$schema": "http://json-schema.org/draft-07/schema#",
                        "type": "object",
                        "properties": {"path": {"$ref": "#/definitions/Path"}, "lines": {"type": ["integer", "null"]}},
                        "required": ["path"],
                        "definitions": {"Path": {"type": "string", "minLength": 1}},
                    }),
                ),
                foreign("files.read", json!({"type": "object"})),
            ],
            true => vec![
                foreign(
                    "tree",
                    json!({
                        "type": "object",
                        "properties": {"node": {"$ref": "#/$defs/Node"}},
                        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
                    }),
                ),
                foreign("mixed", json!({"type": "object", "properties": {}})),
            ],
        };
        if second && self.grown.load(Ordering::SeqCst) {
            tools.push(foreign("late", json!({"type": "object"})));
        }
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = (!second).then(|| "2".to_owned());
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(match request.name.as_ref() {
            "files/read" => CallToolResult::structured(json!({"given": request.arguments, "$dspex": 1})),
            "mixed" => {
                self.grown.store(true, Ordering::SeqCst);
                context.peer.notify_tool_list_changed().await.unwrap();
                CallToolResult::success(vec![
                    ContentBlock::text("two blocks"),
                    ContentBlock::image("AAAA", "image/png"),
                ])
            }
            _ => return Err(ErrorData::internal_error("the disk is full", None)),
        }
        .into())
    }
}

/// Our client, as `connect_http` and `connect_stdio` make it, of a server over HTTP.
async fn of_foreign() -> (McpTools, tokio::task::JoinHandle<()>) {
    use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
    use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
    let server = Foreign::default();
    let service: StreamableHttpService<Foreign, LocalSessionManager> = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(service.clone());
            let stream = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
        }
    });
    (McpTools::connect_http(&url).await.unwrap(), serving)
}

#[tokio::test]
async fn schemas_and_names_of_other_servers_become_those_that_models_take() {
    let (theirs, serving) = of_foreign().await;
    let specs: Vec<_> = theirs.tools().specs().collect();
    assert_eq!(specs.iter().map(|spec| spec.name()).collect::<Vec<_>>(), ["files_read", "mixed"]);
    assert!(
        specs[0].description().starts_with("The tool `files/read` of the server"),
        "{}",
        specs[0].description()
    );
    let shown: Vec<Value> = specs[0].parameters().iter().map(ToolParameter::to_schema).collect();
    assert_eq!(
        shown,
        [
            json!({"type": "string", "minLength": 1}),
            json!({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": null}),
        ]
    );
    let left_out: Vec<(&str, &str)> =
        theirs.left_out().iter().map(|left| (left.tool.as_str(), left.problem.as_str())).collect();
    assert_eq!(left_out[0], ("files.read", "another tool of the server is called `files_read`, too"));
    assert_eq!(left_out[1].0, "tree");
    assert!(left_out[1].1.starts_with("at `node.next`, the type `Node` is recursive"), "{}", left_out[1].1);
    serving.abort();
}

#[tokio::test]
async fn answers_of_other_servers_are_values() {
    let (theirs, serving) = of_foreign().await;
    let read = theirs.tools().execute("files_read", json!({"path": "a", "lines": null})).await.unwrap();
    assert_eq!(read, json!({"given": {"path": "a"}, "$dspex": 1}));
    let mixed = theirs.tools().execute("mixed", json!({})).await.unwrap();
    assert_eq!(mixed, json!(["two blocks", "[image of the type image/png, 3 bytes, not shown]"]));
    serving.abort();
}

#[tokio::test]
async fn a_changed_list_is_told_and_listed_anew_on_request() {
    let (theirs, serving) = of_foreign().await;
    assert!(!theirs.has_changed());
    theirs.tools().execute("mixed", json!({})).await.unwrap();
    eventually("the change is told", || theirs.has_changed()).await;
    assert_eq!(theirs.tools().len(), 2, "the tools of a running agent stay what they are");
    let anew = theirs.prefixed("fs_").refresh().await.unwrap();
    assert!(!anew.has_changed());
    assert_eq!(
        anew.tools().specs().map(|spec| spec.name().to_owned()).collect::<Vec<_>>(),
        ["fs_files_read", "fs_mixed", "fs_late"]
    );
    let failed = anew.tools().execute("fs_late", json!({})).await.unwrap_err();
    assert_eq!((failed.message(), failed.is_retryable()), ("the disk is full", false));
    serving.abort();
}

#[tokio::test]
async fn the_connection_lasts_as_long_as_any_of_its_tools() {
    let seen = Seen::default();
    let server = connect(ToolServer::new(tools(&seen))).await;
    let set: ToolSet = McpTools::of_client(server).await.unwrap().into_tool_set().unwrap();
    assert_eq!(set.execute("add", json!({"a": 1, "b": 1})).await.unwrap(), json!("2"));
}

#[tokio::test]
async fn a_lost_connection_may_be_tried_again() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (input, output) = tokio::io::split(ours);
    let serving = tokio::spawn(ToolServer::new(tools(&Seen::default())).serve(input, output));
    let client: RunningService<_, Client> = Client::default().serve(theirs).await.unwrap();
    let theirs = McpTools::of_client(client).await.unwrap();
    serving.abort();
    eventually("the server is gone", || serving.is_finished()).await;
    let mut lost = theirs.tools().execute("add", json!({"a": 1, "b": 1})).await;
    for _ in 0..100 {
        if lost.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        lost = theirs.tools().execute("add", json!({"a": 1, "b": 1})).await;
    }
    assert!(lost.unwrap_err().is_retryable());
}
