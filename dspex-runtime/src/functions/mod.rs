//! Functions of the program as arguments of DSPy's classes: tools, rewards, metrics, embedders.
//!
//! A spec is data, so it names them by keys; [`Functions`] holds what the keys stand for, and never leaves the process.

mod embedder;
mod host;
mod judge;
mod metric;
mod reward;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub use embedder::Embedder;
pub(crate) use host::CallHost;
pub use metric::{Gold, Judged, Metric, Score};
pub use reward::Reward;

use crate::tool::{Declaration, Entry, States, ToolSet, ToolSetError};

/// What the keys of an instance's own tools begin with.
pub(crate) const TOOL_PREFIX: &str = "tool:";

/// What the keys of a spec stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions(BTreeMap<String, HostFunction>);

/// One function of the program.
#[derive(Clone, Debug)]
pub(crate) enum HostFunction {
    Tool { entry: Arc<Entry>, states: States },
    Reward(Reward),
    Metric(Metric),
    Embedder(Embedder),
}

impl HostFunction {
    /// Whether both are the same function.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tool { entry: one, .. }, Self::Tool { entry: two, .. }) => one.is(two),
            (Self::Reward(one), Self::Reward(two)) => one.0.is(&two.0),
            (Self::Metric(one), Self::Metric(two)) => one.0.is(&two.0),
            (Self::Embedder(one), Self::Embedder(two)) => one.is(two),
            _ => false,
        }
    }
}

impl Functions {
    pub(crate) fn get(&self, key: &str) -> Option<&HostFunction> {
        self.0.get(key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These, and those of a call's instance, whose keys are its own.
    pub(crate) fn with(self: &Arc<Self>, of_instance: Option<Arc<Self>>) -> Arc<Self> {
        match of_instance {
            None => self.clone(),
            Some(others) if self.is_empty() => others,
            Some(others) => {
                let mut all = (**self).clone();
                all.0.extend(others.0.iter().map(|(key, function)| (key.clone(), function.clone())));
                Arc::new(all)
            }
        }
    }

    /// Adds a function, and says by which key: the wanted one, unless another function has that.
    pub(crate) fn add(&mut self, wanted: &str, function: HostFunction) -> String {
        let mut key = wanted.to_owned();
        let mut others = 1;
        while self.0.get(&key).is_some_and(|there| !there.is(&function)) {
            others += 1;
            key = format!("{wanted}~{others}");
        }
        self.0.insert(key.clone(), function);
        key
    }

    /// Adds tools; the list of them as it stands in a spec.
    pub(crate) fn add_tools(&mut self, tools: &ToolSet) -> Value {
        let declared = tools.entries().iter().map(|entry| {
            let function = HostFunction::Tool { entry: entry.clone(), states: tools.states().clone() };
            let key = self.add(&format!("{TOOL_PREFIX}{}", entry.name()), function);
            Declaration { key: key.into(), spec: entry.tool.spec() }.to_document()
        });
        Value::Array(declared.collect())
    }

    /// Adds those of a spec that becomes part of another one, whose document is changed where a key is taken.
    pub(crate) fn absorb(&mut self, others: &Self, document: &mut Value) {
        for (wanted, function) in &others.0 {
            let key = self.add(wanted, function.clone());
            if key != *wanted {
                rename(document, wanted, &key);
            }
        }
    }

    /// That each tool finds its states, in its set or among the program's, and has no name that the session gave another tool.
    pub(crate) fn check(&self, program: &States, session: Option<&ToolSet>) -> Result<(), ToolSetError> {
        for function in self.0.values() {
            let HostFunction::Tool { entry, states } = function else { continue };
            crate::tool::check_requirements(entry, states, program)?;
            if let Some(there) = session.and_then(|session| session.entry(entry.name()))
                && !there.is(entry)
            {
                return Err(ToolSetError::Duplicate(entry.name().to_owned()));
            }
        }
        Ok(())
    }
}

/// `{"host": from}` becomes `{"host": to}`, wherever it stands.
fn rename(document: &mut Value, from: &str, to: &str) {
    match document {
        Value::Object(object) => {
            if let Some(Value::String(key)) = object.get_mut("host")
                && key == from
            {
                to.clone_into(key);
            }
            object.values_mut().for_each(|value| rename(value, from, to));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, from, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reward(score: f64) -> HostFunction {
        HostFunction::Reward(Reward::new(move |_: Value, _: Value| score))
    }

    #[test]
    fn a_key_that_another_function_has_is_changed_in_the_document_that_comes_in() {
        let mut outer = Functions::default();
        assert_eq!(outer.add("reward_fn", reward(1.0)), "reward_fn");
        let mut inner = Functions::default();
        inner.add("reward_fn", reward(0.0));
        let mut document = json!({"args": {"reward_fn": {"host": "reward_fn"}, "N": 3}});
        outer.absorb(&inner, &mut document);
        assert_eq!(document["args"]["reward_fn"]["host"], "reward_fn~2");
        assert!(outer.get("reward_fn").is_some() && outer.get("reward_fn~2").is_some());
    }

    #[test]
    fn the_same_function_keeps_its_key() {
        let mut functions = Functions::default();
        let one = reward(1.0);
        functions.add("reward_fn", one.clone());
        assert_eq!(functions.add("reward_fn", one), "reward_fn");
    }
}
