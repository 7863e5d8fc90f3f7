//! How a worker that listens is: a stream of its own, on which it says who it is and then answers a ping each second.
//!
//! HTTP/2's own pings are answered by threads that go on while Python hangs; these are answered by the worker's event
//! loop. On the same stream the worker tells at once when it drains. Whether it is silent for too long is the
//! supervisor's to judge.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Streaming;

use super::super::CallTable;
use crate::proto::{Down, Hello, Ping, Pong, Stats, Up, down, up};

/// How often the worker is asked, busy or not: it may have calls of other hosts.
const EVERY: Duration = Duration::from_secs(1);

/// The question how the worker is.
pub(super) fn ping(nonce: u64) -> Up {
    Up { call: 0, kind: Some(up::Kind::Ping(Ping { nonce })) }
}

/// The stream, once the worker has said who it is.
pub(super) struct Watch {
    pub(super) questions: mpsc::UnboundedSender<Up>,
    answers: Streaming<Down>,
}

impl Watch {
    /// Opens the stream: who the worker is, and how.
    pub(super) async fn open(stub: &super::Stub) -> Result<(Self, Hello, Stats), tonic::Status> {
        let (questions, mut asked) = mpsc::unbounded_channel();
        // The receiver is there, in this function.
        let _ = questions.send(ping(0));
        let outgoing = futures::stream::poll_fn(move |cx| asked.poll_recv(cx));
        let mut answers = stub.call(outgoing).await?;
        let Some(down::Kind::Hello(hello)) = next(&mut answers).await? else {
            return Err(tonic::Status::data_loss("the first message was not Hello"));
        };
        let Some(down::Kind::Pong(Pong { stats: Some(stats), .. })) = next(&mut answers).await? else {
            return Err(tonic::Status::data_loss("the second message was not Pong"));
        };
        Ok((Self { questions, answers }, hello, stats))
    }

    /// Goes on until the link is lost.
    pub(super) fn follow(self, calls: Arc<CallTable>) {
        let Self { questions, mut answers } = self;
        tokio::spawn(async move {
            let mut every = tokio::time::interval(EVERY);
            every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let answer = tokio::select! {
                    answer = answers.message() => answer,
                    _ = every.tick() => {
                        let _ = questions.send(ping(0));
                        continue;
                    }
                    () = calls.lost.cancelled() => return,
                };
                match answer {
                    Ok(Some(down)) if down.call == 0 => calls.deliver(down),
                    Ok(Some(_)) => {
                        let what = "it sent a call's message on the stream that has no call";
                        return calls.lose(super::WorkerEnd::Garbage(what.to_owned()));
                    }
                    // The worker ends; what still runs there may end as well, and its own streams tell.
                    Ok(None) => return calls.lose_when_idle(),
                    Err(_) if calls.draining.load(Ordering::Acquire) => return,
                    Err(status) => return calls.lose(super::describe(&status)),
                }
            }
        });
    }
}

async fn next(answers: &mut Streaming<Down>) -> Result<Option<down::Kind>, tonic::Status> {
    Ok(answers.message().await?.and_then(|down| down.kind))
}
