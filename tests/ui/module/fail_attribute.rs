//! Attributes that would give a field another name than it has in DSPy.

use dspex::dspy_module;

#[dspy_module("dspy.Predict")]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
#[cfg(all())]
struct Attributes {
    #[input]
    #[serde(rename = "q")]
    question: String,
    #[input]
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[output]
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, String>,
    #[output]
    #[schemars(rename = "a", skip)]
    answer: String,
}

fn main() {}
