//! The session's variables for Python: what `worker.proto` says of `KIND_VARIABLE`.

mod given;
mod list;
mod reply;

use dspex_state::{Filter, Revision, Spec, SpecError, Value, VariableError, Variables};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use self::given::{Given, plain};
use self::reply::{document, error, value_reply, version_reply};
use super::errors;
use crate::proto::{self, Payload};
use crate::wire;

/// What the histories of variables call those who write from Python.
const AUTHOR: &str = "python";
/// A page of names has so many, but for the last one.
const PAGE: usize = 100;

/// Answers what Python asks about a variable.
pub(super) async fn serve(
    name: String,
    payload: Payload,
    variables: Option<Variables>,
) -> Result<Payload, proto::Error> {
    let Some(variables) = variables else {
        let message = "this call has no session, so it has no variables".to_owned();
        return Err(errors::variable_failure("unavailable", message, Map::new()));
    };
    let (op, rest) = read_document(&payload)?;
    match op.as_str() {
        "read" => {
            fields::<Nothing>(&op, rest)?;
            let read = variables.read::<Value>(&name).await.map_err(error)?;
            Ok(value_reply(&read.value, read.version))
        }
        "update" => {
            let Update { value, attachment, list, if_version } = fields(&op, rest)?;
            let value = given(value, attachment, list, &payload)?;
            let mut update = variables.update(name, value).author(AUTHOR);
            if let Some(version) = if_version {
                update = update.if_version(version);
            }
            update.await.map(version_reply).map_err(error)
        }
        "create" => {
            let Create { spec, value, attachment, list } = fields(&op, rest)?;
            let value = given(value, attachment, list, &payload)?;
            let spec = plain(spec)
                .map_err(|odd| SpecError::Malformed { what: "the spec".to_owned(), reason: odd.to_string() })
                .and_then(Spec::from_json)
                .map_err(|source| error(VariableError::Spec { name: name.clone(), source }))?;
            let made = variables.create(name, spec, value).author(AUTHOR).await.map_err(error)?;
            Ok(version_reply(made.version))
        }
        "delete" => {
            let Delete { if_version } = fields(&op, rest)?;
            let mut delete = variables.delete(name).author(AUTHOR);
            if let Some(version) = if_version {
                delete = delete.if_version(version);
            }
            delete.await.map(version_reply).map_err(error)
        }
        "describe" => {
            fields::<Nothing>(&op, rest)?;
            let record = variables.describe(&name).await.map_err(error)?;
            Ok(document(&json!({
                "name": record.name,
                // A description may say `$dspex` as any text may, metadata may have it as a key.
                "spec": wire::escape(serde_json::to_value(&record.spec).unwrap_or_default()),
                "version": record.version,
                "spec_version": record.spec_version,
                "bytes": record.bytes,
            })))
        }
        "list" => {
            let List { glob, after } = fields(&op, rest)?;
            let filter = glob.map_or_else(Filter::all, Filter::glob);
            let page = variables.list(&filter, after.as_deref()).await.map_err(error)?;
            let names: Vec<_> = page.into_iter().map(|record| record.name).collect();
            Ok(document(&json!({"more": names.len() >= PAGE, "names": names})))
        }
        other => Err(Malformed(format!("there is no operation `{other}` on variables")).into()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    #[serde(default, deserialize_with = "present")]
    value: Option<Json>,
    attachment: Option<String>,
    #[serde(default)]
    list: bool,
    if_version: Option<Revision>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    spec: Json,
    #[serde(default, deserialize_with = "present")]
    value: Option<Json>,
    attachment: Option<String>,
    #[serde(default)]
    list: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    if_version: Option<Revision>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    glob: Option<String>,
    after: Option<String>,
}

/// Null is a value like any other.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// The value in the document, or in the attachment that the document names.
fn given(
    value: Option<Json>,
    attachment: Option<String>,
    was_list: bool,
    payload: &Payload,
) -> Result<Given, Malformed> {
    match (value, attachment) {
        (Some(json), None) => Ok(Given::Json(json)),
        (None, Some(name)) => {
            let found = payload.attachments.iter().find(|attachment| attachment.name == name);
            let found = found.ok_or_else(|| Malformed(format!("there is no attachment `{name}`")))?;
            Given::numbers(found, was_list).map_err(Malformed)
        }
        _ => Err(Malformed("it needs either `value` or `attachment`".to_owned())),
    }
}

/// The operation, and what belongs to it.
fn read_document(payload: &Payload) -> Result<(String, Map<String, Json>), Malformed> {
    let document = wire::document_from_slice(&payload.json).map_err(|error| Malformed(error.to_string()))?;
    let Json::Object(mut document) = document else {
        return Err(Malformed("it is no object".to_owned()));
    };
    match document.remove("op") {
        Some(Json::String(op)) => Ok((op, document)),
        _ => Err(Malformed("it has no `op`".to_owned())),
    }
}

fn fields<T: DeserializeOwned>(op: &str, document: Map<String, Json>) -> Result<T, Malformed> {
    serde_json::from_value(Json::Object(document)).map_err(|error| Malformed(format!("`{op}`: {error}")))
}

/// What is wrong with a question that no worker of this version asks.
struct Malformed(String);

impl From<Malformed> for proto::Error {
    fn from(Malformed(problem): Malformed) -> Self {
        errors::callback_failure(format!("what Python asks of a variable cannot be read: {problem}"))
    }
}

#[cfg(test)]
mod tests;
