//! The smallest whole call: a warm instance of a trivial Python class gives its inputs back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Result, ensure};
use dspex::Carrier;
use dspex::prelude::*;
use serde_json::{Value, json};

/// Its size as JSON.
const DOCUMENT_BYTES: usize = 200;

/// What is carried there and back.
pub fn document() -> Result<Value> {
    let document = json!({"text": "x".repeat(DOCUMENT_BYTES - r#"{"text":""}"#.len())});
    let size = document.to_string().len();
    ensure!(size == DOCUMENT_BYTES, "the document has {size} bytes");
    Ok(document)
}

/// A call's future.
type Call = Pin<Box<dyn Future<Output = Result<Value>> + Send>>;

/// The call, on one worker over the framed carrier that has answered it once.
pub async fn warm(document: Value) -> Result<impl Fn() -> Call + Clone + Send + 'static> {
    let dspex = Dspex::builder()
        .workers(1)
        .carrier(Carrier::Framed)
        .allow_module("dspex_worker.testing")
        .start()
        .await?;
    let dspy = dspex.dspy();
    let instance = dspy.create_instance(InstanceSpec::new("dspex_worker.testing.Echo")).await?;
    let echoed = dspy.call_instance_method(&instance, "execute", &document).await?;
    ensure!(echoed == document, "dspex does not echo");
    let shared = Arc::new((dspy, instance, document));
    Ok(move || -> Call {
        let shared = shared.clone();
        Box::pin(async move {
            let (dspy, instance, document) = &*shared;
            Ok(dspy.call_instance_method(instance, "execute", document).await?)
        })
    })
}
