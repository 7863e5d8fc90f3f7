//! Places, calls and their ends, against a fake worker that speaks the true protocol.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::events::WorkerEnd;
use super::fake_worker::FakeWorker;
use super::scheduler::{LeaseError, Want};
use super::transport::{Inbound, LinkError, LinkLimits, SendError};
use crate::proto::{self, Cancel, Fragment, Hello, Open, Payload, cancel, down, up};

const LIMITS: LinkLimits =
    LinkLimits { max_message_bytes: 1 << 20, cancel_grace: Duration::from_millis(100) };

/// A call without a session.
fn within(deadline: Option<Instant>, reserve: Option<&Arc<Semaphore>>) -> Want<'_> {
    Want { deadline, reserve, ..Want::default() }
}

fn open_of(bytes: usize) -> Open {
    let inputs = Some(Payload { json: vec![b' '; bytes].into(), attachments: Vec::new() });
    Open { inputs, ..Open::default() }
}

fn json_of(inbound: Inbound) -> String {
    match inbound {
        Inbound::Message(down::Kind::Done(done)) => {
            String::from_utf8(done.output.expect("an output").json.to_vec()).expect("text")
        }
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn a_call_gets_its_own_answer_among_others() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 8, 8).await;
    let (one, two) =
        (scheduler.lease(Want::default()).await.unwrap(), scheduler.lease(Want::default()).await.unwrap());
    let mut first = one.link.open(open_of(1), one.permit).unwrap();
    let mut second = two.link.open(open_of(1), two.permit).unwrap();
    let (a, _) = worker.receive().await;
    let (b, _) = worker.receive().await;
    worker.done(b, "\"second\"").await;
    worker.done(a, "\"first\"").await;
    assert_eq!(json_of(first.next().await), "\"first\"");
    assert_eq!(json_of(second.next().await), "\"second\"");
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_keeps_its_place_until_the_worker_says_that_it_ended() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 1, 8).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let call = lease.link.open(open_of(1), lease.permit).unwrap();
    let (id, _) = worker.receive().await;
    drop(call);
    let (cancelled, kind) = worker.receive().await;
    assert_eq!(cancelled, id);
    assert_eq!(kind, up::Kind::Cancel(Cancel { reason: cancel::Reason::Dropped.into() }));
    assert_eq!(scheduler.load().in_flight, 1, "Python still works on it");
    let soon = Instant::now() + Duration::from_millis(20);
    assert_eq!(scheduler.lease(within(Some(soon), None)).await.err(), Some(LeaseError::Deadline));
    worker.send(id, down::Kind::Failed(proto::Failed::default())).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    assert_eq!(scheduler.load().in_flight, 1);
    drop(lease);
    assert_eq!(scheduler.load().in_flight, 0);
}

#[tokio::test]
async fn a_worker_that_ignores_a_cancellation_is_given_up() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 1, 8).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let link = lease.link.clone();
    drop(link.open(open_of(1), lease.permit).unwrap());
    let _ = worker.receive().await;
    link.lost().await;
    assert!(matches!(link.end_so_far(), WorkerEnd::IgnoredCancellation { .. }), "{}", link.end_so_far());
}

#[tokio::test]
async fn a_lost_worker_ends_every_call_on_it() {
    let (worker, scheduler) = FakeWorker::ready(LIMITS, 8, 8).await;
    let (one, two) =
        (scheduler.lease(Want::default()).await.unwrap(), scheduler.lease(Want::default()).await.unwrap());
    let link = one.link.clone();
    let mut first = one.link.open(open_of(1), one.permit).unwrap();
    let mut second = two.link.open(open_of(1), two.permit).unwrap();
    drop(worker);
    assert!(matches!(first.next().await, Inbound::Lost));
    assert!(matches!(second.next().await, Inbound::Lost));
    let third = scheduler.lease(within(Some(Instant::now()), None)).await;
    assert!(third.is_err(), "a lost worker takes no calls even before the supervisor knows");
    assert!(link.is_lost());
}

#[tokio::test]
async fn a_full_queue_answers_at_once_with_its_figures() {
    let (_worker, scheduler) = FakeWorker::ready(LIMITS, 1, 1).await;
    let held = scheduler.lease(Want::default()).await.unwrap();
    let waiting = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.lease(Want::default()).await.map(|lease| lease.link.hello().pid) }
    });
    while scheduler.load().queued == 0 {
        tokio::task::yield_now().await;
    }
    let Err(LeaseError::Saturated(load)) = scheduler.lease(Want::default()).await else {
        panic!("it had a place")
    };
    assert_eq!((load.in_flight, load.capacity, load.queued, load.queue_limit), (1, 1, 1, 1));
    drop(held);
    assert!(waiting.await.unwrap().is_ok(), "the place goes to the one who waited");
}

#[tokio::test]
async fn a_caller_that_stops_waiting_leaves_no_trace_in_the_queue() {
    let (_worker, scheduler) = FakeWorker::ready(LIMITS, 1, 1).await;
    let held = scheduler.lease(Want::default()).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(5);
    assert_eq!(scheduler.lease(within(Some(soon), None)).await.err(), Some(LeaseError::Deadline));
    assert_eq!(scheduler.load().queued, 0);
    drop(held);
    assert!(scheduler.lease(Want::default()).await.is_ok());
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_before_it_is_sent() {
    let (_worker, scheduler) = FakeWorker::ready(LIMITS, 1, 1).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let refused = lease.link.open(open_of(2 << 20), lease.permit).err();
    assert!(matches!(refused, Some(SendError::TooLarge { limit: 1_048_576, .. })), "{refused:?}");
    assert_eq!(scheduler.load().in_flight, 0, "the place is free again");
}

#[tokio::test]
async fn a_dropped_call_of_which_nothing_has_left_gives_its_place_back_at_once() {
    let (_worker, scheduler) = FakeWorker::ready(LIMITS, 16, 0).await;
    let mut calls = Vec::new();
    // The worker reads nothing; four large ones take turns, and the rest wait for them.
    for _ in 0..8 {
        let lease = scheduler.lease(Want::default()).await.unwrap();
        calls.push(lease.link.open(open_of(900 << 10), lease.permit).unwrap());
    }
    let link = calls[0].link().clone();
    drop(calls.pop());
    assert_eq!(scheduler.load().in_flight, 7, "the worker never hears of it");
    tokio::time::sleep(2 * LIMITS.cancel_grace).await;
    assert!(!link.is_lost(), "and is not given up for it");
}

#[tokio::test]
async fn an_answer_over_the_limit_reaches_its_call_as_that() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 1, 1).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let mut call = lease.link.open(open_of(1), lease.permit).unwrap();
    let (id, _) = worker.receive().await;
    let fragment = Fragment { data: vec![0; 10].into(), last: false, total: 5 << 20 };
    worker.send(id, down::Kind::Fragment(fragment)).await;
    assert!(matches!(call.next().await, Inbound::TooLarge(5_242_880)));
}

#[tokio::test]
async fn garbage_on_the_socket_ends_the_link_and_says_why() {
    let (mut worker, link) = FakeWorker::connect(LIMITS).await;
    worker.send_raw(&[3, 0, 0, 0, 0xff, 0xff, 0xff]).await;
    link.lost().await;
    assert!(link.end_so_far().to_string().contains("broken frame"), "{}", link.end_so_far());
    let (mut worker, link) = FakeWorker::connect(LIMITS).await;
    worker.send_raw(&[0xff, 0xff, 0xff, 0xff]).await;
    link.lost().await;
    assert!(link.end_so_far().to_string().contains("4294967295 bytes"), "{}", link.end_so_far());
}

#[tokio::test]
async fn a_worker_of_another_protocol_is_refused() {
    let hello = Hello { protocol: 99, ..Hello::default() };
    let (_worker, link) = FakeWorker::connect_as(hello, LIMITS).await;
    assert!(matches!(link.err(), Some(LinkError::Version { got: 99 })));
}

#[tokio::test]
async fn calls_below_one_share_its_reserve_where_all_places_are_taken() {
    let (_worker, scheduler) = FakeWorker::ready(LIMITS, 1, 0).await;
    let above = scheduler.lease(Want::default()).await.unwrap();
    let reserve = Arc::new(Semaphore::new(1));
    let soon = || Some(Instant::now() + Duration::from_millis(20));
    let first = scheduler.lease(within(soon(), Some(&reserve))).await.unwrap();
    assert_eq!(scheduler.load().in_flight, 2, "one beyond the limit");
    assert_eq!(scheduler.lease(within(soon(), Some(&reserve))).await.err(), Some(LeaseError::Deadline));
    drop(first);
    let second = scheduler.lease(within(soon(), Some(&reserve))).await.unwrap();
    drop((second, above));
    let usual = scheduler.lease(within(soon(), Some(&reserve))).await.unwrap();
    assert_eq!(reserve.available_permits(), 1, "a free place is taken first");
    drop(usual);
    assert_eq!(scheduler.load().in_flight, 0);
}

#[tokio::test]
async fn a_call_below_one_takes_a_place_that_frees_before_its_reserve_does() {
    let (_worker, scheduler) = FakeWorker::ready(LIMITS, 1, 8).await;
    let above = scheduler.lease(Want::default()).await.unwrap();
    let reserve = Arc::new(Semaphore::new(1));
    let held = scheduler.lease(within(None, Some(&reserve))).await.unwrap();
    let waiting = {
        let (scheduler, reserve) = (scheduler.clone(), reserve.clone());
        tokio::spawn(async move { scheduler.lease(within(None, Some(&reserve))).await.map(|_| ()) })
    };
    while scheduler.load().queued == 0 {
        tokio::task::yield_now().await;
    }
    drop(above);
    // One beyond the limit still runs, so that the place which frees is no place of the usual ones.
    assert_eq!(scheduler.load().queued, 1);
    drop(held);
    waiting.await.unwrap().unwrap();
    assert_eq!(scheduler.load().in_flight, 0);
}

#[tokio::test]
async fn a_call_below_one_turns_nobody_away_while_it_has_its_reserve() {
    let (_worker, scheduler) = FakeWorker::ready(LIMITS, 1, 2).await;
    let above = scheduler.lease(Want { session: "quiet", ..Want::default() }).await.unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let scheduler = scheduler.clone();
            tokio::spawn(async move {
                scheduler.lease(Want { session: "busy", ..Want::default() }).await.map(drop)
            })
        })
        .collect();
    while scheduler.load().queued < 2 {
        tokio::task::yield_now().await;
    }
    let reserve = Arc::new(Semaphore::new(1));
    let want = Want { session: "quiet", reserve: Some(&reserve), ..Want::default() };
    let below = scheduler.lease(want).await.unwrap();
    assert_eq!((scheduler.load().in_flight, scheduler.load().queued), (2, 2));
    drop((above, below));
    for waited in waiting {
        waited.await.unwrap().unwrap();
    }
}
