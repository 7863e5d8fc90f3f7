//! Whether constraints make sense, before any value is held against them.

use super::{Rules, SpecError};

impl Rules {
    /// Whether some value could meet them.
    pub(crate) fn check(&self) -> Result<(), SpecError> {
        let wrong =
            |constraint, reason: String| Err(SpecError::Senseless { kind: self.kind(), constraint, reason });
        let flaw = match self {
            Self::String(rules) => ordered("min_length", rules.min_length, "max_length", rules.max_length)
                .or_else(|| options(rules.one_of.as_deref())),
            Self::Integer(rules) => {
                let step = rules
                    .step
                    .filter(|step| *step <= 0)
                    .map(|step| ("step", format!("{step} is not over 0")));
                ordered("min", rules.min, "max", rules.max)
                    .or(step)
                    .or_else(|| options(rules.one_of.as_deref()))
            }
            Self::Float(rules) => {
                let step = rules.step.filter(|step| !(*step > 0.0 && step.is_finite()));
                let step = step.map(|step| ("step", format!("{step} is no number over 0")));
                let odd = rules.one_of.iter().flatten().find(|option| !option.is_finite());
                let odd = odd.map(|option| ("enum", format!("{option} is no finite number")));
                bounds(rules.min, rules.max).or(step).or(odd).or_else(|| options(rules.one_of.as_deref()))
            }
            Self::Boolean(_) => None,
            Self::List(rules) => {
                rules.items.as_ref().map(|items| items.check()).transpose()?;
                ordered("min_items", rules.min_items, "max_items", rules.max_items)
            }
            Self::Dict(rules) => {
                rules.values.as_ref().map(|values| values.check()).transpose()?;
                let required = u64::try_from(rules.required.len()).unwrap_or(u64::MAX);
                let crowded = rules.max_items.filter(|most| *most < required);
                let crowded = crowded
                    .map(|most| ("max_items", format!("{most} is less than the {required} required keys")));
                ordered("min_items", rules.min_items, "max_items", rules.max_items)
                    .or(crowded)
                    .or_else(|| repeated("required", &rules.required))
            }
            Self::Tensor(rules) => bounds(rules.min, rules.max),
            Self::Embedding(rules) => {
                let tolerance =
                    rules.tolerance.filter(|tolerance| !(*tolerance >= 0.0 && tolerance.is_finite()));
                let tolerance =
                    tolerance.map(|tolerance| ("tolerance", format!("{tolerance} is no number from 0")));
                let alone = rules.tolerance.is_some() && rules.norm.is_none();
                let alone = alone.then(|| ("tolerance", "it belongs to `norm`, which is not set".to_owned()));
                bounds(rules.min, rules.max).or(tolerance).or(alone)
            }
            Self::Choice(rules) if rules.choices.is_empty() => {
                Some(("choices", "there is nothing to choose from".to_owned()))
            }
            Self::Choice(rules) => repeated("choices", &rules.choices),
            Self::Module(rules) => {
                let odd = rules.allowed.iter().flatten().find(|path| !is_path(path));
                let odd = odd.map(|path| ("allowed", format!("{path:?} is no dotted path")));
                options(rules.allowed.as_deref()).map(|(_, reason)| ("allowed", reason)).or(odd)
            }
        };
        flaw.map_or(Ok(()), |(constraint, reason)| wrong(constraint, reason))
    }
}

type Flaw = Option<(&'static str, String)>;

fn ordered<T: PartialOrd + std::fmt::Display>(
    low: &'static str,
    min: Option<T>,
    high: &str,
    max: Option<T>,
) -> Flaw {
    match (min, max) {
        (Some(min), Some(max)) if min > max => Some((low, format!("{min} is over `{high}`, {max}"))),
        _ => None,
    }
}

fn bounds(min: Option<f64>, max: Option<f64>) -> Flaw {
    for (name, bound) in [("min", min), ("max", max)] {
        if bound.is_some_and(|bound| !bound.is_finite()) {
            return Some((name, "it is no finite number".to_owned()));
        }
    }
    ordered("min", min, "max", max)
}

fn options<T: PartialEq + std::fmt::Debug>(options: Option<&[T]>) -> Flaw {
    match options {
        Some([]) => Some(("enum", "no value is allowed".to_owned())),
        Some(options) => repeated("enum", options),
        None => None,
    }
}

fn repeated<T: PartialEq + std::fmt::Debug>(constraint: &'static str, all: &[T]) -> Flaw {
    let twice = all.iter().enumerate().find(|(index, one)| all[..*index].contains(one));
    twice.map(|(_, one)| (constraint, format!("{one:?} is there twice")))
}

/// Whether a text is identifiers with dots between them.
pub(crate) fn is_path(text: &str) -> bool {
    let is_name = |name: &str| {
        let mut characters = name.chars();
        characters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
            && characters.all(|other| other == '_' || other.is_alphanumeric())
    };
    text.split('.').all(is_name)
}
