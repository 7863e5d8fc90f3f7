//! Signatures that several modules share.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A signature as a Rust type. `#[derive(Signature)]` implements it, and `#[dspy_module(.., signature = Type)]` uses it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no signature",
    label = "not a signature",
    note = "derive it on a struct with fields marked `#[input]` and `#[output]`: `#[derive(Signature)]`"
)]
pub trait Signature {
    /// What goes in.
    type Inputs: Serialize + JsonSchema + Send + Sync;
    /// What comes out.
    type Outputs: Serialize + DeserializeOwned + JsonSchema + Send;

    /// Instructions and names.
    #[doc(hidden)]
    const DEFINITION: SignatureDefinition;
}

/// What the macro knows about a signature.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct SignatureDefinition {
    /// The instructions; `None` leaves them to DSPy.
    pub instructions: Option<&'static str>,
    /// The names of the inputs, in order.
    pub inputs: &'static [&'static str],
    /// The names of the outputs, in order.
    pub outputs: &'static [&'static str],
}

/// Whether a name is among others, for checks while compiling.
#[doc(hidden)]
#[must_use]
pub const fn contains(names: &[&str], name: &str) -> bool {
    let mut at = 0;
    while at < names.len() {
        if equal(names[at].as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// What a setter of `signature!` takes for an input that may be missing: the value, or an `Option` of it. The marker
/// `M` says which, and is always inferred.
#[doc(hidden)]
pub trait IntoOptional<T, M> {
    /// The value as it is kept.
    fn into_optional(self) -> T;
}

/// An `Option`.
#[doc(hidden)]
#[derive(Debug)]
pub enum Wrapped {}

/// The value itself.
#[doc(hidden)]
#[derive(Debug)]
pub enum Bare {}

impl<T> IntoOptional<Option<T>, Wrapped> for Option<T> {
    fn into_optional(self) -> Option<T> {
        self
    }
}

impl<T, V: Into<T>> IntoOptional<Option<T>, Bare> for V {
    fn into_optional(self) -> Option<T> {
        Some(self.into())
    }
}

/// Implemented by nothing: the bound of `chain_of_thought` on a signature with a field `reasoning`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field of this signature is called `reasoning`, which `dspy.ChainOfThought` adds itself",
    label = "cannot reason into a field of the signature",
    note = "rename the field, or call `predict`"
)]
pub trait ReasoningIsFree<C> {}

/// Two structs read from one object.
#[doc(hidden)]
#[derive(Debug, Deserialize)]
pub struct Both<L, R> {
    /// Its fields.
    #[serde(flatten)]
    pub left: L,
    /// The others.
    #[serde(flatten)]
    pub right: R,
}
