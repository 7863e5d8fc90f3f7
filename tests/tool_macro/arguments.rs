//! What a tool says of itself: names, descriptions, parameters, limits, examples.

use std::time::Duration;

use dspex::prelude::*;
use dspex::tool::{ToolErrorKind, ToolParameter};
use serde_json::{Value, json};

use super::call;

#[derive(Debug, PartialEq, FieldType)]
enum Region {
    North,
    South,
}

#[derive(Debug, PartialEq, FieldType)]
struct Address {
    /// With the number.
    street: String,
    region: Option<Region>,
}

const MOST: f64 = 2.5;

/// Plan of a customer,
/// by e-mail.
#[allow(clippy::too_many_arguments, reason = "it shows every kind")]
#[dspex_tool(timeout = "1500ms", concurrency = 2, read_only)]
async fn plan_of(
    /// The customer's e-mail address.
    #[tool(pattern = "^[^@]+@[^@]+$")]
    email: String,
    /// How many invoices
    /// to include.
    #[tool(default = 3, range(0..=50))]
    invoices: u32,
    #[tool(range(-1..5))] mut offset: Option<i8>,
    #[tool(default = 0.5, range(0.0..MOST))] share: f64,
    #[tool(default = "main", length(1..=8))] branch: String,
    #[tool(default = Region::South)] region: Region,
    address: Option<Address>,
    r#type: Vec<Region>,
) -> Value {
    offset = offset.map(|offset| offset + 1);
    json!([email, invoices, offset, share, branch, region, address, r#type])
}

/// Its own name.
#[dspex_tool(name = "get-weather_2")]
fn weather() {}

/// A keyword.
#[dspex_tool]
fn r#match() {}

/// Adds.
#[dspex_tool(
    read_only,
    examples(
        add(left = 1, right = 2.5) -> 3.5,
        add(left = 1),
        add(left = -1, right = 0) -> -1.0,
    )
)]
async fn add(left: i32, right: Option<f64>) -> f64 {
    f64::from(left) + right.unwrap_or(f64::from(left))
}

/// Finds.
#[dspex_tool(examples(
    find(at = Address { street: "Main 1".to_owned(), region: Some(Region::North) }) -> ["Main 1"],
    find() -> json!({"error": "nowhere", "retryable": false}),
))]
fn find(at: Option<Address>) -> Result<Vec<String>, &'static str> {
    at.map(|at| vec![at.street]).ok_or("nowhere")
}

fn parameter(name: &str) -> ToolParameter {
    let spec = plan_of {}.spec().clone();
    spec.parameters().iter().find(|parameter| parameter.name() == name).unwrap().clone()
}

#[test]
fn names_and_descriptions_are_those_of_the_function() {
    let tool = plan_of {};
    let spec = tool.spec();
    assert_eq!(spec.name(), "plan_of");
    assert_eq!(spec.description(), "Plan of a customer,\nby e-mail.");
    let names: Vec<&str> = spec.parameters().iter().map(ToolParameter::name).collect();
    assert_eq!(names, ["email", "invoices", "offset", "share", "branch", "region", "address", "type"]);
    assert_eq!(parameter("email").described(), Some("The customer's e-mail address."));
    assert_eq!(parameter("invoices").described(), Some("How many invoices\nto include."));
    assert_eq!(parameter("offset").described(), None);
    assert_eq!(weather {}.spec().name(), "get-weather_2");
    assert_eq!(r#match {}.spec().name(), "match");
}

#[test]
fn limits_and_flags_are_told() {
    let tool = plan_of {};
    let spec = tool.spec();
    assert_eq!((spec.timeout(), spec.concurrency()), (Some(Duration::from_millis(1500)), Some(2)));
    assert!(spec.is_read_only() && !spec.streams());
    assert_eq!((weather {}.spec().timeout(), weather {}.spec().concurrency()), (None, None));
    assert!(!weather {}.spec().is_read_only());
}

#[test]
fn defaults_are_values_and_an_option_is_null() {
    assert_eq!(parameter("email").default(), None);
    assert_eq!(parameter("invoices").default(), Some(&json!(3)));
    assert_eq!(parameter("offset").default(), Some(&Value::Null));
    assert_eq!(parameter("share").default(), Some(&json!(0.5)));
    assert_eq!(parameter("branch").default(), Some(&json!("main")));
    assert_eq!(parameter("region").default(), Some(&json!("South")));
    assert!(parameter("type").is_required());
}

#[tokio::test]
async fn what_is_not_given_has_its_default() {
    let answer = call(&plan_of {}, json!({"email": "a@b.c", "type": []})).await.unwrap();
    assert_eq!(answer, json!(["a@b.c", 3, null, 0.5, "main", "South", null, []]));
    let all = json!({
        "email": "a@b.c", "invoices": 50, "offset": -1, "share": 2, "branch": "b", "region": "North",
        "address": {"street": "Main 1", "region": "South"}, "type": ["North", "South"],
    });
    let answer = call(&plan_of {}, all).await.unwrap();
    let address = json!({"street": "Main 1", "region": "South"});
    assert_eq!(answer, json!(["a@b.c", 50, 0, 2.0, "b", "North", address, ["North", "South"]]));
}

#[tokio::test]
async fn null_is_absence_of_what_may_be_absent() {
    let given = json!({"email": "a@b.c", "type": [], "offset": null, "address": null, "invoices": null});
    let answer = call(&plan_of {}, given).await.unwrap();
    assert_eq!(answer, json!(["a@b.c", 3, null, 0.5, "main", "South", null, []]));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_reason() {
    let cases = [
        (json!({"type": []}), "email"),
        (json!({"email": "a@b.c"}), "type"),
        (json!({"email": null, "type": []}), "email"),
        (json!({"email": "a@b.c", "type": [], "colour": 1}), "colour"),
        (json!({"email": 7, "type": []}), "email"),
        (json!({"email": "nowhere", "type": []}), "email"),
        (json!({"email": "a@b.c", "type": [], "invoices": 51}), "invoices"),
        (json!({"email": "a@b.c", "type": [], "invoices": -1}), "invoices"),
        (json!({"email": "a@b.c", "type": [], "offset": 5}), "offset"),
        (json!({"email": "a@b.c", "type": [], "offset": -2}), "offset"),
        (json!({"email": "a@b.c", "type": [], "share": 2.5}), "share"),
        (json!({"email": "a@b.c", "type": [], "branch": ""}), "branch"),
        (json!({"email": "a@b.c", "type": [], "branch": "much too long"}), "branch"),
        (json!({"email": "a@b.c", "type": [], "region": "East"}), "region"),
        (json!({"email": "a@b.c", "type": ["East"]}), "type"),
        (json!({"email": "a@b.c", "type": [], "address": {"region": "North"}}), "street"),
    ];
    for (arguments, named) in cases {
        let error = call(&plan_of {}, arguments.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ToolErrorKind::InvalidArguments, "{arguments}: {error}");
        assert!(error.message().contains(named), "{arguments}: {error}");
    }
}

#[tokio::test]
async fn a_tool_without_parameters_takes_nothing() {
    for nothing in [json!({}), Value::Null] {
        assert_eq!(call(&weather {}, nothing).await.unwrap(), Value::Null);
    }
    let error = call(&weather {}, json!({"city": "Berlin"})).await.unwrap_err();
    assert_eq!(error.kind(), ToolErrorKind::InvalidArguments);
}

#[test]
fn examples_are_told() {
    let tool = add {};
    let examples = tool.spec().examples();
    assert_eq!(examples.len(), 3);
    assert_eq!(examples[0].arguments, json!({"left": 1, "right": 2.5}));
    assert_eq!(examples[0].returns, Some(json!(3.5)));
    assert_eq!(examples[1].returns, None);
    let tool = find {};
    assert_eq!(tool.spec().examples()[0].arguments, json!({"at": {"street": "Main 1", "region": "North"}}));
}

#[test]
fn an_example_that_does_not_hold_is_named() {
    use dspex::__private::tool::check_examples;
    use dspex::tool::{ToolParameter, ToolSpec};

    /// Doubles.
    #[dspex_tool]
    fn double(x: i64) -> i64 {
        x * 2
    }

    let message = |arguments: Value, returns: Option<Value>| {
        let spec = ToolSpec::builder("double", "Doubles.")
            .parameter(ToolParameter::required("x", json!({"type": "integer"})))
            .example(arguments, returns)
            .build();
        let panic = std::panic::catch_unwind(|| check_examples(&spec, Some(&double {}))).err()?;
        Some(panic.downcast_ref::<String>().unwrap().clone())
    };
    assert_eq!(message(json!({"x": 2}), Some(json!(4))), None);
    assert!(
        message(json!({"x": 2}), Some(json!(5)))
            .unwrap()
            .contains("answers the example {\"x\":2} in another way")
    );
    assert!(
        message(json!({"y": 2}), None)
            .unwrap()
            .contains("the example {\"y\":2} of the tool `double` does not fit")
    );
}
