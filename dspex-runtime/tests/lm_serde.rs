//! Requests and responses have the JSON of DSPy's own serialiser: `golden/lm15.json` was written by it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use dspex_runtime::lm::{FinishReason, LmRequest, LmResponse, Message, Part, Role, ToolSpec};
use serde_json::{Value, json};

fn golden(kind: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/lm15.json")).unwrap();
    golden[kind].as_array().unwrap().clone()
}

#[test]
fn every_request_of_dspy_survives_the_round_trip() {
    for document in golden("requests") {
        let request = LmRequest::decode(document.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), document);
    }
}

#[test]
fn every_response_of_dspy_survives_the_round_trip() {
    for document in golden("responses") {
        let response: LmResponse = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(&response).unwrap(), document);
        let encoded = response.encode("ignored").unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&encoded).unwrap(), document);
    }
}

#[test]
fn no_known_kind_of_part_is_kept_as_raw_json() {
    for document in golden("requests") {
        let request: LmRequest = serde_json::from_value(document).unwrap();
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        assert!(parts.clone().all(|part| !matches!(part, Part::Other(_))));
    }
}

#[test]
fn an_unknown_kind_of_part_and_unknown_settings_are_kept() {
    let document = json!({
        "model": "rust/model",
        "messages": [{"role": "user", "parts": [{"type": "hologram", "data": {"deep": [1, null]}}]}],
        "config": {"temperature": 0.5, "verbosity": "low"}
    });
    let request: LmRequest = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(request.messages[0].parts[0].kind(), "hologram");
    assert_eq!(request.config.extra["verbosity"], "low");
    assert_eq!(serde_json::to_value(&request).unwrap(), document);
}

#[test]
fn a_broken_part_is_an_error_that_names_its_kind_and_place() {
    let document =
        r#"{"model": "m", "messages": [{"role": "user", "parts": [{"type": "tool_call", "id": 7}]}]}"#;
    let error = LmRequest::decode(document.as_bytes()).unwrap_err();
    assert_eq!(error.path(), "messages[0].parts[0]");
    assert!(error.to_string().contains("tool_call"), "{error}");
}

#[test]
fn what_the_serialiser_reads_leniently_is_read_leniently() {
    let document = json!({
        "model": "m",
        "messages": [
            {"role": "user", "parts": ["bare text"]},
            {"role": "tool", "parts": [{"type": "tool_result", "id": "c", "content": "bare result"}]}
        ],
        "tools": [{"type": "function", "name": "now"}],
        "config": {"stop": "END", "tool_choice": {"allowed": "now"}}
    });
    let request: LmRequest = serde_json::from_value(document).unwrap();
    assert_eq!(request.messages[0].text(), "bare text");
    let Part::ToolResult(result) = &request.messages[1].parts[0] else { panic!("{request:?}") };
    assert_eq!(result.content, [Part::text("bare result")]);
    assert!(matches!(&request.tools[0], ToolSpec::Function(tool) if tool.parameters["type"] == "object"));
    assert_eq!(request.config.stop, ["END"]);
    assert_eq!(request.config.tool_choice.unwrap().allowed, ["now"]);
}

#[test]
fn the_newest_user_text_and_the_whole_prompt_can_be_read() {
    let golden: LmRequest = serde_json::from_value(golden("requests")[2].clone()).unwrap();
    assert_eq!(golden.last_user_text(), "Thanks");
    let prompt = golden.prompt_text();
    for text in [
        "[system]\nLook:",
        "[developer]\nBe brief.",
        "<call lookup ",
        "<result call_0> 2",
        "<image>",
        "Thanks",
    ] {
        assert!(prompt.contains(text), "{text:?} in {prompt}");
    }
    assert_eq!(golden.tool("lookup").unwrap().parameters["required"], json!(["planet"]));
}

#[test]
fn an_answer_without_a_model_takes_the_name_that_was_asked_for() {
    let encoded = LmResponse::text("hi").usage(3, 1).encode("rust/model").unwrap();
    let expected = json!({
        "model": "rust/model",
        "message": {"role": "assistant", "parts": [{"type": "text", "text": "hi"}]},
        "finish_reason": "stop",
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}
    });
    assert_eq!(serde_json::from_slice::<Value>(&encoded).unwrap(), expected);
}

#[test]
fn an_answer_that_dspy_could_not_read_is_refused_before_it_is_sent() {
    let mut as_user = LmResponse::text("hi");
    as_user.message = Message::new(Role::User, vec![Part::text("hi")]);
    let cases = [
        (as_user, "role"),
        (LmResponse::tool_call("", json!({})), "id and a name"),
        (LmResponse::tool_call("lookup", json!([1])), "must be an object"),
    ];
    for (response, expected) in cases {
        let error = response.encode("rust/model").unwrap_err();
        assert_eq!(error.code(), "configuration");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn tool_calls_have_ids_of_their_own() {
    let response = LmResponse::tool_call("a", json!({})).and_tool_call("b", json!({"x": 1}));
    let ids: Vec<&str> = response.message.tool_calls().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["call_0", "call_1"]);
    assert_eq!(response.finish_reason, FinishReason::ToolCall);
}

#[test]
fn bytes_that_are_no_request_are_an_error_and_no_panic() {
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        br#"{"model": "m"}"#,
        br#"{"model": 1, "messages": []}"#,
    ] {
        assert!(LmRequest::decode(bytes).is_err());
    }
}
