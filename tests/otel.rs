//! One trace of OpenTelemetry from the program through Python into a tool in Rust, and into what that calls.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::OnceLock;

use common::on_both_carriers;
use dspex::prelude::*;
use dspex::{Carrier, TraceContext};
use opentelemetry::trace::{SpanId, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::{Value, json};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

const PROGRAMS: &str = "dspex_trace_programs";

/// What all spans of this process end in.
fn exporter() -> &'static InMemorySpanExporter {
    static EXPORTER: OnceLock<InMemorySpanExporter> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let filter = tracing_subscriber::EnvFilter::new("info");
        let subscriber = tracing_subscriber::registry().with(filter).with(layer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        exporter
    })
}

/// The spans of one trace that have ended.
struct Trace(Vec<SpanData>);

impl Trace {
    fn of(trace_id: &str) -> Self {
        let spans = exporter().get_finished_spans().unwrap();
        Self(spans.into_iter().filter(|span| span.span_context.trace_id().to_string() == trace_id).collect())
    }

    /// The span of this name below that one.
    fn below(&self, parent: SpanId, name: &str) -> &SpanData {
        let found: Vec<_> =
            self.0.iter().filter(|span| span.parent_span_id == parent && span.name == name).collect();
        assert_eq!(found.len(), 1, "`{name}` below {parent} in {:#?}", self.names());
        found[0]
    }

    fn named(&self, name: &str) -> Vec<&SpanData> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    fn names(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|span| {
                format!("{} {} below {}", span.name, span.span_context.span_id(), span.parent_span_id)
            })
            .collect()
    }
}

fn id(span: &SpanData) -> SpanId {
    span.span_context.span_id()
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .map(|found| found.value.to_string())
}

/// Calls Python from within a tool, below a span of its own.
#[dspex_tool]
async fn look_around(#[ctx] session: Session) -> Result<Value, String> {
    let work = tracing::info_span!("tool.work");
    let call = async move { session.dspy().call(&format!("{PROGRAMS}.where"), &json!([]), &json!({})).await };
    call.instrument(work).await.map_err(|error| error.to_string())
}

async fn start(carrier: Carrier) -> (Dspex, Session) {
    exporter();
    let dspex = common::builder(carrier).allow_module(PROGRAMS).start().await.unwrap();
    let session = dspex.session();
    session.tools().register(tools![look_around]).await.unwrap().keep();
    (dspex, session)
}

async fn call(session: &Session, program: &str, args: Value) -> Value {
    session.dspy().call(&format!("{PROGRAMS}.{program}"), &args, &json!({})).await.unwrap()
}

/// The ids in a traceparent that Python saw.
fn seen(value: &Value) -> (String, String) {
    let trace: TraceContext = value[0].as_str().unwrap().parse().unwrap();
    (trace.trace_id(), trace.span_id())
}

on_both_carriers! {
    async fn a_call_and_what_it_leads_to_is_one_trace_with_the_right_parents(carrier: Carrier) {
        let (dspex, session) = start(carrier).await;
        for program in ["use", "use_in_thread"] {
            let request = tracing::info_span!("request");
            let said = call(&session, program, json!(["look_around"])).instrument(request.clone()).await;
            drop(request);
            let (trace_id, python_saw) = seen(&said[0]);
            let (nested_trace_id, nested_saw) = seen(&said[1]);
            assert_eq!(trace_id, nested_trace_id);

            // The request, its call, the tool's run and work, and its call: those of tasks end on their own.
            common::eventually("all spans have ended", || Trace::of(&trace_id).0.len() >= 11).await;
            let trace = Trace::of(&trace_id);
            let request = trace.below(SpanId::INVALID, "request");
            let outer = trace.below(id(request), "dspex.call");
            trace.below(id(outer), "dspex.queue");
            trace.below(id(outer), "dspex.dispatch");
            let python = trace.below(id(outer), "dspex.python");
            assert_eq!(id(python).to_string(), python_saw, "Python's spans are below this one");
            let callback = trace.below(id(python), "dspex.callback");
            let work = trace.below(id(callback), "tool.work");
            let inner = trace.below(id(work), "dspex.call");
            let inner_python = trace.below(id(inner), "dspex.python");
            assert_eq!(id(inner_python).to_string(), nested_saw);
            assert_eq!(attribute(callback, "kind").as_deref(), Some("tool"));
            assert_eq!(attribute(outer, "callee"), Some(format!("{PROGRAMS}.{program}")));
            assert_eq!(attribute(outer, "session").as_deref(), Some(session.id()));
            assert_eq!(attribute(outer, "outcome").as_deref(), Some("ok"));
            assert_eq!(attribute(outer, "pool").as_deref(), Some("default"));
            assert!(attribute(python, "run_us").unwrap().parse::<u64>().unwrap() > 0);
        }
        drop(dspex);
    }

    async fn what_python_asks_for_below_a_span_of_its_own_is_below_that(carrier: Carrier) {
        let (_dspex, session) = start(carrier).await;
        let named = format!("00-{:032x}-{:016x}-01", uuid_like(carrier), 0xfeed);
        let said = call(&session, "use_below", json!(["look_around", named])).await;
        assert_eq!(said[0][0], json!(named));
        let (trace_id, _) = seen(&said[1]);
        let trace = Trace::of(&trace_id);
        assert!(named.contains(&trace_id), "the tool goes on with Python's trace");
        let callback = trace.below(SpanId::from_bytes(0xfeed_u64.to_be_bytes()), "dspex.callback");
        assert!(callback.parent_span_is_remote);
        let work = trace.below(id(callback), "tool.work");
        trace.below(id(work), "dspex.call");
    }

    async fn the_trace_that_the_program_names_counts_more_than_that_of_the_task(carrier: Carrier) {
        let (dspex, _) = start(carrier).await;
        let given = TraceContext::parse(&format!("00-{:032x}-{:016x}-01", uuid_like(carrier) + 1, 0xbeef), "k=v").unwrap();
        let session = dspex.session();
        session.tools().register(tools![look_around]).await.unwrap().keep();
        let here = session.traced(given.clone());
        let ambient = tracing::info_span!("ambient");
        let said = call(&here, "use", json!(["look_around"])).instrument(ambient).await;
        assert_eq!((seen(&said[0]).0, seen(&said[1]).0), (given.trace_id(), given.trace_id()));
        assert_eq!(said[0][1], json!("k=v"), "the state of the trace goes with it");
        let trace = Trace::of(&given.trace_id());
        let outer = trace.below(SpanId::from_bytes(0xbeef_u64.to_be_bytes()), "dspex.call");
        assert!(outer.parent_span_is_remote);
        assert_eq!(trace.named("ambient").len(), 0);
        assert_eq!(trace.named("dspex.call").len(), 2, "what the tool calls is below the tool: {:#?}", trace.names());
    }

    async fn a_call_that_fails_is_a_span_with_an_error(carrier: Carrier) {
        let (_dspex, session) = start(carrier).await;
        let request = tracing::info_span!("request");
        let trace_id = {
            use opentelemetry::trace::TraceContextExt;
            use tracing_opentelemetry::OpenTelemetrySpanExt;
            request.context().span().span_context().trace_id().to_string()
        };
        let fails = async { session.dspy().call("dspex_trace_programs.nothing", &json!([]), &json!({})).await };
        fails.instrument(request.clone()).await.unwrap_err();
        drop(request);
        let trace = Trace::of(&trace_id);
        let failed = trace.named("dspex.call")[0];
        assert_eq!(attribute(failed, "outcome").as_deref(), Some("not_found"));
        assert!(matches!(failed.status, opentelemetry::trace::Status::Error { .. }), "{:?}", failed.status);
    }
}

/// Differs from carrier to carrier: their tests share the exporter.
fn uuid_like(carrier: Carrier) -> u128 {
    0x1000 + 0x100 * (carrier == Carrier::Grpc) as u128
}
