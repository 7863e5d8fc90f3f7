//! The trait of a language model written in Rust.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::LmError;
use super::request::LmRequest;
use super::response::LmResponse;

/// What a model can do beyond text. DSPy's adapters ask before they use a feature.
///
/// ```
/// use dspex_runtime::lm::Capabilities;
/// let capabilities = Capabilities::default().function_calling(true).response_schema(true);
/// assert!(capabilities.params.iter().any(|param| param == "response_format"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// It calls tools natively.
    pub function_calling: bool,
    /// It adheres to a JSON Schema in `config.response_format`.
    pub response_schema: bool,
    /// It reasons natively.
    pub reasoning: bool,
    /// Settings that it understands, by their OpenAI names.
    pub params: Vec<String>,
}

impl Default for Capabilities {
    /// Text in, text out.
    fn default() -> Self {
        let params = ["max_tokens", "stop", "temperature", "top_p"];
        Self {
            function_calling: false,
            response_schema: false,
            reasoning: false,
            params: params.map(str::to_owned).to_vec(),
        }
    }
}

impl Capabilities {
    /// Native tool calls, and the parameters `tools` and `tool_choice` that belong to them.
    #[must_use]
    pub fn function_calling(mut self, supported: bool) -> Self {
        self.function_calling = supported;
        self.declare(&["tool_choice", "tools"], supported);
        self
    }

    /// Structured outputs, and the parameter `response_format` that belongs to them.
    #[must_use]
    pub fn response_schema(mut self, supported: bool) -> Self {
        self.response_schema = supported;
        self.declare(&["response_format"], supported);
        self
    }

    /// Native reasoning, and the parameter `reasoning_effort` that belongs to it.
    #[must_use]
    pub fn reasoning(mut self, supported: bool) -> Self {
        self.reasoning = supported;
        self.declare(&["reasoning_effort"], supported);
        self
    }

    /// One more setting that the model understands.
    #[must_use]
    pub fn param(mut self, name: &str) -> Self {
        self.declare(&[name], true);
        self
    }

    fn declare(&mut self, names: &[&str], supported: bool) {
        self.params.retain(|param| !names.contains(&param.as_str()));
        if supported {
            self.params.extend(names.iter().map(|name| (*name).to_owned()));
        }
        self.params.sort_unstable();
    }
}

/// A language model that runs in the host. [`Lm::host`](super::Lm::host) makes DSPy use it.
///
/// Dropping the future is cancellation: it happens when the call that asked is cancelled or past its deadline.
/// Many requests may be in flight at once. Nobody tries again when it fails: a model that wants to retry does so itself,
/// with [`LmError::is_retryable`] and [`LmError::retry_after`].
///
/// ```
/// use dspex_runtime::lm::{LanguageModel, LmError, LmRequest, LmResponse};
///
/// struct Parrot;
///
/// impl LanguageModel for Parrot {
///     async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
///         Ok(LmResponse::text(request.last_user_text()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a language model",
    label = "does not implement `LanguageModel`",
    note = "implement `LanguageModel`, or wrap a closure: `lm_fn(|request| async move {{ .. }})`"
)]
pub trait LanguageModel: Send + Sync + 'static {
    /// The name under which DSPy sees the model, as `provider/name`.
    fn name(&self) -> String {
        "host/model".to_owned()
    }

    /// What the model can do. Asked once, when the model becomes an [`Lm`](super::Lm).
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Answers one request.
    ///
    /// # Errors
    ///
    /// An [`LmError`]; DSPy raises the class of the same meaning.
    fn complete(&self, request: LmRequest) -> impl Future<Output = Result<LmResponse, LmError>> + Send;
}

impl<T: LanguageModel> LanguageModel for Arc<T> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn complete(&self, request: LmRequest) -> impl Future<Output = Result<LmResponse, LmError>> + Send {
        (**self).complete(request)
    }
}

/// Makes a language model of an async closure.
///
/// ```
/// use dspex_runtime::lm::{LmResponse, lm_fn};
/// let model = lm_fn(|request| async move { Ok(LmResponse::text(request.last_user_text())) });
/// # fn check(_: impl dspex_runtime::lm::LanguageModel) {}
/// # check(model);
/// ```
pub fn lm_fn<F, Fut>(complete: F) -> LmFn<F>
where
    F: Fn(LmRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<LmResponse, LmError>> + Send + 'static,
{
    LmFn { complete, name: "host/model".to_owned(), capabilities: Capabilities::default() }
}

/// A closure as a language model; see [`lm_fn`].
#[derive(Clone)]
pub struct LmFn<F> {
    complete: F,
    name: String,
    capabilities: Capabilities,
}

impl<F> LmFn<F> {
    /// The same model under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same model with other capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }
}

impl<F> std::fmt::Debug for LmFn<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LmFn").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<F, Fut> LanguageModel for LmFn<F>
where
    F: Fn(LmRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<LmResponse, LmError>> + Send + 'static,
{
    fn name(&self) -> String {
        self.name.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn complete(&self, request: LmRequest) -> impl Future<Output = Result<LmResponse, LmError>> + Send {
        (self.complete)(request)
    }
}

/// The same model behind a pointer: what an [`Lm`](super::Lm) stores.
#[doc(hidden)]
pub trait ErasedLanguageModel: Send + Sync + 'static {
    /// See [`LanguageModel::complete`].
    fn complete_erased(
        &self,
        request: LmRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LmResponse, LmError>> + Send + '_>>;
}

impl<T: LanguageModel> ErasedLanguageModel for T {
    fn complete_erased(
        &self,
        request: LmRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LmResponse, LmError>> + Send + '_>> {
        Box::pin(self.complete(request))
    }
}
