//! Embedders: texts to vectors.

use std::future::Future;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use uuid::Uuid;

use super::host::{Failure, read};
use crate::proto::{Attachment, Payload};

type Run = dyn Fn(Vec<String>) -> BoxFuture<'static, Result<Vec<Vec<f32>>, String>> + Send + Sync;

/// Makes vectors of texts: for `dspy.Embeddings`, `dspy.KNN` and whatever else takes an embedder.
///
/// One vector per text, in their order, all of one size. Vectors travel as 32-bit floats, not as text.
///
/// Make it once and clone it: workers keep what they embedded for one embedder and its clones, and embed a corpus again for
/// another one, though its function be the same.
///
/// ```
/// use dspex_runtime::Embedder;
///
/// let lengths = Embedder::new(|texts| Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect()));
/// ```
#[derive(Clone)]
pub struct Embedder {
    run: Arc<Run>,
    /// Like no other embedder's, in any process.
    id: Uuid,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Asked {
    Embed { texts: Vec<String> },
}

impl Embedder {
    /// A function that waits for nothing: it runs on the thread that serves the call. The error is what Python is told.
    pub fn new(
        function: impl Fn(Vec<String>) -> Result<Vec<Vec<f32>>, String> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Arc::new(move |texts| futures::future::ready(function(texts)).boxed()))
    }

    /// A function that waits for something, such as a server.
    pub fn asynchronous<F>(function: impl Fn(Vec<String>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<Vec<f32>>, String>> + Send + 'static,
    {
        Self::of(Arc::new(move |texts| function(texts).boxed()))
    }

    fn of(run: Arc<Run>) -> Self {
        Self { run, id: Uuid::new_v4() }
    }

    /// What a spec tells it from other embedders by.
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.id == other.id
    }

    pub(super) async fn embed(&self, json: &[u8]) -> Result<Payload, Failure> {
        let Asked::Embed { texts } = read(json, "the embedder")?;
        let count = texts.len();
        let vectors = (self.run)(texts).await.map_err(Failure)?;
        let size = vectors.first().map_or(0, Vec::len);
        if vectors.len() != count || vectors.iter().any(|vector| vector.len() != size) {
            let problem = format!(
                "the embedder has to give one vector for each of {count} texts, all of one size, and gave {}",
                vectors.len()
            );
            return Err(Failure(problem));
        }
        let mut data = BytesMut::with_capacity(count * size * 4);
        vectors.iter().flatten().for_each(|value| data.put_f32_le(*value));
        let attachment = Attachment {
            name: "embeddings".to_owned(),
            dtype: "float32".to_owned(),
            shape: vec![count as u64, size as u64],
            data: data.freeze(),
        };
        Ok(Payload {
            json: Bytes::from_static(b"{\"attachment\":\"embeddings\"}"),
            attachments: vec![attachment],
        })
    }
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder").field("id", &self.id).finish_non_exhaustive()
    }
}
