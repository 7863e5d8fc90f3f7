//! Rust types for JSON Schemas of pydantic, compiled here: values go through them and come back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What `fixtures/team.py` writes: by name, `{"schema", "values"}`.
const TEAM: &str = include_str!("fixtures/team.json");

/// Where the generated code finds third-party crates, as the facade has them.
pub mod root {
    /// As the facade's.
    pub mod __private {
        pub use {schemars, serde, serde_json};
    }
}

/// The code that is generated for all schemas of the team.
#[deny(missing_docs)]
pub mod team {
    include!("fixtures/team.rs");
}

fn team() -> Value {
    serde_json::from_str(TEAM).unwrap()
}

/// Every value that pydantic accepts is read, and written as it was.
fn round_trips<T: Serialize + DeserializeOwned>(name: &str) {
    let team = team();
    for value in team[name]["values"].as_array().unwrap() {
        let typed: T =
            serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {value}: {error}"));
        assert_eq!(&serde_json::to_value(&typed).unwrap(), value, "{name}");
    }
}

#[test]
fn values_of_pydantic_survive_the_way_through_the_types() {
    round_trips::<team::MoodField>("Mood");
    round_trips::<team::LevelField>("Level");
    round_trips::<team::PassagesField>("Passages");
    round_trips::<team::VerdictField>("Verdict");
    round_trips::<team::ClaimField>("Claim");
    round_trips::<team::OpenField>("Open");
    round_trips::<team::IntBoxField>("IntBox");
    round_trips::<team::MoodBoxField>("MoodBox");
    round_trips::<team::SettingsField>("Settings");
    round_trips::<team::RowsField>("Rows");
    round_trips::<team::TableField>("Table");
    round_trips::<team::PairField>("Pair");
    round_trips::<team::AnswerField>("Answer");
    round_trips::<team::AnythingField>("Anything");
    assert_eq!(team().as_object().unwrap().len(), 14, "a schema of the fixture is not tried");
}

#[test]
fn defaults_are_those_of_python() {
    let settings: team::Settings = serde_json::from_value(json!({})).unwrap();
    assert_eq!(settings, team::Settings::default());
    assert_eq!((settings.mood, settings.retries, settings.name.as_str()), (team::Mood::Calm, 3, "x"));
    let passage: team::Passage = serde_json::from_value(json!({"text": "t"})).unwrap();
    assert_eq!((passage.score, passage.page), (0.5, None));
}

#[test]
fn what_is_no_value_of_the_type_is_refused() {
    assert!(serde_json::from_value::<team::Mood>(json!("furious")).is_err());
    let error = serde_json::from_value::<team::Level>(json!(2)).unwrap_err().to_string();
    assert!(error.contains("one of 1, 5, -1"), "{error}");
    assert!(serde_json::from_value::<team::Refusal>(json!({"reason": "r", "more": 1})).is_err());
    assert!(serde_json::from_value::<team::Passage>(json!({"page": 1})).is_err());
}
