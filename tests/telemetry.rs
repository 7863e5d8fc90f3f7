//! What a program learns of its calls without OpenTelemetry: spans of `tracing`, and log lines that name their call.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::{builder, eventually, program, start_without_lm};
use dspex::prelude::*;
use dspex::{Carrier, TraceContext};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const PROGRAMS: &str = "dspex_trace_programs";
const CANARY: &str = "canary-that-nobody-may-see";

/// What was seen of a span or an event.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: String,
    target: String,
    parent: Option<u64>,
    fields: BTreeMap<String, String>,
    closed: bool,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

/// Keeps all spans and events of the process.
#[derive(Clone, Default)]
struct Kept {
    spans: Arc<Mutex<BTreeMap<u64, Seen>>>,
    events: Arc<Mutex<Vec<Seen>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Kept {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let parent = context.span(id).and_then(|span| span.parent().map(|parent| parent.id().into_u64()));
        let mut seen = Seen {
            name: metadata.name().to_owned(),
            target: metadata.target().to_owned(),
            parent,
            ..Seen::default()
        };
        attributes.record(&mut seen);
        // Ids are used again.
        let mut spans = self.spans.lock().unwrap();
        if let Some(earlier) = spans.remove(&id.into_u64()) {
            let number = u64::MAX - spans.len() as u64;
            spans.insert(number, earlier);
        }
        spans.insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(self.spans.lock().unwrap().get_mut(&id.into_u64()).unwrap());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen { target: event.metadata().target().to_owned(), ..Seen::default() };
        event.record(&mut seen);
        self.events.lock().unwrap().push(seen);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.spans.lock().unwrap().get_mut(&id.into_u64()).unwrap().closed = true;
    }
}

impl Kept {
    /// The span of this name with this field.
    fn span(&self, name: &str, field: &str, value: &str) -> Option<(u64, Seen)> {
        let spans = self.spans.lock().unwrap();
        let fits =
            |seen: &Seen| seen.name == name && seen.fields.get(field).is_some_and(|found| found == value);
        spans.iter().find(|(_, seen)| fits(seen)).map(|(id, seen)| (*id, seen.clone()))
    }

    fn below(&self, parent: u64, name: &str) -> (u64, Seen) {
        let spans = self.spans.lock().unwrap();
        let found = spans.iter().find(|(_, seen)| seen.parent == Some(parent) && seen.name == name);
        found.map(|(id, seen)| (*id, seen.clone())).unwrap_or_else(|| panic!("no {name} below {parent}"))
    }
}

/// What all tests of this process are seen by: they share it, so each one looks for its own session.
fn watch() -> &'static Kept {
    static WATCH: OnceLock<Kept> = OnceLock::new();
    WATCH.get_or_init(|| {
        let kept = Kept::default();
        let filter = tracing_subscriber::EnvFilter::new("info");
        let subscriber = tracing_subscriber::registry().with(filter).with(kept.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        kept
    })
}

async fn call(dspy: &dspex::Dspy, name: &str, args: Value) -> dspex::Result<Value> {
    dspy.call(&format!("{PROGRAMS}.{name}"), &args, &json!({})).await
}

/// Says which trace it is in, and what Python below it sees.
#[dspex_tool]
async fn look_around(#[ctx] session: Session) -> Result<Value, String> {
    let here = TraceContext::current().map(|trace| trace.traceparent());
    let below = call(&session.dspy(), "where", json!([])).await.map_err(|error| error.to_string())?;
    Ok(json!([here, below]))
}

async fn session_with_tool(dspex: &Dspex, id: &str) -> Session {
    let session = dspex.sessions().create(id, SessionConfig::new()).await.unwrap();
    session.tools().register(tools![look_around]).await.unwrap().keep();
    session
}

fn trace_of(value: &Value) -> TraceContext {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_a_span_with_a_child_for_each_of_its_parts_and_holds_no_inputs() {
    let kept = watch();
    let dspex = builder(Carrier::Framed).allow_module(PROGRAMS).start().await.unwrap();
    let session = session_with_tool(&dspex, "spans").await;
    session.dspy().call(&program("echo"), &json!([CANARY]), &json!({})).await.unwrap();
    let said = call(&session.dspy(), "use", json!(["look_around"])).await.unwrap();
    let trace = trace_of(&said[0][0]);

    let (id, outer) = kept.span("dspex.call", "callee", "dspex_trace_programs.use").unwrap();
    assert_eq!(outer.target, "dspex::call");
    let fields = &outer.fields;
    let found =
        ["session", "pool", "worker", "generation", "tries", "outcome"].map(|name| fields[name].as_str());
    assert_eq!(found, ["spans", "default", "w0", "1", "1", "ok"]);
    assert_eq!(fields["trace_id"], trace.trace_id(), "a trace of our own, since somebody listens");
    kept.below(id, "dspex.queue");
    kept.below(id, "dspex.dispatch");
    let (python, in_python) = kept.below(id, "dspex.python");
    assert!(in_python.fields["run_us"].parse::<u64>().unwrap() > 0);
    let (callback, asked) = kept.below(python, "dspex.callback");
    assert_eq!(asked.fields["kind"], "tool");
    let (_, inner) = kept.below(callback, "dspex.call");
    assert_eq!(inner.fields["trace_id"], trace.trace_id());
    eventually("all spans are closed", || {
        let spans = kept.spans.lock().unwrap();
        let ours = |seen: &&Seen| seen.fields.get("trace_id").is_some_and(|id| *id == trace.trace_id());
        spans.values().filter(ours).all(|seen| seen.closed)
    })
    .await;
    let everything = format!("{:?}", kept.spans.lock().unwrap());
    assert!(!everything.contains(CANARY));

    // The tool, and what Python sees below it, are in the same trace, each at a span of its own.
    let (in_tool, below) = (trace_of(&said[1][0]), trace_of(&said[1][1][0]));
    assert_eq!([in_tool.trace_id(), below.trace_id()], [trace.trace_id(), trace.trace_id()]);
    let spans = [trace.span_id(), in_tool.span_id(), below.span_id()];
    assert!(spans[0] != spans[1] && spans[1] != spans[2] && spans[0] != spans[2], "{spans:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_the_program_names_goes_to_python_and_through_tools() {
    watch();
    let dspex = builder(Carrier::Framed).allow_module(PROGRAMS).start().await.unwrap();
    let given =
        TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "k=v").unwrap();
    let session = session_with_tool(&dspex, "named").await.traced(given.clone());
    for program in ["use", "use_in_thread"] {
        let said = call(&session.dspy(), program, json!(["look_around"])).await.unwrap();
        assert_eq!(said[0][1], json!("k=v"));
        for seen in [&said[0][0], &said[1][0], &said[1][1][0]] {
            assert_eq!(trace_of(seen).trace_id(), given.trace_id(), "{said}");
        }
    }
    let below = format!("00-{}-00f067aa0ba902b7-01", "1".repeat(32));
    let said = call(&session.dspy(), "use_below", json!(["look_around", below])).await.unwrap();
    assert_eq!(trace_of(&said[1][0]).trace_id(), "1".repeat(32), "Python named another one for what it asks");
    let plain = dspex.dspy();
    let other = call(&plain, "where", json!([])).await.unwrap();
    assert_ne!(trace_of(&other[0]).trace_id(), given.trace_id(), "other handles are in no such trace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_line_of_a_call_names_its_session_and_trace() {
    let kept = watch();
    let dspex = builder(Carrier::Framed).allow_module(PROGRAMS).start().await.unwrap();
    let session = dspex.sessions().create("team a/1", SessionConfig::new()).await.unwrap();
    call(&session.dspy(), "log", json!(["a line of a call"])).await.unwrap();
    let line = || {
        let events = kept.events.lock().unwrap();
        let is_it =
            |event: &&Seen| event.fields.get("message").is_some_and(|text| text.contains("a line of a call"));
        events.iter().find(is_it).cloned()
    };
    eventually("the line arrived", || line().is_some()).await;
    let line = line().unwrap();
    assert_eq!((line.target.as_str(), line.fields["session"].as_str()), ("dspex::python", "team a/1"));
    assert_eq!(line.fields["message"], "program: a line of a call");
    let (_, span) = kept.span("dspex.call", "session", "team a/1").unwrap();
    assert_eq!(line.fields["trace_id"], span.fields["trace_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_waits_for_any_more_is_one_that_was_dropped() {
    let kept = watch();
    let dspex = start_without_lm(Carrier::Framed).await;
    let session = dspex.sessions().create("dropped", SessionConfig::new()).await.unwrap();
    let sleeps = async { session.dspy().call(&program("sleep"), &json!([60]), &json!({})).await };
    tokio::time::timeout(Duration::from_millis(50), sleeps).await.unwrap_err();
    let (_, span) = kept.span("dspex.call", "session", "dropped").unwrap();
    assert_eq!((span.fields["outcome"].as_str(), span.closed), ("dropped", true));
}
