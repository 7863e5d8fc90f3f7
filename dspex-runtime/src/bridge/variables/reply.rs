//! Answers and refusals as they go to Python.

use dspex_state::store::StoreError;
use dspex_state::{Dtype, Revision, Value, VariableError};
use serde_json::{Map, Value as Json, json};

use crate::bridge::errors;
use crate::proto::{self, Attachment, Payload};
use crate::wire;

/// The attachment of an answer.
const ATTACHMENT: &str = "value";

pub(super) fn document(json: &Json) -> Payload {
    Payload { json: json.to_string().into_bytes().into(), attachments: Vec::new() }
}

pub(super) fn version_reply(version: Revision) -> Payload {
    document(&json!({"version": version}))
}

pub(super) fn value_reply(value: &Value, version: Revision) -> Payload {
    let (dtype, shape, data) = match value {
        Value::Tensor(tensor) => (tensor.dtype(), tensor.shape(), tensor.to_le_bytes()),
        Value::Embedding(embedding) => {
            (Dtype::Float32, &[embedding.dimensions()][..], embedding.to_le_bytes())
        }
        plain => {
            let json = wire::escape(plain.to_json());
            return document(&json!({"type": plain.kind(), "version": version, "value": json}));
        }
    };
    let shape = shape.iter().map(|size| *size as u64).collect();
    let attachment = Attachment { name: ATTACHMENT.to_owned(), dtype: dtype.name().to_owned(), shape, data };
    let told = document(&json!({"type": value.kind(), "version": version, "attachment": ATTACHMENT}));
    Payload { attachments: vec![attachment], ..told }
}

/// An error with the code by which the worker tells its kind.
pub(super) fn error(error: VariableError) -> proto::Error {
    let (code, told) = match &error {
        VariableError::NotFound { name, suggestion } => {
            ("not_found", json!({"variable": name, "suggestion": suggestion}))
        }
        VariableError::AlreadyExists(name) => ("exists", json!({"variable": name})),
        VariableError::VersionConflict { name, expected, found } => {
            ("conflict", json!({"variable": name, "expected": expected, "found": found}))
        }
        VariableError::Invalid(invalid) => {
            let violations: Vec<Json> = invalid
                .violations
                .iter()
                .map(|broken| {
                    json!({
                        "rule": broken.rule,
                        "path": broken.path,
                        "found": broken.found,
                        "expected": broken.expected,
                    })
                })
                .collect();
            ("invalid", json!({"variable": invalid.variable, "violations": violations}))
        }
        VariableError::Spec { name, .. } => ("spec", json!({"variable": name})),
        VariableError::Name(name) => ("spec", json!({"variable": name})),
        VariableError::Store(StoreError::Quota { what, limit, wanted }) => {
            ("quota", json!({"what": what, "limit": limit, "wanted": wanted}))
        }
        VariableError::Store(StoreError::SessionNotFound(_) | StoreError::Closed) => ("closed", json!({})),
        other => {
            tracing::error!(target: "dspex::bridge", error = ?other, "a variable could not be served");
            ("unavailable", json!({}))
        }
    };
    let told = match told {
        Json::Object(told) => told,
        _ => Map::new(),
    };
    errors::variable_failure(code, error.to_string(), told)
}
