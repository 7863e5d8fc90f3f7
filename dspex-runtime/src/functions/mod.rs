//! Functions of the program as arguments of DSPy's classes: tools, rewards, metrics, embedders.
//!
//! A spec is data, so it names them by keys; [`Functions`] holds what the keys stand for, and never leaves the process.

mod embedder;
mod host;
mod judge;
mod keys;
mod metric;
mod reward;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use embedder::Embedder;
pub(crate) use host::CallHost;
use keys::{Renames, variants};
pub use metric::{Gold, Judged, Metric, Score};
pub use reward::Reward;

use crate::tool::{Declaration, Entry, States, ToolSet, ToolSetError};

/// What the keys of an instance's own tools begin with.
pub(crate) const TOOL_PREFIX: &str = "tool:";

/// What the keys of a call's own arguments begin with, so that they are none of its instance's.
const CALL_PREFIX: &str = "call:";

/// What the keys of a spec stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions(BTreeMap<String, HostFunction>);

/// One function of the program.
#[derive(Clone, Debug)]
pub(crate) enum HostFunction {
    Tool(Arc<Entry>),
    Reward(Reward),
    Metric(Metric),
    Embedder(Embedder),
}

impl HostFunction {
    /// Whether both are the same function, with the same states.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tool(one), Self::Tool(two)) => one.is_just(two),
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

    /// The key of a function that is no tool, so that nothing finds it again by a name.
    pub(crate) fn closure(&self) -> Option<&str> {
        let found = self.0.iter().find(|(_, function)| !matches!(function, HostFunction::Tool { .. }));
        found.map(|(key, _)| key.as_str())
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
        let key = self.place(wanted, &function, |_| false);
        self.0.insert(key.clone(), function);
        key
    }

    /// The first key like the wanted one that this function has already, or that is neither another's nor reserved.
    fn place(&self, wanted: &str, function: &HostFunction, reserved: impl Fn(&str) -> bool) -> String {
        let fits = |key: &String| match self.0.get(key) {
            Some(there) => there.is(function),
            None => key == wanted || !reserved(key),
        };
        // There are more of them than functions.
        variants(wanted).find(fits).unwrap_or_default()
    }

    /// Adds tools; the list of them as it stands in a spec.
    pub(crate) fn add_tools(&mut self, tools: &ToolSet) -> Value {
        let declared = tools.entries().iter().map(|entry| {
            let key = self.add(&format!("{TOOL_PREFIX}{}", entry.name()), HostFunction::Tool(entry.clone()));
            Declaration { key: key.into(), spec: entry.tool.spec() }.to_document()
        });
        Value::Array(declared.collect())
    }

    /// Adds those of a spec that becomes part of another one, whose document is changed where a key is taken.
    pub(crate) fn absorb(&mut self, others: &Self, document: &mut Value) {
        let mut renames = Renames::default();
        for (wanted, function) in &others.0 {
            // A key that another of them has would be two functions' before the document is changed.
            let key = self.place(wanted, function, |key| others.0.contains_key(key));
            self.0.insert(key.clone(), function.clone());
            renames.insert(wanted, key);
        }
        renames.in_spec(document);
    }

    /// Those of a call's arguments, by keys that no instance has; the arguments are changed.
    pub(crate) fn of_call(self, arguments: &mut Map<String, Value>) -> Self {
        let mut renames = Renames::default();
        let mut renamed = BTreeMap::new();
        for (key, function) in self.0 {
            let new = format!("{CALL_PREFIX}{key}");
            renames.insert(&key, new.clone());
            renamed.insert(new, function);
        }
        renames.in_arguments(arguments);
        Self(renamed)
    }

    /// That each tool finds its states and its session, and has no name that the session gave another tool.
    pub(crate) fn check(&self, program: &States, session: Option<&ToolSet>) -> Result<(), ToolSetError> {
        for function in self.0.values() {
            let HostFunction::Tool(entry) = function else { continue };
            crate::tool::check_requirements(entry, program, session.is_some())?;
            if let Some(there) = session.and_then(|session| session.entry(entry.name()))
                && !there.is(entry)
            {
                return Err(ToolSetError::Duplicate(entry.name().to_owned()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
