//! DSPy's two basic modules for any [`Signature`], for `signature!`.

use std::marker::PhantomData;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, Module, Signature};
use crate::error::Result;

/// `dspy.Predict` of a signature.
#[doc(hidden)]
#[derive(Debug)]
pub struct Predict<S>(PhantomData<fn() -> S>);

/// `dspy.ChainOfThought` of a signature.
#[doc(hidden)]
#[derive(Debug)]
pub struct ChainOfThought<S>(PhantomData<fn() -> S>);

/// The outputs of a signature, and the reasoning before them. Reads as the outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reasoned<O> {
    /// The outputs of the signature.
    #[serde(flatten)]
    pub outputs: O,
    /// What the model thought before it answered.
    pub reasoning: String,
}

impl<O> Deref for Reasoned<O> {
    type Target = O;

    fn deref(&self) -> &O {
        &self.outputs
    }
}

const fn definition<S: Signature>(class: &'static str, extra: &'static [&'static str]) -> Definition {
    Definition {
        name: "StringSignature",
        class,
        fingerprint: None,
        instructions: S::DEFINITION.instructions,
        inputs: S::DEFINITION.inputs,
        outputs: S::DEFINITION.outputs,
        extra_outputs: extra,
        args: "{}",
        method: "",
    }
}

impl<S: Signature> Predict<S> {
    const DEFINITION: Definition = definition::<S>("dspy.Predict", &[]);
}

impl<S: Signature + 'static> Module for Predict<S> {
    type Inputs = S::Inputs;
    type Outputs = S::Outputs;
    type Answer = S::Outputs;

    fn definition() -> &'static Definition {
        &Self::DEFINITION
    }

    fn answer(outputs: Self::Outputs) -> Result<Self::Answer> {
        Ok(outputs)
    }
}

impl<S: Signature> ChainOfThought<S> {
    const DEFINITION: Definition = definition::<S>("dspy.ChainOfThought", &["reasoning"]);
}

impl<S: Signature + 'static> Module for ChainOfThought<S> {
    type Inputs = S::Inputs;
    type Outputs = Reasoned<S::Outputs>;
    type Answer = Reasoned<S::Outputs>;

    fn definition() -> &'static Definition {
        &Self::DEFINITION
    }

    fn answer(outputs: Self::Outputs) -> Result<Self::Answer> {
        Ok(outputs)
    }
}
