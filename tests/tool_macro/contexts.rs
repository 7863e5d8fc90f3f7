//! `#[ctx]` parameters.

use dspex::CallId;
use dspex::prelude::*;
use dspex::tool::{Requirement, ToolErrorKind};
use serde_json::json;

use super::{call, call_in};

struct Db {
    customers: Vec<&'static str>,
}

/// How many customers there are.
#[dspex_tool]
async fn count(
    /// Not told to the model.
    #[ctx]
    db: State<Db>,
    at_least: usize,
) -> bool {
    db.customers.len() >= at_least
}

/// Where it runs.
#[dspex_tool]
fn whereabouts(
    #[ctx] context: ToolContext,
    word: String,
    #[ctx] call: CallId,
    #[ctx] cancelled: CancellationToken,
    #[ctx] session: Option<Session>,
) -> String {
    assert_eq!(context.call_id(), call);
    format!("{} {word} {} {}", context.tool(), cancelled.is_cancelled(), session.is_none())
}

/// Needs more.
#[dspex_tool]
async fn demanding(#[ctx] _session: Session, #[ctx] _dspex: Dspex) {}

#[tokio::test]
async fn a_context_gives_what_is_marked() {
    let context = ToolContext::detached("whereabouts");
    let answer = call_in(context.clone(), &whereabouts {}, json!({"word": "now"})).await.unwrap();
    assert_eq!(answer, "whereabouts now false true");
}

#[test]
fn only_the_rest_is_a_parameter() {
    let names = |tool: &dyn Tool| -> Vec<String> {
        tool.spec().parameters().iter().map(|parameter| parameter.name().to_owned()).collect()
    };
    assert_eq!(names(&count {}), ["at_least"]);
    assert_eq!(names(&whereabouts {}), ["word"]);
    assert!(names(&demanding {}).is_empty());
}

#[test]
fn what_a_tool_needs_is_known_before_it_runs() {
    let needs = count {}.requirements();
    assert!(
        matches!(needs.as_slice(), [Requirement::State { type_name, .. }] if type_name.ends_with("Db")),
        "{needs:?}"
    );
    assert!(whereabouts {}.requirements().is_empty());
    assert_eq!(demanding {}.requirements(), [Requirement::Session]);
}

#[tokio::test]
async fn what_is_not_there_is_an_error_of_the_context() {
    for (tool, arguments) in [(&count {} as &dyn Tool, json!({"at_least": 1})), (&demanding {}, json!({}))] {
        let error = call(tool, arguments).await.unwrap_err();
        assert_eq!(error.kind(), ToolErrorKind::Context);
    }
}

#[tokio::test]
async fn the_function_takes_them_as_its_parameters() {
    let db = State::new(Db { customers: vec!["sara"] });
    assert!(count(db.clone(), 1).await);
    assert!(!count(db, 2).await);
}
