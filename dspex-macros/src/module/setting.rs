//! Settings of the language model: what a constructor passes on, as `dspy.Predict` does with all keywords that it does
//! not know.
//!
//! Python takes any name here, so that a typo would reach a provider, or nobody. The usual settings are known by name
//! and type; others, a provider's own, stand in `config(..)`.

use dspex_schema::{Class, Role, Type, closest};
use serde_json::Value;

use super::args::{Args, Keyword};
use super::{literal, options};
use crate::prelude::*;

/// The usual settings, as OpenAI names them.
const SETTINGS: &[(&str, Type)] = &[
    ("frequency_penalty", Type::Float),
    ("logprobs", Type::Bool),
    ("max_completion_tokens", Type::Int),
    ("max_tokens", Type::Int),
    ("min_p", Type::Float),
    ("n", Type::Int),
    ("parallel_tool_calls", Type::Bool),
    ("presence_penalty", Type::Float),
    ("reasoning_effort", Type::Str),
    ("repetition_penalty", Type::Float),
    ("rollout_id", Type::Int),
    ("seed", Type::Int),
    ("service_tier", Type::Str),
    ("stop", Type::Any),
    ("temperature", Type::Float),
    ("timeout", Type::Float),
    ("tool_choice", Type::Str),
    ("top_k", Type::Int),
    ("top_logprobs", Type::Int),
    ("top_p", Type::Float),
    ("verbosity", Type::Str),
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
    "finetuning_model",
    "launch_kwargs",
    "lm",
    "model",
    "model_type",
    "num_retries",
    "provider",
    "train_kwargs",
    "use_developer_role",
];

/// Checks a keyword that the constructor does not have.
pub(super) fn check(keyword: &Keyword, value: &Value, class: &Class) -> Result {
    let Keyword { key, name, .. } = keyword;
    if known(keyword, value)? {
        return Ok(());
    }
    let settings = SETTINGS.iter().map(|(setting, _)| *setting);
    let keywords = class.init.iter().filter(|parameter| parameter.role == Role::Value);
    let keywords = keywords.map(|parameter| parameter.name.as_str());
    // Options of the macro are parsed before, so that a near miss arrives here.
    let options = options::NAMES.iter().copied().chain(["crate"]);
    match closest(name, options.chain(keywords).chain(settings.clone())) {
        Some(other) if settings.clone().any(|setting| setting == other) => bail!(
            key,
            "`{}` passes `{name}` on to the language model, which has no such setting; did you mean `{other}`? For a \
             provider's own, write `config({name} = ..)`",
            class.name
        ),
        Some(other) => bail!(
            key,
            "`{}` takes no keyword `{name}`; did you mean `{other}`? For a setting of a provider's own, write \
             `config({name} = ..)`",
            class.name
        ),
        None => bail!(
            key,
            "`{}` takes no keyword `{name}`, and it is none of the usual settings of language models; for a \
             provider's own, write `config({name} = ..)`",
            class.name
        ),
    }
}

/// Checks what stands in `config(..)`; without a class, what can be checked without one.
pub(super) fn check_config(args: &Args, class: Option<&Class>, errors: &mut Errors) {
    let config = &args.options.config;
    for (position, keyword) in config.iter().enumerate() {
        let Keyword { key, name, .. } = keyword;
        let given = args.keywords.iter().chain(&config[..position]).any(|other| other.name == *name);
        if given {
            errors.push(err!(key, "`{name}` is given twice; remove one"));
            continue;
        }
        let Some(value) = errors.handle(literal::json(&keyword.value)) else { continue };
        if args.options.unchecked.is_some() {
            errors.push(err!(
                key,
                "with `unchecked`, every keyword is given to the class; write `{name} = ..`"
            ));
            continue;
        }
        let Some(class) = class else { continue };
        if class.parameter(name).is_some() {
            errors.push(err!(
                key,
                "`{name}` is a keyword of `{}`; write it outside of `config(..)`",
                class.name
            ));
        } else if class.init_extra {
            errors.handle(known(keyword, &value));
        } else {
            errors.push(err!(
                key,
                "`{}` passes nothing on to the language model; set `{name}` on the `Lm` at run time",
                class.name
            ));
        }
    }
}

/// Whether it is one of the usual settings, with a value of its type.
fn known(Keyword { key, name, value: expr }: &Keyword, value: &Value) -> Result<bool> {
    if OF_THE_MODEL.contains(&name.as_str()) {
        bail!(key, "`{name}` belongs to the language model, not to a module; set it on the `Lm` at run time");
    }
    let Some((_, ty)) = SETTINGS.iter().find(|(setting, _)| setting == name) else { return Ok(false) };
    if !ty.accepts(value) {
        bail!(expr, "`{name}`, a setting of the language model, is `{ty}`, and `{value}` is not");
    }
    Ok(true)
}
