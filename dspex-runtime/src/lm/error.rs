//! DSPy's tree of language-model errors (`dspy.utils.exceptions.LMError`), one variant a class.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// Where DSPy's classes live.
const MODULE: &str = "dspy.utils.exceptions";

/// What every language-model error carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LmErrorDetails {
    /// What happened, for people.
    pub message: String,
    /// The model that was asked.
    pub model: Option<String>,
    /// Who answered, such as `openai`.
    pub provider: Option<String>,
    /// The provider's own code.
    pub provider_code: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
}

/// The parts of an error message on the wire, so that this module needs to know no protocol types.
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LmErrorWire {
    /// Qualified Python class.
    pub class: String,
    /// Its base classes, nearest first.
    pub mro: Vec<String>,
    /// What happened, for people.
    pub message: String,
    /// `code`, `model`, `provider`, `provider_code`, `status`, `request_id`.
    pub attributes: Map<String, Value>,
    /// Whether a later try may work.
    pub retryable: bool,
    /// Seconds; 0: unknown.
    pub retry_after: f64,
}

macro_rules! lm_errors {
    ($(
        $(#[doc = $doc:literal])+
        $variant:ident, $new:ident, $class:literal, $code:literal, $label:literal,
        retryable: $retryable:literal, bases: [$($base:literal),*];
    )+) => {
        /// A language model did not answer.
        ///
        /// Each variant is one class of DSPy's tree: what a host model returns is raised as that class in Python, and
        /// what Python raises arrives as that variant. A class that this version does not know arrives as its nearest
        /// known base, else as [`LmError::Unexpected`].
        ///
        /// ```
        /// use dspex_runtime::lm::LmError;
        /// use std::time::Duration;
        ///
        /// let error = LmError::rate_limit("slow down").with_status(429).with_retry_after(Duration::from_secs(2));
        /// assert!(error.is_retryable());
        /// assert_eq!(error.code(), "rate_limit");
        /// assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum LmError {
            $( $(#[doc = $doc])+ $variant(Box<LmErrorDetails>), )+
        }

        impl LmError {
            $(
                $(#[doc = $doc])+
                pub fn $new(message: impl Into<String>) -> Self {
                    Self::$variant(Box::new(LmErrorDetails { message: message.into(), ..LmErrorDetails::default() }))
                }
            )+

            /// DSPy's stable code of the error, such as `rate_limit`.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self { $( Self::$variant(_) => $code, )+ }
            }

            /// A later try may work. The same set as `dspy.utils.exceptions.is_retryable_lm_error`.
            #[must_use]
            pub fn is_retryable(&self) -> bool {
                match self { $( Self::$variant(_) => $retryable, )+ }
            }

            /// What the error carries.
            #[must_use]
            pub fn details(&self) -> &LmErrorDetails {
                match self { $( Self::$variant(details) => details, )+ }
            }

            /// What the error carries, to be changed.
            pub fn details_mut(&mut self) -> &mut LmErrorDetails {
                match self { $( Self::$variant(details) => details, )+ }
            }

            /// The Python class, qualified.
            #[must_use]
            pub fn class(&self) -> &'static str {
                match self { $( Self::$variant(_) => concat!("dspy.utils.exceptions.", $class), )+ }
            }

            fn bases(&self) -> &'static [&'static str] {
                match self { $( Self::$variant(_) => &[$($base),*], )+ }
            }

            fn label(&self) -> &'static str {
                match self { $( Self::$variant(_) => $label, )+ }
            }

            fn from_code(code: &str, details: Box<LmErrorDetails>) -> Result<Self, Box<LmErrorDetails>> {
                match code {
                    $( $code => Ok(Self::$variant(details)), )+
                    _ => Err(details),
                }
            }

            fn code_of_class(class: &str) -> Option<&'static str> {
                match class { $( $class => Some($code), )+ _ => None }
            }

            /// Every class of the tree with its code, for the test against the real one.
            #[doc(hidden)]
            #[must_use]
            pub fn all() -> Vec<Self> {
                vec![$( Self::$new(""), )+]
            }
        }
    };
}

lm_errors! {
    /// The request failed before the provider answered: network, DNS, TLS, a broken connection, a read timeout.
    Transport, transport, "LMTransportError", "transport", "the provider could not be reached",
        retryable: true, bases: [];
    /// Another process holds the lock of a credential file.
    LockTimeout, lock_timeout, "LMLockTimeoutError", "lock_timeout", "a credential is locked",
        retryable: true, bases: [];
    /// A local limit on collected output was reached.
    CollectionLimit, collection_limit, "LMCollectionLimitError", "collection_limit", "the answer is too large",
        retryable: false, bases: [];
    /// The model or its client is set up wrongly.
    Configuration, configuration, "LMConfigurationError", "configuration", "the model is set up wrongly",
        retryable: false, bases: [];
    /// A key or another necessary setting is missing.
    NotConfigured, not_configured, "LMNotConfiguredError", "not_configured", "the model is not set up",
        retryable: false, bases: ["LMConfigurationError"];
    /// The model cannot do what was asked.
    UnsupportedFeature, unsupported_feature, "LMUnsupportedFeatureError", "unsupported_feature",
        "the model does not support this", retryable: false, bases: [];
    /// A failure that nothing else describes.
    Unexpected, unexpected, "LMUnexpectedError", "unexpected", "the model failed unexpectedly",
        retryable: false, bases: [];
    /// A stream broke off or made no sense.
    StreamAssembly, stream_assembly, "LMStreamAssemblyError", "stream_assembly", "the answer's stream is incomplete",
        retryable: false, bases: ["LMUnexpectedError"];
    /// The provider answered with an error that nothing below describes.
    Provider, provider, "LMProviderError", "provider", "the provider reported an error",
        retryable: false, bases: [];
    /// The provider did not accept the key.
    Auth, auth, "LMAuthError", "auth", "the provider refused the key",
        retryable: false, bases: ["LMProviderError"];
    /// The account has no money or quota left.
    Billing, billing, "LMBillingError", "billing", "the provider's account is exhausted",
        retryable: false, bases: ["LMProviderError"];
    /// Too many requests; see [`LmError::retry_after`].
    RateLimit, rate_limit, "LMRateLimitError", "rate_limit", "rate limited by the provider",
        retryable: true, bases: ["LMProviderError"];
    /// The provider took too long.
    Timeout, timeout, "LMTimeoutError", "timeout", "the provider took too long",
        retryable: true, bases: ["LMProviderError"];
    /// The provider failed.
    Server, server, "LMServerError", "server", "the provider failed",
        retryable: true, bases: ["LMProviderError"];
    /// The provider did not accept the request.
    InvalidRequest, invalid_request, "LMInvalidRequestError", "invalid_request", "the provider refused the request",
        retryable: false, bases: ["LMProviderError"];
    /// The prompt is longer than the model can read.
    ContextWindowExceeded, context_window_exceeded, "ContextWindowExceededError", "context_window_exceeded",
        "the prompt is too long for the model", retryable: false, bases: ["LMInvalidRequestError", "LMProviderError"];
    /// The provider has no such model.
    UnsupportedModel, unsupported_model, "LMUnsupportedModelError", "unsupported_model",
        "the provider has no such model", retryable: false, bases: ["LMInvalidRequestError", "LMProviderError"];
}

impl LmError {
    /// How long the provider asks to wait before the next try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.details().retry_after
    }

    /// What happened, without the details.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.details().message
    }

    /// The same error with the time to wait before the next try.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.details_mut().retry_after = Some(wait);
        self
    }

    /// The same error with its HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.details_mut().status = Some(status);
        self
    }

    /// The same error with the model that was asked.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.details_mut().model = Some(model.into());
        self
    }

    /// The same error with the provider's name.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.details_mut().provider = Some(provider.into());
        self
    }

    /// The same error with the provider's own code.
    #[must_use]
    pub fn with_provider_code(mut self, code: impl Into<String>) -> Self {
        self.details_mut().provider_code = Some(code.into());
        self
    }

    /// The same error with the provider's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.details_mut().request_id = Some(id.into());
        self
    }

    /// Reads an error of the wire. The code decides; without a known one, the class or its nearest known base does.
    #[doc(hidden)]
    #[must_use]
    pub fn from_wire(wire: &LmErrorWire) -> Self {
        let text = |key: &str| wire.attributes.get(key).and_then(Value::as_str).map(str::to_owned);
        let status = wire.attributes.get("status").and_then(Value::as_u64);
        let model = text("model");
        let seconds = match wire.retry_after {
            seconds if seconds > 0.0 => Some(seconds),
            _ => wire.attributes.get("retry_after").and_then(Value::as_f64),
        };
        let details = Box::new(LmErrorDetails {
            message: without_prefix(&wire.message, model.as_deref()).to_owned(),
            model,
            provider: text("provider"),
            provider_code: text("provider_code"),
            status: status.and_then(|status| u16::try_from(status).ok()),
            request_id: text("request_id"),
            retry_after: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        });
        let code = wire.attributes.get("code").and_then(Value::as_str).unwrap_or_default();
        let code = match code {
            "context_length" => "context_window_exceeded", // lm15's own name of it
            "unknown_model" | "ambiguous_model" => "configuration",
            code => code,
        };
        Self::from_code(code, details).unwrap_or_else(|details| {
            let classes = std::iter::once(&wire.class).chain(&wire.mro);
            let code = classes
                .filter_map(|class| Self::code_of_class(class.rsplit('.').next().unwrap_or(class)))
                .next()
                .unwrap_or("unexpected");
            Self::from_code(code, details).unwrap_or_else(Self::Unexpected)
        })
    }

    /// Writes the error for the wire.
    #[doc(hidden)]
    #[must_use]
    pub fn to_wire(&self) -> LmErrorWire {
        let details = self.details();
        let mut attributes = Map::new();
        attributes.insert("code".to_owned(), json!(self.code()));
        let texts = [
            ("model", &details.model),
            ("provider", &details.provider),
            ("provider_code", &details.provider_code),
            ("request_id", &details.request_id),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                attributes.insert(key.to_owned(), json!(value));
            }
        }
        if let Some(status) = details.status {
            attributes.insert("status".to_owned(), json!(status));
        }
        let bases =
            self.bases().iter().chain(&["LMError", "DSPyError"]).map(|base| format!("{MODULE}.{base}"));
        LmErrorWire {
            class: self.class().to_owned(),
            mro: bases.chain(["builtins.Exception", "builtins.BaseException"].map(str::to_owned)).collect(),
            message: details.message.clone(),
            attributes,
            retryable: self.is_retryable(),
            retry_after: details.retry_after.map_or(0.0, |wait| wait.as_secs_f64()),
        }
    }
}

/// Python's `str(error)` begins with the model in brackets, which the details hold already.
fn without_prefix<'a>(message: &'a str, model: Option<&str>) -> &'a str {
    let Some(model) = model else { return message };
    message
        .strip_prefix('[')
        .and_then(|rest| rest.strip_prefix(model))
        .and_then(|rest| rest.strip_prefix(']'))
        .map_or(message, str::trim_start)
}

impl fmt::Display for LmError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.details();
        formatter.write_str(self.label())?;
        if !details.message.is_empty() {
            write!(formatter, ": {}", details.message)?;
        }
        let mut facts = Vec::new();
        if let Some(model) = &details.model {
            facts.push(format!("model {model}"));
        }
        if let Some(provider) = &details.provider {
            facts.push(format!("provider {provider}"));
        }
        if let Some(status) = details.status {
            facts.push(format!("status {status}"));
        }
        if let Some(code) = &details.provider_code {
            facts.push(format!("code {code}"));
        }
        if let Some(id) = &details.request_id {
            facts.push(format!("request {id}"));
        }
        if let Some(wait) = details.retry_after {
            facts.push(format!("retry after {wait:?}"));
        }
        if facts.is_empty() { Ok(()) } else { write!(formatter, " ({})", facts.join(", ")) }
    }
}

impl std::error::Error for LmError {}
