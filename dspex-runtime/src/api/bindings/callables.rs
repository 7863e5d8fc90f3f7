//! Functions of the program as arguments: tools, metrics, rewards, embedders.

use serde_json::{Value, json};

use crate::api::Session;
use crate::functions::{Embedder, Functions, HostFunction, Metric, Reward};
use crate::tool::{IntoToolSet, ToolSet, ToolSetError};

/// A function of the program that DSPy calls: a [`Metric`], a [`Reward`] or an [`Embedder`].
#[derive(Clone, Debug)]
pub struct Callable(HostFunction);

impl Callable {
    /// As it stands in a spec.
    pub(crate) fn declare(self, argument: &str, functions: &mut Functions) -> Value {
        let described = |text: Option<&str>| text.map(|text| ("describe", text.to_owned()));
        let told = match &self.0 {
            HostFunction::Reward(reward) => described(reward.described()),
            HostFunction::Metric(metric) => described(metric.described()),
            // It is asked while the instance is built, so that what is built is its own.
            HostFunction::Embedder(embedder) => Some(("id", embedder.id().to_string())),
            HostFunction::Tool(_) => None,
        };
        let mut declared = json!({"host": functions.add(argument, self.0)});
        if let Some((name, text)) = told {
            declared[name] = text.into();
        }
        declared
    }
}

impl From<Metric> for Callable {
    fn from(metric: Metric) -> Self {
        Self(HostFunction::Metric(metric))
    }
}

impl From<Reward> for Callable {
    fn from(reward: Reward) -> Self {
        Self(HostFunction::Reward(reward))
    }
}

impl From<Embedder> for Callable {
    fn from(embedder: Embedder) -> Self {
        Self(HostFunction::Embedder(embedder))
    }
}

/// The tools of an agent: those of a set, those that a session has now, or none.
#[derive(Clone, Debug)]
pub struct AgentTools(Source);

#[derive(Clone, Debug)]
enum Source {
    Own(ToolSet),
    OfSession(Session),
}

impl AgentTools {
    /// The list of them as it stands in a spec.
    pub(crate) fn declare(self, functions: &mut Functions) -> Result<Value, ToolSetError> {
        match self.0 {
            Source::Own(tools) => Ok(functions.add_tools(&tools)),
            Source::OfSession(session) => Ok(session.state().tools().declarations()),
        }
    }
}

/// What can be given where DSPy takes a list of tools: `tools![..]`, the tools of a session (`&session`), or `[]` for none.
pub trait IntoTools {
    /// The tools.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    fn into_tools(self) -> Result<AgentTools, ToolSetError>;
}

impl<T: IntoToolSet> IntoTools for T {
    fn into_tools(self) -> Result<AgentTools, ToolSetError> {
        Ok(AgentTools(Source::Own(self.into_tool_set()?)))
    }
}

impl IntoTools for &Session {
    fn into_tools(self) -> Result<AgentTools, ToolSetError> {
        Ok(AgentTools(Source::OfSession(self.clone())))
    }
}

/// No tools.
impl IntoTools for [(); 0] {
    fn into_tools(self) -> Result<AgentTools, ToolSetError> {
        Ok(AgentTools(Source::Own(ToolSet::new())))
    }
}
