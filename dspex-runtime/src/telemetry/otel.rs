//! The trace that a program's `tracing-opentelemetry` keeps. The only place that knows OpenTelemetry.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TraceContext, Traced};

/// What OpenTelemetry calls this span; `None` where no layer of it listens.
pub(super) fn context_of(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let span = context.span();
    let known = span.span_context();
    TraceContext::of_parts(
        u128::from_be_bytes(known.trace_id().to_bytes()),
        u64::from_be_bytes(known.span_id().to_bytes()),
        known.trace_flags().to_u8(),
        &known.trace_state().header(),
    )
}

/// Has a new span continue another trace than that of the running task, where the program said so, or where the task is in none.
pub(super) fn adopt(span: &Span, above: &Traced) {
    if above.given || context_of(&Span::current()).is_none() {
        set_parent(span, &above.context);
    }
}

/// Has a new span be the child of one elsewhere.
pub(super) fn set_parent(span: &Span, parent: &TraceContext) {
    let remote = SpanContext::new(
        TraceId::from_bytes(parent.trace_number().to_be_bytes()),
        SpanId::from_bytes(parent.span_number().to_be_bytes()),
        TraceFlags::new(parent.flags()),
        true,
        parent.tracestate().parse::<TraceState>().unwrap_or_default(),
    );
    // Refused where nothing of OpenTelemetry listens, or where the span began before: then it stays where it is.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}
