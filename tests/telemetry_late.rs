//! A recorder of metrics that is installed after the start: it sees what happens from then on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{assert_serves, recorder, start_without_lm};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_that_comes_late_sees_what_happens_from_then_on() {
    let dspex = start_without_lm(dspex::Carrier::Framed).await;
    assert_serves(&dspex).await;
    // It refuses names that it was not told the meaning of, so that is told again, too.
    recorder::install();
    let calls = || recorder::observed("dspex_call_seconds{pool=default,outcome=ok}").len();
    assert_eq!(calls(), 0);
    assert_serves(&dspex).await;
    assert_serves(&dspex).await;
    assert_eq!(calls(), 2);
}
