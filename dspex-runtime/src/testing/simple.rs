//! Models for measurements: at once, as an echo, and late.

use std::time::Duration;

use crate::lm::{Capabilities, LanguageModel, LmError, LmRequest, LmResponse};

/// Answers one prepared answer at once, whatever is asked.
///
/// ```
/// use dspex_runtime::testing::InstantLm;
/// let model = InstantLm::text("[[ ## answer ## ]]\n4\n\n[[ ## completed ## ]]");
/// # let _ = model;
/// ```
#[derive(Debug, Clone)]
pub struct InstantLm {
    answer: LmResponse,
}

impl InstantLm {
    /// A model that always gives this answer.
    #[must_use]
    pub fn new(answer: LmResponse) -> Self {
        Self { answer }
    }

    /// A model that always gives this text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(LmResponse::text(text))
    }
}

impl LanguageModel for InstantLm {
    fn name(&self) -> String {
        "dspex/instant".to_owned()
    }

    async fn complete(&self, _request: LmRequest) -> Result<LmResponse, LmError> {
        Ok(self.answer.clone())
    }
}

/// Answers with the newest user message, word for word.
#[derive(Debug, Clone, Copy, Default)]
pub struct EchoLm;

impl LanguageModel for EchoLm {
    fn name(&self) -> String {
        "dspex/echo".to_owned()
    }

    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        Ok(counted(LmResponse::text(request.last_user_text()), &request))
    }
}

/// Another model, later: each answer waits first. Many answers wait at the same time.
///
/// ```
/// use dspex_runtime::testing::{DelayedLm, StandInLm};
/// use std::time::Duration;
/// let model = DelayedLm::new(StandInLm::new(), Duration::from_millis(500));
/// # let _ = model;
/// ```
#[derive(Debug, Clone)]
pub struct DelayedLm<M> {
    inner: M,
    delay: Duration,
}

impl<M: LanguageModel> DelayedLm<M> {
    /// The model, with this delay before each answer.
    #[must_use]
    pub fn new(inner: M, delay: Duration) -> Self {
        Self { inner, delay }
    }
}

impl<M: LanguageModel> LanguageModel for DelayedLm<M> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn complete(&self, request: LmRequest) -> Result<LmResponse, LmError> {
        tokio::time::sleep(self.delay).await;
        self.inner.complete(request).await
    }
}

/// The same answer with tokens counted roughly, four characters each, where it counts none itself.
pub(super) fn counted(response: LmResponse, request: &LmRequest) -> LmResponse {
    if response.usage != crate::lm::Usage::default() {
        return response;
    }
    let tokens = |text: &str| u64::try_from(text.chars().count().div_ceil(4)).unwrap_or(u64::MAX);
    let calls: u64 = response.message.tool_calls().map(|call| tokens(&call.input.to_string())).sum();
    let output = tokens(&response.output_text()) + calls;
    response.usage(tokens(&request.prompt_text()), output)
}
