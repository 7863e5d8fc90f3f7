//! One call, followed from its beginning to its end: the spans, the trace that it belongs to, and what metrics learn of it.
//!
//! ```text
//! dspex.call                    the call, with all that is tried
//!  +- dspex.queue               until it has a place at a worker
//!  +- dspex.dispatch            from there until the worker's first answer
//!  +- dspex.python              from there until the worker's last one; what Python traces is below it
//!      +- dspex.callback        what Python asked the program for
//! ```
//!
//! Where nobody listens to the spans they are not made, and a call costs a few looks at the clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use super::outcome::{CallbackKind, Outcome};
use super::{PoolTelemetry, TraceContext, Traced};
use crate::error::Result;
use crate::pool::Lease;
use crate::proto::{Callback, Open};

/// Follows one call. Dropped before [`ended`](Self::ended), it notes that nobody waited for the call any more.
pub(crate) struct CallWatch {
    telemetry: Arc<PoolTelemetry>,
    begun: Instant,
    span: Span,
    trace: Option<TraceContext>,
    tries: u64,
    /// What the worker said of the last try.
    python: Option<Duration>,
    ended: bool,
}

/// Follows one try of a call, from the place at a worker on.
pub(crate) struct RunWatch {
    dispatch: Span,
    python: Span,
    trace: Option<TraceContext>,
}

/// Follows what Python asked the program for. Its drop is the end.
pub(crate) struct CallbackWatch {
    telemetry: Arc<PoolTelemetry>,
    kind: CallbackKind,
    begun: Instant,
    span: Span,
    trace: Option<TraceContext>,
}

impl CallWatch {
    /// A call begins. `callee`: the class or function, `above`: the trace that it is known to belong to.
    pub(crate) fn begin(
        telemetry: &Arc<PoolTelemetry>,
        (callee, method): (&str, &str),
        session: &str,
        above: Option<&Traced>,
    ) -> Self {
        let begun = Instant::now();
        let span = info_span!(
            target: "dspex::call",
            "dspex.call",
            callee,
            method = some(method),
            session = some(session),
            pool = &*telemetry.pool,
            worker = Empty,
            generation = Empty,
            tries = Empty,
            python_us = Empty,
            outcome = Empty,
            trace_id = Empty,
            otel.status_code = Empty,
        );
        let trace = trace_of(&span, above);
        let telemetry = telemetry.clone();
        Self { telemetry, begun, span, trace, tries: 0, python: None, ended: false }
    }

    /// The call's span.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The span of waiting for a place: open until it is dropped.
    pub(crate) fn queue(&mut self) -> Queued {
        let begun = if self.tries == 0 { self.begun } else { Instant::now() };
        self.tries += 1;
        let span = info_span!(target: "dspex::call", parent: &self.span, "dspex.queue", "try" = self.tries);
        Queued { begun, span }
    }

    /// The call has a place.
    pub(crate) fn placed(&mut self, queued: Queued, lease: &Lease) -> RunWatch {
        self.telemetry.metrics.queued(queued.begun.elapsed());
        drop(queued);
        if self.span.is_disabled() {
            return RunWatch { dispatch: Span::none(), python: Span::none(), trace: self.trace.clone() };
        }
        let hello = lease.link.hello();
        self.span.record("worker", hello.worker.as_str());
        self.span.record("generation", hello.generation);
        self.span.record("tries", self.tries);
        let dispatch = info_span!(
            target: "dspex::call", parent: &self.span, "dspex.dispatch", worker = %hello.worker, "try" = self.tries
        );
        let python = info_span!(
            target: "dspex::call",
            parent: &self.span,
            "dspex.python",
            worker = %hello.worker,
            generation = hello.generation,
            "try" = self.tries,
            run_us = Empty,
            otel.kind = "client",
        );
        let trace = child_of(&python, self.trace.as_ref(), None);
        RunWatch { dispatch, python, trace }
    }

    /// The worker had the call for so long, in microseconds by its own clock; 0: it did not say.
    pub(crate) fn ran(&mut self, run: &mut RunWatch, run_us: u64) {
        run.answered();
        if run_us > 0 {
            self.python = Some(Duration::from_micros(run_us));
            run.python.record("run_us", run_us);
            self.span.record("python_us", run_us);
        }
        run.python = Span::none();
    }

    /// The call is run again, after the loss of its worker.
    pub(crate) fn retried(&self) {
        self.telemetry.metrics.retried();
    }

    /// Python asks the program for something.
    pub(crate) fn callback(&self, run: &mut RunWatch, callback: &Callback) -> CallbackWatch {
        run.answered();
        let kind = CallbackKind::from(callback.kind());
        let span = info_span!(
            target: "dspex::call",
            parent: &run.python,
            "dspex.callback",
            kind = kind.as_str(),
            name = %callback.name,
            failed = Empty,
            otel.status_code = Empty,
        );
        // Python's own span, where it has one.
        let asker = match callback.traceparent.as_str() {
            "" => None,
            parent => TraceContext::parse(parent, &callback.tracestate).ok(),
        };
        let trace = child_of(&span, run.trace.as_ref(), asker);
        CallbackWatch { telemetry: self.telemetry.clone(), kind, begun: Instant::now(), span, trace }
    }

    /// The call ended.
    pub(crate) fn ended<T>(mut self, result: &Result<T>) {
        self.end(Outcome::of(result));
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        self.telemetry.metrics.call_ended(outcome, self.begun.elapsed(), self.python);
        if !self.span.is_disabled() {
            self.span.record("outcome", outcome.as_str());
            if outcome != Outcome::Ok {
                self.span.record("otel.status_code", "ERROR");
            }
        }
    }
}

impl Drop for CallWatch {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Dropped);
        }
    }
}

/// A call that waits for a place.
pub(crate) struct Queued {
    begun: Instant,
    span: Span,
}

impl Queued {
    /// The span of waiting.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }
}

impl RunWatch {
    /// Tells the worker which trace the call is in.
    pub(crate) fn tell(&self, open: &mut Open) {
        if let Some(trace) = &self.trace {
            open.traceparent = trace.traceparent();
            open.tracestate = trace.tracestate().to_owned();
        }
    }

    /// The worker answered.
    pub(crate) fn answered(&mut self) {
        if !self.dispatch.is_disabled() {
            self.dispatch = Span::none();
        }
    }
}

impl CallbackWatch {
    /// The span in which the program serves it.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The trace that calls belong to which are made meanwhile.
    pub(crate) fn trace(&self) -> Option<Traced> {
        self.trace.clone().map(Traced::within)
    }

    /// The program answered with an error.
    pub(crate) fn failed(&self) {
        self.span.record("failed", true);
        self.span.record("otel.status_code", "ERROR");
    }
}

impl Drop for CallbackWatch {
    fn drop(&mut self) {
        self.telemetry.metrics.callback_ended(self.kind, self.begun.elapsed());
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The trace of a call that begins. Without a listener it is the caller's as it came; Python belongs to that then.
fn trace_of(span: &Span, above: Option<&Traced>) -> Option<TraceContext> {
    if span.is_disabled() {
        return above.map(|above| above.context.clone());
    }
    #[cfg(feature = "otel")]
    {
        if let Some(above) = above {
            super::otel::adopt(span, above);
        }
        if let Some(context) = super::otel::context_of(span) {
            span.record("trace_id", display(context.trace_id()));
            return Some(context);
        }
    }
    let context = match above {
        Some(above) => above.context.child(),
        None => TraceContext::new_root(),
    };
    span.record("trace_id", display(context.trace_id()));
    Some(context)
}

/// The trace of a span below one that is in `trace`; its parent is elsewhere where `remote` is given.
fn child_of(span: &Span, trace: Option<&TraceContext>, remote: Option<TraceContext>) -> Option<TraceContext> {
    if span.is_disabled() {
        return remote.or_else(|| trace.cloned());
    }
    #[cfg(feature = "otel")]
    {
        if let Some(remote) = &remote {
            super::otel::set_parent(span, remote);
        }
        if let Some(context) = super::otel::context_of(span) {
            return Some(context);
        }
    }
    Some(remote.as_ref().or(trace)?.child())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::proto::callback::Kind;

    fn watched(telemetry: &Arc<PoolTelemetry>) {
        let mut watch = CallWatch::begin(telemetry, ("dspy.Predict", ""), "session", None);
        drop(watch.queue());
        let mut run = RunWatch { dispatch: Span::none(), python: Span::none(), trace: None };
        let mut open = Open::default();
        run.tell(&mut open);
        assert!(open.traceparent.is_empty(), "Python is told of no trace where nobody listens");
        let asked = Callback { kind: Kind::Tool.into(), name: "tool".to_owned(), ..Callback::default() };
        drop(watch.callback(&mut run, &asked));
        watch.ran(&mut run, 5);
        watch.ended(&Ok::<_, Error>(()));
    }

    #[test]
    fn a_call_that_nobody_listens_to_is_followed_at_next_to_no_cost() {
        const CALLS: u32 = 10_000;
        let telemetry = PoolTelemetry::new("main".into());
        watched(&telemetry);
        let begun = Instant::now();
        (0..CALLS).for_each(|_| watched(&telemetry));
        let each = begun.elapsed() / CALLS;
        println!("a call with a callback: {each:?}");
        // Far above what it takes, without optimisation and on a busy machine; with spans that are made it would be more.
        assert!(each < Duration::from_micros(100), "{each:?}");
    }

    #[test]
    fn a_trace_that_was_given_goes_on_as_it_came_where_nobody_listens() {
        let telemetry = PoolTelemetry::new("main".into());
        let given = TraceContext::new_root();
        let watch = CallWatch::begin(&telemetry, ("f", ""), "", Some(&Traced::given(given.clone())));
        let run = RunWatch { dispatch: Span::none(), python: Span::none(), trace: watch.trace.clone() };
        let mut open = Open::default();
        run.tell(&mut open);
        assert_eq!(open.traceparent, given.traceparent());
    }
}
