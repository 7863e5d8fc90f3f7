//! [`Lm`]: the handle of a language model that sessions and calls carry.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::error::LmError;
use super::model::{Capabilities, ErasedLanguageModel, LanguageModel};
use super::spec::{LmSpecDoc, SpecParts};

/// The environment variable that [`Lm::from_env`] reads.
const VARIABLE: &str = "DSPEX_LM";

/// A language model and its settings. Cheap to clone; each setting makes a changed copy.
///
/// ```
/// use dspex_runtime::lm::{Lm, LmResponse, lm_fn};
///
/// let remote = Lm::new("openai/gpt-4o-mini").temperature(0.2).max_tokens(400);
/// let local = Lm::host(lm_fn(|_| async { Ok(LmResponse::text("42")) }));
/// assert_eq!(remote.model(), "openai/gpt-4o-mini");
/// assert!(local.is_host());
/// ```
#[derive(Clone)]
pub struct Lm {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    model: String,
    kwargs: BTreeMap<String, Value>,
    api_key: Option<SecretString>,
    host: Option<Host>,
    /// The first setting that cannot be sent, reported when the model is first used.
    problem: Option<String>,
    spec: OnceLock<LmSpecDoc>,
}

#[derive(Clone)]
struct Host {
    model: Arc<dyn ErasedLanguageModel>,
    capabilities: Capabilities,
    identity: u64,
}

impl Lm {
    /// A provider's model, called by DSPy's own client: `openai/gpt-4o-mini`, `anthropic/..`, `ollama_chat/..`.
    ///
    /// Without [`api_key`](Lm::api_key) the client takes the key from the worker's environment, where the
    /// environment of this process is handed on, such as `OPENAI_API_KEY`.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self::of(model.into(), None)
    }

    /// A model written in Rust, under its own [`name`](LanguageModel::name).
    #[must_use]
    pub fn host(model: impl LanguageModel) -> Self {
        let name = model.name();
        Self::host_named(name, model)
    }

    /// A model written in Rust, seen by DSPy as `name`, in the form `provider/name`.
    #[must_use]
    pub fn host_named(name: impl Into<String>, model: impl LanguageModel) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let capabilities = model.capabilities();
        let identity = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::of(name.into(), Some(Host { model: Arc::new(model), capabilities, identity }))
    }

    /// The model that the environment variable `DSPEX_LM` names, as in `DSPEX_LM=openai/gpt-4o-mini`; `None` where
    /// it is unset or empty.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        Self::from_variable(&std::env::var(VARIABLE).ok()?)
    }

    fn from_variable(value: &str) -> Option<Self> {
        let model = value.trim();
        (!model.is_empty()).then(|| Self::new(model))
    }

    fn of(model: String, host: Option<Host>) -> Self {
        let inner = Inner {
            model,
            kwargs: BTreeMap::new(),
            api_key: None,
            host,
            problem: None,
            spec: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The provider's key. It is kept secret: never printed, never logged, never part of a spec.
    #[must_use]
    pub fn api_key(self, key: impl Into<SecretString>) -> Self {
        self.only_for_providers("api_key").changed(|inner| inner.api_key = Some(key.into()))
    }

    /// Another address of the provider, such as `http://localhost:8000/v1`.
    #[must_use]
    pub fn api_base(self, url: impl Into<String>) -> Self {
        self.only_for_providers("api_base").kwarg("api_base", url.into())
    }

    /// 0 (always the likeliest token) to 2.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        if !(0.0..=2.0).contains(&temperature) {
            return self.wrong(format!("the temperature must be between 0 and 2, not {temperature}"));
        }
        self.kwarg("temperature", temperature)
    }

    /// At most this many tokens in each answer.
    #[must_use]
    pub fn max_tokens(self, tokens: u32) -> Self {
        if tokens == 0 {
            return self.wrong("max_tokens must be at least 1".to_owned());
        }
        self.kwarg("max_tokens", tokens)
    }

    /// How often DSPy's own client tries again after an error for which [`LmError::is_retryable`] holds; 3 if not
    /// set. It waits 1, 2, 4, .. seconds in between, or as long as the provider asks. A host model is asked once:
    /// whether and when it tries again is its own decision.
    #[must_use]
    pub fn num_retries(self, retries: u32) -> Self {
        self.only_for_providers("num_retries").kwarg("num_retries", retries)
    }

    /// How long one request may take, in DSPy's own client. For a host model the model itself decides.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.only_for_providers("timeout").kwarg("timeout", timeout.as_secs_f64())
    }

    /// Any other keyword of `dspy.LM`, such as `top_p`.
    #[must_use]
    pub fn kwarg(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if matches!(name.as_str(), "model" | "engine" | "async_engine" | "cache" | "callbacks") {
            return self.wrong(format!("the keyword {name:?} of dspy.LM is set by dspex itself"));
        }
        if name == "api_key" {
            return self.wrong("pass the key with `Lm::api_key`, which keeps it secret".to_owned());
        }
        let value = value.into();
        self.changed(|inner| {
            inner.kwargs.insert(name, value);
        })
    }

    /// The name that DSPy sees.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.inner.model
    }

    /// The model runs in this process.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.inner.host.is_some()
    }

    /// Says what is wrong with the settings, before any call is made.
    ///
    /// # Errors
    ///
    /// [`LmError::Configuration`]: a setting out of range, a model without `provider/`, or a setting that does not
    /// apply to a host model.
    pub fn validate(&self) -> Result<(), LmError> {
        let inner = &self.inner;
        let problem = match (&inner.problem, inner.model.split_once('/')) {
            (Some(problem), _) => problem.clone(),
            (None, Some((provider, name))) if !provider.trim().is_empty() && !name.trim().is_empty() => {
                return Ok(());
            }
            (None, _) => {
                format!(
                    "{:?} names no provider: write `provider/model`, such as `openai/gpt-4o-mini`",
                    inner.model
                )
            }
        };
        Err(LmError::configuration(problem).with_model(inner.model.clone()))
    }

    /// The model as data, for the worker. Computed once for each handle.
    #[doc(hidden)]
    #[must_use]
    pub fn spec(&self) -> &LmSpecDoc {
        self.inner.spec.get_or_init(|| {
            let host = self.inner.host.as_ref();
            LmSpecDoc::new(&SpecParts {
                kind: if host.is_some() { "host" } else { "dspy" },
                model: &self.inner.model,
                kwargs: &self.inner.kwargs,
                capabilities: host.map(|host| &host.capabilities),
                api_key: self.inner.api_key.as_ref(),
                identity: host.map(|host| host.identity),
            })
        })
    }

    /// The model itself, where it runs in this process.
    #[doc(hidden)]
    #[must_use]
    pub fn host_model(&self) -> Option<&Arc<dyn ErasedLanguageModel>> {
        self.inner.host.as_ref().map(|host| &host.model)
    }

    /// The same model under another name: another model of the same provider's client, or what a host model is asked for.
    pub(crate) fn renamed(self, model: &str) -> Self {
        self.changed(|inner| inner.model = model.to_owned())
    }

    /// The keywords of `dspy.LM`.
    pub(super) fn kwargs(&self) -> &BTreeMap<String, Value> {
        &self.inner.kwargs
    }

    /// Whether it has a key of its own.
    pub(super) fn has_key(&self) -> bool {
        self.inner.api_key.is_some()
    }

    fn changed(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        inner.spec = OnceLock::new();
        change(inner);
        self
    }

    fn wrong(self, problem: String) -> Self {
        self.changed(|inner| {
            inner.problem.get_or_insert(problem);
        })
    }

    fn only_for_providers(self, setting: &str) -> Self {
        if !self.is_host() {
            return self;
        }
        self.wrong(format!("`{setting}` belongs to DSPy's own client; a host model has none"))
    }
}

impl fmt::Debug for Lm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        formatter
            .debug_struct("Lm")
            .field("model", &inner.model)
            .field("host", &inner.host.is_some())
            .field("kwargs", &redacted(&inner.kwargs))
            .field("api_key", &inner.api_key.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

impl From<&str> for Lm {
    fn from(model: &str) -> Self {
        Self::new(model)
    }
}

/// Keywords that hold no secrets. All others may, in headers and the like.
pub(super) const PLAIN: [&str; 9] = [
    "temperature",
    "max_tokens",
    "num_retries",
    "timeout",
    "top_p",
    "seed",
    "stop",
    "reasoning_effort",
    "model_type",
];

/// The keywords with the plain ones shown.
fn redacted(kwargs: &BTreeMap<String, Value>) -> BTreeMap<&str, Value> {
    kwargs
        .iter()
        .map(|(name, value)| {
            let shown = PLAIN.contains(&name.as_str());
            (name.as_str(), if shown { value.clone() } else { json!("[redacted]") })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_s_variable_names_a_model_or_none() {
        assert_eq!(
            Lm::from_variable(" openai/gpt-4o-mini\n").map(|lm| lm.model().to_owned()).as_deref(),
            Some("openai/gpt-4o-mini")
        );
        assert!(Lm::from_variable("").is_none());
        assert!(Lm::from_variable("  ").is_none());
    }
}
