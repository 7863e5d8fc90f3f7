//! `tools![]`.

use dspex::prelude::*;
use serde_json::json;

use super::call;

/// The one.
#[dspex_tool]
fn one() -> u8 {
    1
}

mod inner {
    pub(crate) mod most {
        /// The other.
        #[dspex::dspex_tool(name = "second")]
        pub(crate) async fn one() -> u8 {
            2
        }
    }
}

use inner::most::one as other_one;

fn names(tools: &ToolSet) -> Vec<&str> {
    tools.specs().map(|spec| spec.name()).collect()
}

#[tokio::test]
async fn tools_keep_their_order_and_travel_with_their_functions() {
    let tools = tools![inner::most::one, one,];
    assert_eq!(names(&tools), ["second", "one"]);
    assert_eq!(names(&tools![self::one, other_one]), ["one", "second"]);
    assert_eq!(call(&**tools.get("second").unwrap(), json!({})).await.unwrap(), json!(2));
    assert_eq!(other_one().await, 2);
}

#[test]
fn the_same_function_in_two_sets_is_one_tool() {
    let both = tools![one].and(tools![one, inner::most::one]).unwrap();
    assert_eq!(names(&both), ["one", "second"]);
    assert_eq!(names(&both.with(one {}).unwrap()), ["one", "second"]);
}

#[test]
fn another_tool_of_the_same_name_is_refused() {
    mod elsewhere {
        /// Of the same name.
        #[dspex::dspex_tool]
        pub(super) fn one() {}
    }
    let error = tools![one].and(tools![elsewhere::one]).unwrap_err();
    assert!(error.to_string().contains("two different tools are called `one`"), "{error}");
    assert!(tools![one].with(elsewhere::one {}).is_err());
}

#[tokio::test]
async fn functions_of_a_body_can_be_tools() {
    /// Local.
    #[dspex_tool]
    fn local(x: u8) -> u8 {
        x + 1
    }
    let tools = tools![local, one];
    assert_eq!(call(&**tools.get("local").unwrap(), json!({"x": 1})).await.unwrap(), json!(2));
}

/// A tool may be written by another macro.
macro_rules! answers {
    ($($name:ident: $argument:ty = $answer:expr;)*) => {$(
        #[doc = concat!("Answers with ", stringify!($answer), ".")]
        #[dspex_tool]
        fn $name(#[tool(default = $answer)] value: $argument, other: Option<$argument>) -> $argument {
            other.unwrap_or(value)
        }
    )*};
}

answers! {
    seven: u8 = 7;
    half: f64 = 0.5;
}

#[tokio::test]
async fn tools_of_other_macros_work() {
    assert_eq!(seven {}.spec().description(), "Answers with 7.");
    assert_eq!(call(&seven {}, json!({})).await.unwrap(), json!(7));
    assert_eq!(call(&half {}, json!({"other": 2.0})).await.unwrap(), json!(2.0));
}

/// Not there.
#[cfg(any())]
#[dspex_tool]
fn conditional() {}

/// Not there either.
#[dspex_tool(examples(conditional_below(of = Nothing)))]
#[cfg(any())]
fn conditional_below(of: Nothing) {}

/// There.
#[dspex_tool]
#[cfg(not(any()))]
#[deprecated(note = "for the test")]
fn conditional() {}

#[test]
fn conditions_hold_for_the_tool_too() {
    assert_eq!(names(&tools![conditional]), ["conditional"]);
}
