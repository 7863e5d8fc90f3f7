//! Which variable steers what.

use dspex_state::Type;
use serde::{Deserialize, Serialize};

/// Keywords of language models that a variable of the same name steers without more words.
const OF_MODELS: &[&str] = &[
    "model",
    "temperature",
    "max_tokens",
    "top_p",
    "seed",
    "stop",
    "n",
    "presence_penalty",
    "frequency_penalty",
];

/// That a variable steers a part of an instance's calls.
///
/// ```
/// use dspex_runtime::Binding;
///
/// let by_name = Binding::from("temperature");                         // the language model's temperature
/// let renamed = Binding::lm("temperature", "creativity");
/// let style = Binding::instructions("style").of("generate");         // of the predictor `generate` alone
/// let shots = Binding::demos("examples");
/// let samples = Binding::config("n", "samples");
/// let region = Binding::input("region", "home_region");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    pub(super) variable: String,
    pub(super) slot: Slot,
}

/// What is steered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Slot {
    /// Whatever has the variable's name.
    Named,
    /// A keyword of the language model.
    Lm(String),
    /// A keyword that predictors hand to the language model with each request.
    Config(String, Predictor),
    /// The instructions of predictors.
    Instructions(Predictor),
    /// The demonstrations of predictors.
    Demos(Predictor),
    /// An input of the call.
    Input(String),
}

/// A predictor by its name, or all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Predictor(pub(super) String);

impl Default for Predictor {
    fn default() -> Self {
        Self("*".to_owned())
    }
}

impl Binding {
    /// A variable steers a keyword of the language model, such as `temperature`, `max_tokens` or `model`.
    #[must_use]
    pub fn lm(keyword: impl Into<String>, variable: impl Into<String>) -> Self {
        Self { variable: variable.into(), slot: Slot::Lm(keyword.into()) }
    }

    /// A variable steers a keyword of the predictors' `config`, which goes with each request and wins over the language model's own.
    #[must_use]
    pub fn config(keyword: impl Into<String>, variable: impl Into<String>) -> Self {
        Self { variable: variable.into(), slot: Slot::Config(keyword.into(), Predictor::default()) }
    }

    /// A variable, a string or a choice, is the instructions. They take the place of all that DSPy wrote there: for the predictor
    /// `react` of `dspy.ReAct`, and so for `*`, that is also how its tools are called.
    #[must_use]
    pub fn instructions(variable: impl Into<String>) -> Self {
        Self { variable: variable.into(), slot: Slot::Instructions(Predictor::default()) }
    }

    /// A variable, a list of dicts with the fields of the signature, is the demonstrations.
    #[must_use]
    pub fn demos(variable: impl Into<String>) -> Self {
        Self { variable: variable.into(), slot: Slot::Demos(Predictor::default()) }
    }

    /// A variable takes the place of what a call gives for an input.
    #[must_use]
    pub fn input(input: impl Into<String>, variable: impl Into<String>) -> Self {
        Self { variable: variable.into(), slot: Slot::Input(input.into()) }
    }

    /// Only the predictor of this name, as `named_predictors` has it, instead of all.
    #[must_use]
    pub fn of(mut self, predictor: impl Into<String>) -> Self {
        if let Slot::Config(_, of) | Slot::Instructions(of) | Slot::Demos(of) = &mut self.slot {
            *of = Predictor(predictor.into());
        }
        self
    }

    /// The variable.
    #[must_use]
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// The same with what a bare name stands for: a keyword of the language model, or an input of the signature.
    pub(super) fn resolved(mut self, inputs: &[String]) -> Result<Self, String> {
        if self.slot == Slot::Named {
            let name = self.variable.clone();
            self.slot = if inputs.contains(&name) {
                Slot::Input(name)
            } else if OF_MODELS.contains(&name.as_str()) {
                Slot::Lm(name)
            } else {
                let known = match inputs {
                    [] => format!(
                        "the inputs are unknown here, so say it as `Binding::input({name:?}, {name:?})`"
                    ),
                    inputs => format!("no input ({})", inputs.join(", ")),
                };
                return Err(format!(
                    "the variable `{name}` is named after no keyword of language models ({}), and {known}; say what \
                     it steers, as in `Binding::instructions({name:?})`",
                    OF_MODELS.join(", "),
                ));
            };
        }
        match &self.slot {
            Slot::Input(input) if !inputs.is_empty() && !inputs.contains(input) => {
                Err(format!("there is no input `{input}`; there are {}", inputs.join(", ")))
            }
            _ => Ok(self),
        }
    }

    /// Whether a variable of a type can steer it.
    pub(super) fn fits(&self, kind: Type) -> Result<(), String> {
        let wanted: &[Type] = match &self.slot {
            Slot::Instructions(_) => &[Type::String, Type::Choice],
            Slot::Demos(_) => &[Type::List],
            Slot::Lm(keyword) if keyword == "model" => &[Type::String, Type::Choice],
            Slot::Lm(keyword) if keyword == "temperature" || keyword == "top_p" => {
                &[Type::Float, Type::Integer]
            }
            Slot::Lm(keyword) if ["max_tokens", "n", "seed"].contains(&keyword.as_str()) => &[Type::Integer],
            _ => return Ok(()),
        };
        if wanted.contains(&kind) {
            return Ok(());
        }
        let names: Vec<_> = wanted.iter().map(|kind| kind.name()).collect();
        Err(format!(
            "the variable `{}` is of the type {kind}; {} needs {}",
            self.variable,
            self.what(),
            names.join(" or ")
        ))
    }

    /// What it steers, for messages and for knowing that two bindings steer the same.
    pub(super) fn what(&self) -> String {
        let of = |predictor: &Predictor| match predictor.0.as_str() {
            "*" => String::new(),
            name => format!(" of `{name}`"),
        };
        match &self.slot {
            Slot::Named => format!("`{}`", self.variable),
            Slot::Lm(keyword) => format!("the language model's `{keyword}`"),
            Slot::Config(keyword, predictor) => format!("the configuration's `{keyword}`{}", of(predictor)),
            Slot::Instructions(predictor) => format!("the instructions{}", of(predictor)),
            Slot::Demos(predictor) => format!("the demonstrations{}", of(predictor)),
            Slot::Input(input) => format!("the input `{input}`"),
        }
    }
}

impl From<&str> for Binding {
    /// The variable steers what has its name: a keyword of the language model, or an input of the signature.
    fn from(variable: &str) -> Self {
        Self { variable: variable.to_owned(), slot: Slot::Named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_an_input_or_a_keyword_of_models() {
        let inputs = ["question".to_owned(), "seed".to_owned()];
        let slot = |name: &str| Binding::from(name).resolved(&inputs).map(|binding| binding.slot);
        assert_eq!(slot("question"), Ok(Slot::Input("question".to_owned())));
        assert_eq!(slot("seed"), Ok(Slot::Input("seed".to_owned())), "an input comes first");
        assert_eq!(slot("temperature"), Ok(Slot::Lm("temperature".to_owned())));
        let error = slot("style").unwrap_err();
        assert!(
            error.contains("no input (question, seed)") && error.contains("Binding::instructions"),
            "{error}"
        );
        let error = Binding::input("answer", "x").resolved(&inputs).unwrap_err();
        assert_eq!(error, "there is no input `answer`; there are question, seed");
    }

    #[test]
    fn a_variable_of_a_type_that_cannot_steer_it_is_refused() {
        assert!(Binding::lm("temperature", "t").fits(Type::Float).is_ok());
        let error = Binding::lm("temperature", "t").fits(Type::String).unwrap_err();
        assert_eq!(
            error,
            "the variable `t` is of the type string; the language model's `temperature` needs float or integer"
        );
        assert!(Binding::demos("d").fits(Type::Dict).is_err());
        assert!(Binding::config("anything", "d").fits(Type::Dict).is_ok());
    }

    #[test]
    fn bindings_come_back_from_their_json() {
        for binding in [
            Binding::from("x"),
            Binding::lm("a", "x"),
            Binding::config("a", "x").of("p"),
            Binding::instructions("x"),
            Binding::demos("x").of("p.q"),
            Binding::input("a", "x"),
        ] {
            let json = serde_json::to_value(&binding).unwrap();
            assert_eq!(serde_json::from_value::<Binding>(json).unwrap(), binding);
        }
    }
}
