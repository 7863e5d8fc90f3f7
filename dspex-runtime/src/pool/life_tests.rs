//! How links tell of the life and the end of their workers, against a fake worker that speaks the true protocol.

use std::time::{Duration, Instant};

use super::events::WorkerEnd;
use super::fake_worker::FakeWorker;
use super::scheduler::Want;
use super::transport::{Inbound, LinkLimits, SendError};
use crate::proto::{Open, Pong, Stats, cancel, down, up};

const LIMITS: LinkLimits =
    LinkLimits { max_message_bytes: 1 << 20, cancel_grace: Duration::from_millis(100) };

fn patiently() -> Want<'static> {
    Want::default()
}

#[tokio::test]
async fn a_drain_comes_behind_the_last_call_and_no_call_behind_it() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 8, 8).await;
    let (one, two) =
        (scheduler.lease(patiently()).await.unwrap(), scheduler.lease(patiently()).await.unwrap());
    let link = one.link.clone();
    let mut running = one.link.open(Open::default(), one.permit).unwrap();
    let (call, _) = worker.receive().await;
    link.drain();
    let late = two.link.open(Open::default(), two.permit).err();
    assert!(matches!(late, Some(SendError::Lost)), "it never began: {late:?}");
    assert!(!link.takes_calls() && !link.is_lost());
    worker.done(call, "1").await;
    assert!(matches!(running.next().await, Inbound::Message(down::Kind::Done(_))));
    let (of, kind) = worker.receive().await;
    assert_eq!((of, kind), (0, up::Kind::Drain(crate::proto::Drain {})));
    drop(worker);
    link.lost().await;
    assert!(!link.lost_calls());
}

#[tokio::test]
async fn an_idle_worker_is_drained_at_once_and_given_up_if_it_stays() {
    let (mut worker, link) = FakeWorker::connect(LIMITS).await;
    let begun = Instant::now();
    link.drain();
    assert!(matches!(worker.receive().await.1, up::Kind::Drain(_)));
    link.lost().await;
    assert!(begun.elapsed() >= Duration::from_millis(900), "it had a second to end itself");
}

#[tokio::test]
async fn a_suspected_worker_gets_no_call_until_it_answers() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 8, 8).await;
    let link = scheduler.links().remove(0);
    let heard = link.heard();
    link.suspect(true);
    let waiting = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.lease(patiently()).await.map(|_| ()) }
    });
    while scheduler.load().queued == 0 {
        tokio::task::yield_now().await;
    }
    link.ping();
    let (_, up::Kind::Ping(ping)) = worker.receive().await else { panic!("no ping") };
    let stats = Stats { rss_bytes: 7, ..Stats::default() };
    worker.send(0, down::Kind::Pong(Pong { nonce: ping.nonce, stats: Some(stats) })).await;
    while link.heard() == heard {
        tokio::task::yield_now().await;
    }
    assert_eq!(link.stats().map(|stats| stats.rss_bytes), Some(7));
    link.suspect(false);
    scheduler.resume();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn callers_wait_for_the_verdict_and_the_first_one_counts() {
    let (worker, link) = FakeWorker::connect(LIMITS).await;
    drop(worker);
    link.lost().await;
    assert!(link.end_so_far().is_vague(), "{}", link.end_so_far());
    let told = tokio::spawn({
        let link = link.clone();
        async move { link.end().await }
    });
    tokio::task::yield_now().await;
    link.settle(WorkerEnd::Signal(11));
    link.settle(WorkerEnd::Exit(0));
    assert_eq!(told.await.unwrap(), WorkerEnd::Signal(11));
    assert_eq!(link.end().await, WorkerEnd::Signal(11));
}

#[tokio::test(start_paused = true)]
async fn callers_wait_for_no_verdict_for_ever() {
    let (worker, link) = FakeWorker::connect(LIMITS).await;
    drop(worker);
    link.lost().await;
    let begun = tokio::time::Instant::now();
    assert!(matches!(link.end().await, WorkerEnd::Disconnected(_)));
    assert!(begun.elapsed() <= Duration::from_millis(501), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn all_calls_of_a_link_can_be_cancelled() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 8, 8).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        let lease = scheduler.lease(patiently()).await.unwrap();
        calls.push(lease.link.open(Open::default(), lease.permit).unwrap());
        worker.receive().await;
    }
    calls[0].link().cancel_all(cancel::Reason::Shutdown);
    let mut cancelled = Vec::new();
    for _ in 0..3 {
        let (call, kind) = worker.receive().await;
        let up::Kind::Cancel(cancel) = kind else { panic!("{kind:?}") };
        assert_eq!(cancel.reason(), cancel::Reason::Shutdown);
        cancelled.push(call);
        worker.send(call, down::Kind::Failed(crate::proto::Failed::default())).await;
    }
    cancelled.sort_unstable();
    assert_eq!(cancelled, [1, 2, 3]);
}
