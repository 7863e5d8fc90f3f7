//! Everything that a tool can return.

use std::fmt;
use std::rc::Rc;

use dspex::ToolOutput;
use dspex::prelude::*;
use dspex::tool::ToolErrorKind;
use serde_json::{Value, json};

use super::call;

#[derive(Debug, PartialEq, FieldType)]
struct Plan {
    name: String,
    seats: u32,
}

/// Plan of a customer.
#[dspex_tool]
async fn plan_of(email: String) -> Plan {
    Plan { name: email, seats: 3 }
}

/// The same, at once.
#[dspex_tool]
fn plan_now(email: String) -> Plan {
    Plan { name: email, seats: 4 }
}

/// Answers with nothing.
#[dspex_tool]
async fn nothing(_word: String) {}

/// Takes nothing.
#[dspex_tool]
fn hello() -> &'static str {
    "hello"
}

#[derive(Debug)]
struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no customer has the address {}", self.0)
    }
}

/// Fails for some.
#[dspex_tool]
async fn checked(email: String) -> Result<Plan, Unknown> {
    if email.contains('@') { Ok(Plan { name: email, seats: 1 }) } else { Err(Unknown(email)) }
}

type Answer<T> = Result<T, Unknown>;

/// Fails under another name.
#[dspex_tool]
fn aliased(email: String) -> Answer<u8> {
    Err(Unknown(email))
}

/// Fails with anyhow.
#[dspex_tool]
async fn anyhow_fails(deep: bool) -> anyhow::Result<u8> {
    let error = anyhow::anyhow!("the disk is full");
    if deep { Err(error.context("the CRM cannot be read")) } else { Ok(7) }
}

/// Fails in its own words.
#[dspex_tool]
fn busy() -> Result<(), ToolError> {
    Err(ToolError::of(ToolErrorKind::TimedOut, "the CRM is busy").retryable())
}

/// Fails as a text.
#[dspex_tool]
fn text_error() -> Result<u8, Box<dyn std::error::Error>> {
    Err("no such thing".into())
}

/// Writes its own answer.
#[dspex_tool]
async fn output(fail: bool) -> Result<ToolOutput, Unknown> {
    if fail { Err(Unknown("x".into())) } else { Ok(ToolOutput::new(&[1, 2]).unwrap()) }
}

/// The same without an error.
#[dspex_tool]
fn bare_output() -> ToolOutput {
    ToolOutput::new("bare").unwrap()
}

/// Whatever can be written.
#[dspex_tool]
async fn opaque() -> impl serde::Serialize + Send {
    json!({"a": null})
}

/// What serde can write and schemars cannot describe.
#[derive(serde::Serialize)]
struct Undescribed {
    x: f64,
}

/// Without a schema.
#[dspex_tool]
fn undescribed() -> Result<Undescribed, ToolError> {
    Ok(Undescribed { x: f64::NAN })
}

/// A value of this thread alone.
#[dspex_tool]
fn of_one_thread() -> serde_json::Value {
    let shared = Rc::new(5);
    json!(*shared)
}

/// A map that JSON cannot have.
#[dspex_tool]
fn unwritable() -> std::collections::HashMap<(u8, u8), u8> {
    [((1, 2), 3)].into()
}

/// Panics.
#[dspex_tool]
async fn panics() -> u8 {
    panic!("a secret")
}

/// Panics elsewhere.
#[dspex_tool]
fn panics_at_once() -> u8 {
    panic!("another secret")
}

#[tokio::test]
async fn values_are_the_answer() {
    assert_eq!(call(&plan_of {}, json!({"email": "a"})).await.unwrap(), json!({"name": "a", "seats": 3}));
    assert_eq!(call(&plan_now {}, json!({"email": "a"})).await.unwrap(), json!({"name": "a", "seats": 4}));
    assert_eq!(call(&nothing {}, json!({"_word": "a"})).await.unwrap(), Value::Null);
    assert_eq!(call(&hello {}, json!({})).await.unwrap(), json!("hello"));
    assert_eq!(call(&opaque {}, json!({})).await.unwrap(), json!({"a": null}));
    assert_eq!(call(&of_one_thread {}, json!({})).await.unwrap(), json!(5));
}

#[tokio::test]
async fn the_function_is_still_the_function() {
    assert_eq!(plan_of("b".to_owned()).await, Plan { name: "b".to_owned(), seats: 3 });
    assert_eq!(plan_now("b".to_owned()).seats, 4);
    let pointer: fn() -> &'static str = hello;
    assert_eq!(pointer(), "hello");
}

#[tokio::test]
async fn a_result_is_its_value_or_an_error_in_its_own_words() {
    let plan = call(&checked {}, json!({"email": "a@b"})).await.unwrap();
    assert_eq!(plan, json!({"name": "a@b", "seats": 1}));
    let error = call(&checked {}, json!({"email": "ab"})).await.unwrap_err();
    assert_eq!(error.to_value(), json!({"error": "no customer has the address ab", "retryable": false}));
    assert_eq!(error.kind(), ToolErrorKind::Failed);
    let error = call(&aliased {}, json!({"email": "c"})).await.unwrap_err();
    assert_eq!(error.message(), "no customer has the address c");
    let error = call(&text_error {}, json!({})).await.unwrap_err();
    assert_eq!(error.message(), "no such thing");
}

#[tokio::test]
async fn an_alias_such_as_anyhows_is_a_result() {
    assert_eq!(call(&anyhow_fails {}, json!({"deep": false})).await.unwrap(), json!(7));
    let error = call(&anyhow_fails {}, json!({"deep": true})).await.unwrap_err();
    assert_eq!(error.message(), "the CRM cannot be read");
}

#[tokio::test]
async fn a_tool_error_keeps_its_kind_and_whether_to_try_again() {
    let error = call(&busy {}, json!({})).await.unwrap_err();
    assert_eq!(error, ToolError::of(ToolErrorKind::TimedOut, "the CRM is busy").retryable());
}

#[tokio::test]
async fn an_output_is_passed_on() {
    assert_eq!(call(&output {}, json!({"fail": false})).await.unwrap(), json!([1, 2]));
    assert_eq!(call(&output {}, json!({"fail": true})).await.unwrap_err().kind(), ToolErrorKind::Failed);
    assert_eq!(call(&bare_output {}, json!({})).await.unwrap(), json!("bare"));
}

#[tokio::test]
async fn what_json_cannot_hold_is_tagged_or_an_error() {
    let answer = call(&undescribed {}, json!({})).await.unwrap();
    assert_eq!(answer, json!({"x": {"$dspex": ["float", "nan"]}}));
    assert_eq!(call(&unwritable {}, json!({})).await.unwrap_err().kind(), ToolErrorKind::Output);
}

#[tokio::test]
async fn a_panic_is_one_of_the_call() {
    for tool in tools![panics, panics_at_once].iter().cloned() {
        let run = tokio::spawn(async move { call(&*tool, json!({})).await });
        assert!(run.await.unwrap_err().is_panic());
    }
}

#[test]
fn the_schema_of_the_answer_is_told_where_there_is_one() {
    let returns = |tool: &dyn Tool| tool.spec().returns().cloned();
    assert_eq!(returns(&plan_of {}).unwrap()["properties"]["seats"]["type"], "integer");
    assert_eq!(returns(&checked {}), returns(&plan_of {}));
    assert_eq!(returns(&aliased {}).unwrap()["type"], "integer");
    assert_eq!(returns(&anyhow_fails {}).unwrap()["type"], "integer");
    assert_eq!(returns(&hello {}).unwrap()["type"], "string");
    assert_eq!(returns(&nothing {}).unwrap()["type"], "null");
    for tool in tools![opaque, undescribed, output, bare_output].iter() {
        assert_eq!(tool.spec().returns(), None, "{}", tool.spec().name());
    }
}
