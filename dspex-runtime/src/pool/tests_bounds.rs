//! What a peer can make this host hold, against a fake worker that speaks the true protocol.

use std::time::Duration;

use super::events::WorkerEnd;
use super::fake_worker::FakeWorker;
use super::scheduler::Want;
use super::transport::{Inbound, LinkLimits};
use crate::proto::{Event, Fragment, Hello, Open, Payload, down, up};

const LIMITS: LinkLimits =
    LinkLimits { max_message_bytes: 1 << 20, cancel_grace: Duration::from_millis(100) };

fn event(bytes: usize) -> down::Kind {
    down::Kind::Event(Event { seq: 1, r#type: "token".into(), json: vec![b' '; bytes].into() })
}

fn open_of(bytes: usize) -> Open {
    let inputs = Some(Payload { json: vec![b' '; bytes].into(), attachments: Vec::new() });
    Open { inputs, ..Open::default() }
}

#[tokio::test]
async fn a_worker_that_floods_a_call_that_nobody_reads_is_given_up() {
    for (bytes, messages) in [(0, 16 * 1024), (100_000, 17 * 10)] {
        let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 2, 8).await;
        let lease = scheduler.lease(Want::default()).await.unwrap();
        let other = scheduler.lease(Want::default()).await.unwrap();
        let link = lease.link.clone();
        let mut call = lease.link.open(open_of(1), lease.permit).unwrap();
        let mut beside = other.link.open(open_of(1), other.permit).unwrap();
        let (id, _) = worker.receive().await;
        let flooding = tokio::spawn(async move {
            // Nobody reads any more once it was given up.
            while worker.try_send(id, event(bytes)).await.is_ok() {}
        });
        link.lost().await;
        flooding.abort();
        assert!(link.end_so_far().to_string().contains("flooded a call"), "{}", link.end_so_far());
        let mut received = 0;
        let end = loop {
            match call.next().await {
                Inbound::Message(_) => received += 1,
                end => break end,
            }
        };
        assert!(matches!(&end, Inbound::Flooded(reason) if reason.contains("waited to be read")), "{end:?}");
        assert!(received <= messages + 10, "{received} messages of {bytes} bytes were held");
        assert!(matches!(beside.next().await, Inbound::Lost));
    }
}

#[tokio::test]
async fn a_call_whose_messages_are_read_may_have_any_number_of_them() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 1, 8).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let mut call = lease.link.open(open_of(1), lease.permit).unwrap();
    let (id, _) = worker.receive().await;
    let sending = tokio::spawn(async move {
        for _ in 0..50_000 {
            worker.send(id, event(1000)).await;
        }
        worker.done(id, "1").await;
        worker
    });
    let mut received = 0;
    while let Inbound::Message(down::Kind::Event(_)) = call.next().await {
        received += 1;
    }
    assert_eq!(received, 50_000);
    sending.await.unwrap();
}

#[tokio::test]
async fn pieces_of_messages_that_no_call_waits_for_are_not_kept() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 1, 8).await;
    for call in 1000..1500 {
        let piece = Fragment { data: vec![0; 200_000].into(), last: false, total: 1 << 20 };
        worker.send(call, down::Kind::Fragment(piece)).await;
    }
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let mut call = lease.link.open(open_of(1), lease.permit).unwrap();
    let (id, _) = worker.receive().await;
    worker.done(id, "1").await;
    assert!(matches!(call.next().await, Inbound::Message(down::Kind::Done(_))), "the link lives");
}

#[tokio::test]
async fn who_sends_to_a_worker_that_does_not_read_waits_until_it_does() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 64, 8).await;
    let mut calls = Vec::new();
    let mut sent = 0;
    let link = scheduler.lease(Want::default()).await.unwrap().link.clone();
    // Each waits for room first, as the bridge does.
    while tokio::time::timeout(Duration::from_millis(50), link.room()).await.is_ok() {
        let lease = scheduler.lease(Want::default()).await.unwrap();
        calls.push(lease.link.open(open_of(500_000), lease.permit).unwrap());
        sent += 500_000;
        assert!(sent < 4 << 20, "{sent} bytes are held for a worker that reads nothing");
    }
    let room = tokio::spawn({
        let link = link.clone();
        async move { link.room().await }
    });
    for _ in 0..2 * calls.len() {
        let _ = worker.receive().await;
    }
    room.await.unwrap();
    drop(calls);
    drop(worker);
    link.lost().await;
    link.room().await;
}

#[tokio::test]
async fn messages_of_the_connection_itself_reach_no_call() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 1, 8).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let mut call = lease.link.open(open_of(1), lease.permit).unwrap();
    let (id, kind) = worker.receive().await;
    assert!(matches!(kind, up::Kind::Open(_)));
    for _ in 0..100 {
        worker.send(0, event(10)).await;
        worker.send(id + 1, event(10)).await;
    }
    worker.done(id, "1").await;
    assert!(matches!(call.next().await, Inbound::Message(down::Kind::Done(_))));
}

#[tokio::test]
async fn a_worker_that_says_hello_a_second_time_is_given_up() {
    let (mut worker, scheduler) = FakeWorker::ready(LIMITS, 1, 8).await;
    let lease = scheduler.lease(Want::default()).await.unwrap();
    let link = lease.link.clone();
    let mut call = lease.link.open(open_of(1), lease.permit).unwrap();
    let _ = worker.receive().await;
    worker.send(0, down::Kind::Hello(Hello::default())).await;
    assert!(matches!(call.next().await, Inbound::Lost));
    assert!(matches!(link.end().await, WorkerEnd::Garbage(what) if what.contains("Hello")));
}
