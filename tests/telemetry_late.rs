//! A recorder of metrics that is installed after the start: it sees what happens from then on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{assert_serves, start_without_lm};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// The calls that ended well, as far as the recorder knows.
fn calls(snapshotter: &Snapshotter) -> Option<usize> {
    snapshotter.snapshot().into_vec().into_iter().find_map(|(key, _, description, value)| match value {
        DebugValue::Histogram(values) if key.key().name() == "dspex_call_seconds" => {
            assert!(description.is_some(), "it is told what the names mean, too");
            Some(values.len())
        }
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_that_comes_late_sees_what_happens_from_then_on() {
    let dspex = start_without_lm(dspex::Carrier::Framed).await;
    assert_serves(&dspex).await;
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    assert_eq!(calls(&snapshotter), None);
    assert_serves(&dspex).await;
    assert_serves(&dspex).await;
    assert_eq!(calls(&snapshotter), Some(2));
}
