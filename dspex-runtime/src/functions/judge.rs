//! What rewards and metrics have in common: a function that is asked in JSON and says how good something is.

use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::de::DeserializeOwned;

use super::host::{Failure, read};

type Run<R> = dyn Fn(&[u8]) -> BoxFuture<'static, Result<R, Failure>> + Send + Sync;

/// A function that judges, and what it judges in words.
pub(super) struct Judge<R> {
    run: Arc<Run<R>>,
    description: Option<String>,
}

impl<R: Send + 'static> Judge<R> {
    /// A function that answers at once. `what` is its name in errors.
    pub(super) fn quick<A: DeserializeOwned, S: Into<R>>(
        what: &'static str,
        function: impl Fn(A) -> S + Send + Sync + 'static,
    ) -> Self {
        let run = move |json: &[u8]| ready(read(json, what).map(|asked| function(asked).into())).boxed();
        Self { run: Arc::new(run), description: None }
    }

    /// A function that answers later.
    pub(super) fn waiting<A, S, F>(
        what: &'static str,
        function: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        S: Into<R>,
        F: Future<Output = S> + Send + 'static,
    {
        let run = move |json: &[u8]| match read(json, what) {
            Ok(asked) => function(asked).map(|said| Ok(said.into())).boxed(),
            Err(failure) => ready(Err(failure)).boxed(),
        };
        Self { run: Arc::new(run), description: None }
    }

    pub(super) async fn ask(&self, json: &[u8]) -> Result<R, Failure> {
        (self.run)(json).await
    }
}

impl<R> Judge<R> {
    pub(super) fn described_as(mut self, description: String) -> Self {
        self.description = Some(description);
        self
    }

    pub(super) fn described(&self) -> Option<&str> {
        self.description.as_deref()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.run, &other.run)
    }
}

impl<R> Clone for Judge<R> {
    fn clone(&self) -> Self {
        Self { run: self.run.clone(), description: self.description.clone() }
    }
}

impl<R> std::fmt::Debug for Judge<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("description", &self.description).finish_non_exhaustive()
    }
}
