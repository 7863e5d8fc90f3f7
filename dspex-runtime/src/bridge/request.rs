//! What one call is, before it has a place: its target, its inputs, and all that it carries along.

use std::sync::Arc;
use std::time::Duration;

use dspex_state::Variables;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{HostFunctions, Spec, ToolDocument};
use crate::functions::Functions;
use crate::lm::Lm;
use crate::proto::{self, open};
use crate::tool::Standing;

/// What a call is about.
pub(crate) enum Target {
    /// A method of an instance; empty: the call of the module itself.
    Instance {
        /// What the instance is.
        spec: Arc<Spec>,
        /// The method's name.
        method: String,
    },
    /// Builds an instance and calls nothing.
    Check(Arc<Spec>),
    /// A function or class by its path.
    Function(String),
    /// Descriptions of modules.
    Introspect(Vec<String>),
    /// A tool that is written in Python, by its path: what it is, or its run.
    Tool {
        /// The dotted path.
        path: String,
        /// Nothing is run.
        describe: bool,
    },
}

impl Target {
    pub(super) fn spec(&self) -> Option<&Arc<Spec>> {
        match self {
            Self::Instance { spec, .. } | Self::Check(spec) => Some(spec),
            Self::Function(_) | Self::Introspect(_) | Self::Tool { .. } => None,
        }
    }

    /// Whether it is the call of a module, which asks its language model as a rule.
    pub(super) fn calls_model(&self) -> bool {
        matches!(self, Self::Instance { method, .. } if method.is_empty())
    }

    /// Whether it is a run of an optimizer: nothing else of DSPy's has a `compile`.
    pub(super) fn optimizes(&self) -> bool {
        matches!(self, Self::Instance { method, .. } if method == "compile")
    }

    /// The functions of the program that its instance has; none for most.
    pub(crate) fn functions(&self) -> Option<Arc<Functions>> {
        self.spec().map(|spec| spec.functions.clone()).filter(|functions| !functions.is_empty())
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Instance { spec, .. } | Self::Check(spec) => &spec.class,
            Self::Function(path) | Self::Tool { path, .. } => path,
            Self::Introspect(_) => "introspection",
        }
    }

    /// The method of an instance; empty for all else.
    pub(super) fn method(&self) -> &str {
        match self {
            Self::Instance { method, .. } => method,
            _ => "",
        }
    }

    pub(super) fn to_wire(&self) -> open::Target {
        match self {
            Self::Instance { spec, method } => open::Target::Instance(proto::InstanceCall {
                spec: spec.hash.clone(),
                method: method.clone(),
            }),
            Self::Check(spec) => open::Target::Check(proto::Check { spec: spec.hash.clone() }),
            Self::Function(path) => open::Target::Function(proto::FunctionCall { path: path.clone() }),
            Self::Introspect(modules) => {
                open::Target::Introspect(proto::Introspect { modules: modules.clone() })
            }
            Self::Tool { path, describe } => {
                open::Target::Tool(proto::ToolCall { path: path.clone(), describe: *describe })
            }
        }
    }
}

/// Everything about one call.
pub(crate) struct Request {
    /// What it is about.
    pub(crate) target: Target,
    /// Its inputs as JSON; empty where it takes none.
    pub(crate) inputs: bytes::Bytes,
    /// The name of the pool; the default one if none is chosen.
    pub(crate) pool: Option<Arc<str>>,
    /// The session's id; empty without one.
    pub(crate) session: String,
    /// The language model that it uses.
    pub(crate) lm: Option<Lm>,
    /// The session's variables, for Python to read and write; none without a session.
    pub(crate) variables: Option<Variables>,
    /// The functions of the program that Python may call, and what takes its events.
    pub(crate) host: Option<Arc<dyn HostFunctions>>,
    /// The tools of the session, for Python's own programs.
    pub(crate) tools: Option<Arc<ToolDocument>>,
    /// Where this call stands, among those above it that each wait for a tool that made the next.
    pub(crate) above: Standing,
    /// Where those stand that its tools make.
    pub(crate) below: Standing,
    /// `""`, `chat`, `json` or `xml`.
    pub(crate) adapter: &'static str,
    /// From its start until it must have ended, queueing included.
    pub(crate) deadline: Duration,
    /// When that is.
    pub(crate) expires: Instant,
    /// May be run again if its worker was lost.
    pub(crate) idempotent: bool,
    /// Knows the call until Python has ended it.
    pub(crate) tracker: Option<TaskTracker>,
}
