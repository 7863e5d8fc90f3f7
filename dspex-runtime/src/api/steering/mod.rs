//! Variables that steer calls: each call reads them once, all at the same revision, and keeps what it read.

mod binding;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dspex_state::{Revision, Value as Held, Variables};
use serde_json::{Map, Value, json};

pub use binding::Binding;
use binding::Slot;

use super::caller::encode_document;
use crate::bridge::{Spec, Target};
use crate::error::{Error, Result};
use crate::lm::Lm;

/// The bindings of an instance, shared by its handles.
#[derive(Debug, Default)]
pub(crate) struct Steering {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bindings: Arc<[Binding]>,
    /// What the last call made of them. Most calls find the same variables again.
    last: Option<Derived>,
}

/// A spec and a language model with the values of variables.
#[derive(Clone, Debug)]
struct Derived {
    versions: Vec<Revision>,
    /// The addresses of what they were derived from.
    from: (String, Option<String>),
    spec: Arc<Spec>,
    lm: Option<Lm>,
}

/// A call as the variables have it.
pub(crate) struct Steered {
    pub(crate) target: Target,
    pub(crate) inputs: Bytes,
    pub(crate) lm: Option<Lm>,
}

impl Steering {
    /// With bindings that were kept.
    pub(crate) fn of(bindings: Vec<Binding>) -> Self {
        Self { state: Mutex::new(State { bindings: bindings.into(), last: None }) }
    }

    /// The bindings.
    pub(crate) fn bindings(&self) -> Arc<[Binding]> {
        self.lock().bindings.clone()
    }

    /// Binds a variable, in the place of another that steered the same.
    pub(crate) async fn bind(&self, binding: Binding, variables: &Variables, spec: &Spec) -> Result<()> {
        let problem = |problem| Error::Binding { class: spec.class.clone(), problem };
        let binding = binding.resolved(&input_names(spec)).map_err(problem)?;
        let variable = variables.describe(binding.variable()).await?;
        binding.fits(variable.spec.kind()).map_err(problem)?;
        let mut state = self.lock();
        let what = binding.what();
        let others = state.bindings.iter().filter(|other| other.what() != what).cloned();
        state.bindings = others.chain([binding]).collect();
        state.last = None;
        Ok(())
    }

    /// Takes all bindings of a variable back. False if there was none.
    pub(crate) fn unbind(&self, variable: &str) -> bool {
        let mut state = self.lock();
        let rest: Arc<[Binding]> =
            state.bindings.iter().filter(|binding| binding.variable() != variable).cloned().collect();
        let had = rest.len() < state.bindings.len();
        state.bindings = rest;
        state.last = None;
        had
    }

    /// The call with the values that the variables have now. Only a call that takes the inputs of the signature gets any.
    pub(crate) async fn apply(
        &self,
        variables: &Variables,
        call: Steered,
        takes_inputs: bool,
    ) -> Result<Steered> {
        let (bindings, last) = {
            let state = self.lock();
            (state.bindings.clone(), state.last.clone())
        };
        let Target::Instance { spec, method } = &call.target else { return Ok(call) };
        if bindings.is_empty() {
            return Ok(call);
        }
        let names: Vec<String> = bindings.iter().map(|binding| binding.variable().to_owned()).collect();
        let values = variables.read_together(&names).await?;
        let versions: Vec<Revision> = values.iter().map(|value| value.version).collect();
        let values: Vec<(&Binding, &Held)> =
            bindings.iter().zip(&values).map(|(binding, value)| (binding, &value.value)).collect();
        let from = (spec.hash.clone(), call.lm.as_ref().map(|lm| lm.spec().hash.clone()));
        let derived = match last {
            Some(last) if last.versions == versions && last.from == from => last,
            _ => {
                let derived = Derived {
                    versions,
                    from,
                    spec: derive_spec(spec, &values)?,
                    lm: derive_lm(call.lm, &values)?,
                };
                let mut state = self.lock();
                // Somebody may have bound another variable meanwhile.
                if Arc::ptr_eq(&state.bindings, &bindings) {
                    state.last = Some(derived.clone());
                }
                derived
            }
        };
        Ok(Steered {
            target: Target::Instance { spec: derived.spec, method: method.clone() },
            inputs: if takes_inputs { merge_inputs(call.inputs, &values)? } else { call.inputs },
            lm: derived.lm,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each assignment leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of a spec's inputs; none where it has no signature of its own.
fn input_names(spec: &Spec) -> Vec<String> {
    let document: Value = serde_json::from_slice(&spec.json).unwrap_or_default();
    let inputs = document["signature"]["inputs"].as_array().cloned().unwrap_or_default();
    inputs.iter().filter_map(|field| field["name"].as_str().map(str::to_owned)).collect()
}

fn derive_spec(spec: &Arc<Spec>, values: &[(&Binding, &Held)]) -> Result<Arc<Spec>> {
    let mut overrides: Map<String, Value> = Map::new();
    for (binding, value) in values {
        let (predictor, part, value) = match &binding.slot {
            Slot::Config(keyword, predictor) => (predictor, "config", json!({keyword: value.to_json()})),
            Slot::Instructions(predictor) => (predictor, "instructions", value.to_json()),
            Slot::Demos(predictor) => (predictor, "demos", value.to_json()),
            _ => continue,
        };
        let of = overrides.entry(predictor.0.clone()).or_insert_with(|| json!({}));
        match (&mut of[part], value) {
            // Several keywords of one configuration.
            (Value::Object(there), Value::Object(more)) => there.extend(more),
            (place, value) => *place = value,
        }
    }
    if overrides.is_empty() {
        Ok(spec.clone())
    } else {
        Ok(Arc::new(spec.with_overrides(Value::Object(overrides))))
    }
}

fn derive_lm(lm: Option<Lm>, values: &[(&Binding, &Held)]) -> Result<Option<Lm>> {
    let keywords = values.iter().filter_map(|(binding, value)| match &binding.slot {
        Slot::Lm(keyword) => Some((keyword, value.to_json())),
        _ => None,
    });
    let mut derived = lm;
    for (keyword, value) in keywords {
        // A call without a model fails with its own words.
        let Some(lm) = derived else { return Ok(None) };
        derived = Some(match (keyword.as_str(), value.as_str()) {
            ("model", Some(model)) => lm.renamed(model),
            _ => lm.kwarg(keyword.clone(), value),
        });
    }
    Ok(derived)
}

fn merge_inputs(inputs: Bytes, values: &[(&Binding, &Held)]) -> Result<Bytes> {
    let given: Vec<_> = values
        .iter()
        .filter_map(|(binding, value)| match &binding.slot {
            Slot::Input(input) => Some((input.clone(), value.to_json())),
            _ => None,
        })
        .collect();
    if given.is_empty() {
        return Ok(inputs);
    }
    let problem = |error| Error::Protocol(format!("the inputs are no JSON object: {error}"));
    let mut document: Map<String, Value> = serde_json::from_slice(&inputs).map_err(problem)?;
    document.extend(given);
    encode_document(&Value::Object(document))
}
