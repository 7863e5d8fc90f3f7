//! What Python says becomes events of the host's `tracing`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use common::{eventually, program, start_without_lm};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

/// Collects what a subscriber writes.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Collected {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prints_and_log_lines_of_python_arrive_as_events_with_their_worker() {
    let collected = Collected::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(collected.clone()).finish();
    // The process is this test's own; tasks of any thread are to be seen.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let dspex = start_without_lm(dspex::Carrier::Framed).await;
    dspex.dspy().call(&program("write_to_stdout"), &json!(["printed by python"]), &json!({})).await.unwrap();
    dspex.dspy().call(&program("log_warning"), &json!(["watch out"]), &json!({})).await.unwrap();
    eventually("both lines arrived", || {
        let text = collected.text();
        text.contains("printed by python") && text.contains("watch out")
    })
    .await;
    let text = collected.text();
    let line = |part: &str| text.lines().find(|line| line.contains(part)).unwrap().to_owned();
    assert!(line("printed by python").contains("dspex::python"), "{text}");
    assert!(line("printed by python").contains("worker=\"w0\""), "{text}");
    assert!(line("watch out").contains("WARN"), "{text}");
}
