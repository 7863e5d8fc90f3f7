//! Keywords that a constructor passes on to the language model, as `dspy.Predict` does with all that it does not know.
//!
//! Python takes any name here, so that a typo would reach a provider, or nobody. The usual settings are known by name
//! and type; others may be a provider's own.

use dspex_schema::{Class, Type, closest};
use syn::{Expr, Ident};

use crate::prelude::*;

/// The usual settings, as OpenAI names them.
const SETTINGS: &[(&str, Type)] = &[
    ("frequency_penalty", Type::Float),
    ("logprobs", Type::Bool),
    ("max_completion_tokens", Type::Int),
    ("max_tokens", Type::Int),
    ("n", Type::Int),
    ("presence_penalty", Type::Float),
    ("reasoning_effort", Type::Str),
    ("rollout_id", Type::Int),
    ("seed", Type::Int),
    ("stop", Type::Any),
    ("temperature", Type::Float),
    ("top_k", Type::Int),
    ("top_logprobs", Type::Int),
    ("top_p", Type::Float),
];

/// What belongs to the language model itself: keys must not be compiled in, and the rest has no effect on one call.
const OF_THE_MODEL: &[&str] = &[
    "api_base",
    "api_key",
    "async_engine",
    "base_url",
    "cache",
    "callbacks",
    "engine",
    "lm",
    "model",
    "model_type",
];

/// Checks one of them.
pub(super) fn check(
    key: &Ident,
    name: &str,
    expr: &Expr,
    value: &serde_json::Value,
    class: &Class,
) -> Result {
    if OF_THE_MODEL.contains(&name) {
        bail!(key, "`{name}` belongs to the language model, not to a module; set it on the `Lm` at run time");
    }
    if let Some((_, ty)) = SETTINGS.iter().find(|(setting, _)| *setting == name) {
        if !ty.accepts(value) {
            bail!(expr, "`{name}`, a setting of the language model, is `{ty}`, and `{value}` is not");
        }
        return Ok(());
    }
    match closest(name, SETTINGS.iter().map(|(setting, _)| *setting)) {
        Some(other) => bail!(
            key,
            "`{}` passes `{name}` on to the language model, which has no such setting; did you mean `{other}`?",
            class.name
        ),
        // A provider's own.
        None => Ok(()),
    }
}
