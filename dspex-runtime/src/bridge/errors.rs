//! `Error` messages of the wire <-> dspex's typed errors.

use serde_json::{Map, Value, json};

use crate::error::{Error, Phase, Problem, Problems, PyError, PyFrame};
use crate::lm::{LmError, LmErrorWire};
use crate::pool::PoolError;
use crate::pool::transport::SendError;
use crate::proto;
use crate::proto::error::Kind;
use crate::tool::{ToolError, ToolErrorKind};

/// What a failed call means to the caller.
pub(crate) fn from_wire(error: proto::Error, target: &str, deadline: std::time::Duration) -> Error {
    let attributes = attributes(&error);
    match error.kind() {
        Kind::InvalidInput => {
            Error::InvalidInput { target: target.to_owned(), problems: problems(&error, &attributes) }
        }
        Kind::InvalidOutput => Error::InvalidOutput {
            target: target.to_owned(),
            problems: problems(&error, &attributes),
            lm_response: attributes.get("lm_response").and_then(Value::as_str).map(str::to_owned),
        },
        Kind::Lm => Error::Lm(with_next_step(lm_error(error, attributes))),
        Kind::NotFound => Error::NotFound(error.message),
        Kind::NotAllowed => Error::NotAllowed(error.message),
        Kind::Cancelled => Error::Cancelled(error.message),
        Kind::Deadline => Error::DeadlineExceeded { after: deadline, phase: Phase::Running },
        Kind::TooLarge => {
            let figure = |name: &str| attributes.get(name).and_then(Value::as_u64).unwrap_or_default();
            Error::TooLarge { what: "a message of the call", size: figure("size"), limit: figure("limit") }
        }
        Kind::Unauthenticated | Kind::Protocol => Error::Protocol(error.message),
        Kind::Draining => Error::Pool(PoolError::Closed),
        Kind::Python | Kind::Callback | Kind::Unspecified => {
            Error::Python(Box::new(py_error(error, attributes)))
        }
    }
}

/// A host model's error as the worker expects it.
pub(crate) fn lm_to_wire(error: &LmError) -> proto::Error {
    let wire = error.to_wire();
    proto::Error {
        kind: Kind::Lm.into(),
        class: wire.class,
        mro: wire.mro,
        message: wire.message,
        attributes: Value::Object(wire.attributes).to_string().into_bytes().into(),
        retryable: wire.retryable,
        retry_after: wire.retry_after,
        ..proto::Error::default()
    }
}

/// A failure of the host itself while it served a callback.
pub(crate) fn callback_failure(message: String) -> proto::Error {
    proto::Error { kind: Kind::Callback.into(), message, ..proto::Error::default() }
}

/// A function of the host that a spec names and this host does not have.
pub(crate) fn no_function(key: &str) -> proto::Error {
    let told = key.split_once(':').map_or(key, |(_, name)| name);
    tool_failure(&ToolError::of(
        ToolErrorKind::NotRegistered,
        format!("`{told}` is not registered now; go on without it"),
    ))
}

/// A tool's failure.
pub(crate) fn tool_failure(error: &ToolError) -> proto::Error {
    let attributes = json!({"code": error.kind().as_str()}).to_string().into_bytes().into();
    let retryable = error.is_retryable();
    proto::Error { attributes, retryable, ..callback_failure(error.message().to_owned()) }
}

/// A refusal to read or write a variable. `code` is what the worker tells it by; see `worker.proto`.
pub(crate) fn variable_failure(code: &str, message: String, mut told: Map<String, Value>) -> proto::Error {
    told.insert("code".to_owned(), code.into());
    let attributes = Value::Object(told).to_string().into_bytes().into();
    proto::Error { attributes, ..callback_failure(message) }
}

/// An answer to a callback that cannot be sent.
pub(crate) fn unsendable(error: &SendError) -> proto::Error {
    let message = format!("the answer could not be sent: {error}");
    match error {
        SendError::TooLarge { size, limit } => proto::Error {
            kind: Kind::TooLarge.into(),
            attributes: json!({"size": size, "limit": limit}).to_string().into_bytes().into(),
            ..callback_failure(message)
        },
        SendError::Lost => callback_failure(message),
    }
}

fn attributes(error: &proto::Error) -> Map<String, Value> {
    serde_json::from_slice(&error.attributes).unwrap_or_default()
}

fn problems(error: &proto::Error, attributes: &Map<String, Value>) -> Problems {
    let listed: Vec<Problem> = attributes
        .get("problems")
        .and_then(|problems| serde_json::from_value(problems.clone()).ok())
        .unwrap_or_default();
    if listed.is_empty() {
        let whole = Problem { field: String::new(), problem: error.message.clone(), expected: None };
        return Problems(vec![whole]);
    }
    Problems(listed)
}

fn lm_error(error: proto::Error, attributes: Map<String, Value>) -> LmError {
    LmError::from_wire(&LmErrorWire {
        class: error.class,
        mro: error.mro,
        message: error.message,
        attributes,
        retryable: error.retryable,
        retry_after: error.retry_after,
    })
}

/// DSPy's own advice speaks of Python.
fn with_next_step(mut error: LmError) -> LmError {
    if matches!(error, LmError::NotConfigured(_) | LmError::Auth(_)) && error.message().contains("api_key") {
        error
            .details_mut()
            .message
            .push_str("; in Rust: `Lm::api_key(..)`, or the provider's variable in the environment");
    }
    error
}

fn py_error(error: proto::Error, attributes: Map<String, Value>) -> PyError {
    let cause = error.cause.map(|cause| {
        let attributes = self::attributes(&cause);
        Box::new(py_error(*cause, attributes))
    });
    let frame =
        |frame: proto::Frame| PyFrame { module: frame.module, function: frame.function, line: frame.line };
    PyError {
        class: error.class,
        mro: error.mro,
        message: error.message,
        cause,
        frames: error.frames.into_iter().map(frame).collect(),
        attributes,
    }
}
