//! What one call sets for itself, on whatever makes calls.

/// The settings of calls, for a type with `options: CallOptions`.
macro_rules! call_settings {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $type {
            /// How long the call may take, waiting for a worker included; then it ends with
            /// [`Error::DeadlineExceeded`](crate::Error::DeadlineExceeded), and is cancelled in Python. Default: what
            /// [`DspexBuilder::deadline`](crate::DspexBuilder::deadline) says.
            pub fn deadline(mut self, deadline: ::std::time::Duration) -> Self {
                self.options.deadline = Some(deadline);
                self
            }

            /// The call may be run again if its worker is lost, and if its language model says that a later try may work and when:
            /// as often as [`DspexBuilder::retries`](crate::DspexBuilder::retries) says, within the deadline. Without this, a call
            /// whose worker is lost ends with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), for nobody knows how far it
            /// came.
            ///
            /// A call that is run again runs its tools again, as all that it does, and its events come again, from the first.
            pub fn idempotent(mut self, idempotent: bool) -> Self {
                self.options.idempotent = idempotent;
                self
            }

            /// The language model of the call. Default: the session's, or that of [`DspexBuilder::lm`](crate::DspexBuilder::lm).
            pub fn lm(mut self, lm: impl Into<$crate::lm::Lm>) -> Self {
                self.options.lm = Some(lm.into());
                self
            }

            /// The adapter of the call. Default: the session's, or that of [`DspexBuilder::adapter`](crate::DspexBuilder::adapter).
            pub fn adapter(mut self, adapter: $crate::api::Adapter) -> Self {
                self.options.adapter = Some(adapter);
                self
            }

            /// The pool that the call runs in, by the name that [`DspexBuilder::pool`](crate::DspexBuilder::pool) gave it. Default:
            /// the instance's, the session's, or `default`. A name that no pool has ends the call with
            /// [`Error::PoolNotFound`](crate::Error::PoolNotFound).
            pub fn pool(mut self, name: impl Into<::std::sync::Arc<str>>) -> Self {
                self.options.pool = Some(name.into());
                self
            }

            /// The trace that the call belongs to, in place of the one that the running task is in.
            pub fn trace(mut self, trace: $crate::TraceContext) -> Self {
                self.options.trace = Some(trace);
                self
            }

            /// Cancels the call when the token is cancelled: it ends with [`Error::Cancelled`](crate::Error::Cancelled) at once, and
            /// in Python as it does when its future is dropped.
            ///
            /// ```
            /// use dspex_runtime::CancellationToken;
            ///
            /// let stop = CancellationToken::new();
            /// // One token may be given to many calls: `.. .cancellation(stop.clone()) ..`
            /// stop.cancel();
            /// ```
            pub fn cancellation(mut self, token: $crate::CancellationToken) -> Self {
                self.options.cancellation = Some(token);
                self
            }
        }
    };
}

pub(crate) use call_settings;
