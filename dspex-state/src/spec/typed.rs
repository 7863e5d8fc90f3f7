//! Specs as builders whose methods are the constraints of their type, so that a foreign one does not compile.

use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use serde_json::Value as Json;

use super::rules::{
    BooleanRules, ChoiceRules, DictRules, EmbeddingRules, FloatRules, IntegerRules, ListRules, ModuleRules,
    StringRules, TensorRules,
};
use super::{Norm, Pattern, Rules, Spec, SpecError};
use crate::value::{Dtype, Type};

/// The types, as types.
pub mod kinds {
    macro_rules! kinds {
        ($($(#[$doc:meta])* $name:ident),*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}
        )*};
    }
    kinds!(
        /// Text.
        String,
        /// A whole number.
        Integer,
        /// A number.
        Float,
        /// True or false.
        Boolean,
        /// JSON values in order.
        List,
        /// JSON values by name.
        Dict,
        /// Numbers in a box.
        Tensor,
        /// A vector.
        Embedding,
        /// One of some texts.
        Choice,
        /// The dotted path of a class.
        Module
    );
}

/// What a variable may hold, built with the constraints of its type. What makes no sense is an error when the variable is created.
///
/// ```
/// use dspex_state::{Dtype, VarSpec};
///
/// let temperature = VarSpec::float().range(0.0..=2.0).describe("How freely the model answers");
/// let weights = VarSpec::tensor().shape([None, Some(2)]).dtype(Dtype::Float32);
/// ```
///
/// A constraint of another type does not compile:
///
/// ```compile_fail
/// dspex_state::VarSpec::string().shape([None, Some(2)]);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a spec says nothing before a variable is created with it"]
pub struct VarSpec<K> {
    spec: Result<Spec, SpecError>,
    kind: PhantomData<K>,
}

/// What says what a variable may hold: a [`VarSpec`], or a [`Spec`] for what is known only at run time.
pub trait IntoSpec {
    /// The spec, if it makes sense.
    ///
    /// # Errors
    ///
    /// [`SpecError`].
    fn into_spec(self) -> Result<Spec, SpecError>;
}

impl IntoSpec for Spec {
    fn into_spec(self) -> Result<Spec, SpecError> {
        self.rules.check()?;
        Ok(self)
    }
}

impl<K> IntoSpec for VarSpec<K> {
    fn into_spec(self) -> Result<Spec, SpecError> {
        self.spec?.into_spec()
    }
}

impl<K> VarSpec<K> {
    fn new(rules: Rules) -> Self {
        Self { spec: Ok(rules.into()), kind: PhantomData }
    }

    /// What the variable means.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        if let Ok(spec) = &mut self.spec {
            spec.description = Some(description.into());
        }
        self
    }

    /// Something to keep with the variable.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Json>) -> Self {
        if let Ok(spec) = &mut self.spec {
            spec.metadata.insert(key.into(), value.into());
        }
        self
    }
}

/// The constructor of a type's specs, and access to its rules.
macro_rules! kind {
    ($(#[$doc:meta])* $constructor:ident, $kind:ident, $rules:ident) => {
        impl VarSpec<kinds::$kind> {
            $(#[$doc])*
            pub fn $constructor() -> Self {
                Self::new(Rules::$kind($rules::default()))
            }

            fn with(mut self, set: impl FnOnce(&mut $rules)) -> Self {
                if let Ok(Spec { rules: Rules::$kind(rules), .. }) = &mut self.spec {
                    set(rules);
                }
                self
            }
        }
    };
}
kind!(
    /// Text.
    string, String, StringRules
);
kind!(
    /// A whole number of 64 bits.
    integer, Integer, IntegerRules
);
kind!(
    /// A number in double precision.
    float, Float, FloatRules
);
kind!(
    /// JSON values in order.
    list, List, ListRules
);
kind!(
    /// JSON values by name.
    dict, Dict, DictRules
);
kind!(
    /// Numbers in a box.
    tensor, Tensor, TensorRules
);
kind!(
    /// A vector in single precision.
    embedding, Embedding, EmbeddingRules
);
kind!(
    /// The dotted path of a class.
    module, Module, ModuleRules
);

impl VarSpec<kinds::Boolean> {
    /// True or false.
    pub fn boolean() -> Self {
        Self::new(Rules::Boolean(BooleanRules::default()))
    }
}

impl VarSpec<kinds::Choice> {
    /// One of these texts.
    pub fn choice(choices: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        Self::new(Rules::Choice(ChoiceRules { choices }))
    }
}

impl VarSpec<kinds::String> {
    /// The fewest characters.
    pub fn min_length(self, characters: u64) -> Self {
        self.with(|rules| rules.min_length = Some(characters))
    }

    /// The most characters.
    pub fn max_length(self, characters: u64) -> Self {
        self.with(|rules| rules.max_length = Some(characters))
    }

    /// A regular expression that some part of the text must match; `^` and `$` tie it to the ends.
    pub fn pattern(mut self, pattern: &str) -> Self {
        match Pattern::new(pattern) {
            Ok(pattern) => self.with(|rules| rules.pattern = Some(pattern)),
            Err(error) => {
                let reason = error.to_string();
                self.spec = Err(SpecError::Senseless { kind: Type::String, constraint: "pattern", reason });
                self
            }
        }
    }

    /// The only texts.
    pub fn one_of(self, texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let texts = texts.into_iter().map(Into::into).collect();
        self.with(|rules| rules.one_of = Some(texts))
    }
}

impl VarSpec<kinds::Integer> {
    /// The smallest and the largest value, as in `1..=10`.
    pub fn range(self, range: impl RangeBounds<i64>) -> Self {
        let min = match range.start_bound() {
            Bound::Included(min) => Some(*min),
            Bound::Excluded(below) => Some(below.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let max = match range.end_bound() {
            Bound::Included(max) => Some(*max),
            Bound::Excluded(above) => Some(above.saturating_sub(1)),
            Bound::Unbounded => None,
        };
        self.with(|rules| (rules.min, rules.max) = (min, max))
    }

    /// The smallest value.
    pub fn min(self, min: i64) -> Self {
        self.with(|rules| rules.min = Some(min))
    }

    /// The largest value.
    pub fn max(self, max: i64) -> Self {
        self.with(|rules| rules.max = Some(max))
    }

    /// The distance between values, counted from the smallest, or from 0 without one.
    pub fn step(self, step: i64) -> Self {
        self.with(|rules| rules.step = Some(step))
    }

    /// The only values.
    pub fn one_of(self, values: impl IntoIterator<Item = i64>) -> Self {
        let values = values.into_iter().collect();
        self.with(|rules| rules.one_of = Some(values))
    }
}

impl VarSpec<kinds::Float> {
    /// The smallest and the largest value, as in `0.0..=2.0`.
    pub fn range(self, range: std::ops::RangeInclusive<f64>) -> Self {
        self.with(|rules| (rules.min, rules.max) = (Some(*range.start()), Some(*range.end())))
    }

    /// The smallest value.
    pub fn min(self, min: f64) -> Self {
        self.with(|rules| rules.min = Some(min))
    }

    /// The largest value.
    pub fn max(self, max: f64) -> Self {
        self.with(|rules| rules.max = Some(max))
    }

    /// The distance between values, counted from the smallest, or from 0 without one; met up to rounding.
    pub fn step(self, step: f64) -> Self {
        self.with(|rules| rules.step = Some(step))
    }

    /// The only values.
    pub fn one_of(self, values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter().collect();
        self.with(|rules| rules.one_of = Some(values))
    }
}

impl VarSpec<kinds::List> {
    /// The fewest items.
    pub fn min_items(self, items: u64) -> Self {
        self.with(|rules| rules.min_items = Some(items))
    }

    /// The most items.
    pub fn max_items(self, items: u64) -> Self {
        self.with(|rules| rules.max_items = Some(items))
    }

    /// No two items are equal.
    pub fn unique(self) -> Self {
        self.with(|rules| rules.unique = true)
    }

    /// What each item is.
    pub fn items(mut self, items: impl IntoSpec) -> Self {
        match items.into_spec() {
            Ok(items) => self.with(|rules| rules.items = Some(Box::new(items.rules))),
            Err(error) => {
                self.spec = Err(error);
                self
            }
        }
    }
}

impl VarSpec<kinds::Dict> {
    /// Keys that have to be there.
    pub fn required(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        self.with(|rules| rules.required = keys)
    }

    /// What each value is.
    pub fn values(mut self, values: impl IntoSpec) -> Self {
        match values.into_spec() {
            Ok(values) => self.with(|rules| rules.values = Some(Box::new(values.rules))),
            Err(error) => {
                self.spec = Err(error);
                self
            }
        }
    }

    /// The fewest entries.
    pub fn min_items(self, entries: u64) -> Self {
        self.with(|rules| rules.min_items = Some(entries))
    }

    /// The most entries.
    pub fn max_items(self, entries: u64) -> Self {
        self.with(|rules| rules.max_items = Some(entries))
    }
}

impl VarSpec<kinds::Tensor> {
    /// The size of each dimension; `None` stands for any size.
    pub fn shape(self, sizes: impl IntoIterator<Item = Option<u64>>) -> Self {
        let sizes = sizes.into_iter().collect();
        self.with(|rules| rules.shape = Some(sizes))
    }

    /// The type of the numbers.
    pub fn dtype(self, dtype: Dtype) -> Self {
        self.with(|rules| rules.dtype = Some(dtype))
    }

    /// The smallest and the largest number in it.
    pub fn range(self, range: std::ops::RangeInclusive<f64>) -> Self {
        self.with(|rules| (rules.min, rules.max) = (Some(*range.start()), Some(*range.end())))
    }
}

impl VarSpec<kinds::Embedding> {
    /// How many numbers there are.
    pub fn dimensions(self, dimensions: u64) -> Self {
        self.with(|rules| rules.dimensions = Some(dimensions))
    }

    /// Which of its lengths is 1, within a millionth.
    pub fn norm(self, norm: Norm) -> Self {
        self.with(|rules| rules.norm = Some(norm))
    }

    /// How far from 1 the norm may be.
    pub fn tolerance(self, tolerance: f64) -> Self {
        self.with(|rules| rules.tolerance = Some(tolerance))
    }

    /// The smallest and the largest number in it.
    pub fn range(self, range: std::ops::RangeInclusive<f64>) -> Self {
        self.with(|rules| (rules.min, rules.max) = (Some(*range.start()), Some(*range.end())))
    }
}

impl VarSpec<kinds::Module> {
    /// The only classes, by their dotted paths.
    pub fn allowed(self, classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let classes = classes.into_iter().map(Into::into).collect();
        self.with(|rules| rules.allowed = Some(classes))
    }
}
