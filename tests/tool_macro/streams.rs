//! Tools with `stream`.

use std::time::Duration;

use dspex::prelude::*;
use dspex::tool::ToolErrorKind;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use serde_json::json;

use super::call;

/// Counts.
#[dspex_tool(stream)]
fn numbers(#[tool(default = 3)] up_to: u8) -> impl Stream<Item = u8> {
    stream::iter(1..=up_to)
}

/// Speaks.
#[dspex_tool(stream)]
async fn words() -> impl Stream<Item = String> + Send {
    tokio::task::yield_now().await;
    stream::iter(["one ", "word"]).then(async |word| {
        tokio::time::sleep(Duration::from_millis(1)).await;
        word.to_owned()
    })
}

/// Breaks.
#[dspex_tool(stream)]
fn breaks() -> impl Stream<Item = Result<u8, String>> {
    stream::iter([Ok(1), Err("the line is dead".to_owned()), Ok(2)])
}

/// May not begin.
#[dspex_tool(stream)]
async fn begins(begin: bool) -> Result<BoxStream<'static, Result<u8, ToolError>>, &'static str> {
    match begin {
        true => Ok(stream::iter([Ok(1), Err(ToolError::of(ToolErrorKind::TimedOut, "late"))]).boxed()),
        false => Err("no beginning"),
    }
}

#[tokio::test]
async fn the_model_sees_all_items_and_texts_as_one() {
    assert_eq!(call(&numbers {}, json!({})).await.unwrap(), json!([1, 2, 3]));
    assert_eq!(call(&numbers {}, json!({"up_to": 0})).await.unwrap(), json!([]));
    assert_eq!(call(&words {}, json!({})).await.unwrap(), json!("one word"));
}

#[tokio::test]
async fn a_stream_ends_with_its_first_error() {
    assert_eq!(call(&breaks {}, json!({})).await.unwrap_err().message(), "the line is dead");
    assert_eq!(call(&begins {}, json!({"begin": false})).await.unwrap_err().message(), "no beginning");
    let late = call(&begins {}, json!({"begin": true})).await.unwrap_err();
    assert_eq!((late.kind(), late.message()), (ToolErrorKind::TimedOut, "late"));
}

#[test]
fn a_spec_says_that_the_tool_streams_and_of_what() {
    let returns = |tool: &dyn Tool| {
        assert!(tool.spec().streams());
        tool.spec().returns().cloned().unwrap()
    };
    assert_eq!(returns(&numbers {})["items"]["type"], "integer");
    assert_eq!(returns(&words {})["type"], "string");
    assert_eq!(returns(&breaks {})["items"]["type"], "integer");
    assert_eq!(returns(&begins {})["items"]["type"], "integer");
}
