//! How a worker that listens is: a stream of its own, on which it says who it is and then answers a ping each second.
//!
//! HTTP/2's own pings are answered by threads that go on while Python hangs; these are answered by the worker's event
//! loop. On the same stream the worker tells at once when it drains.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Streaming;

use super::super::{CallTable, Link};
use crate::proto::{Down, Hello, Up, down};

/// How often the worker is asked.
const EVERY: Duration = Duration::from_secs(1);

/// The stream, once the worker has said who it is.
pub(super) struct Watch {
    pub(super) questions: mpsc::UnboundedSender<Up>,
    answers: Streaming<Down>,
}

impl Watch {
    /// Opens the stream.
    pub(super) async fn open(stub: &super::Stub) -> Result<(Self, Hello), tonic::Status> {
        let (questions, mut asked) = mpsc::unbounded_channel();
        let outgoing = futures::stream::poll_fn(move |cx| asked.poll_recv(cx));
        let mut answers = stub.call(outgoing).await?;
        match answers.message().await?.and_then(|down| down.kind) {
            Some(down::Kind::Hello(hello)) => Ok((Self { questions, answers }, hello)),
            _ => Err(tonic::Status::data_loss("the first message was not Hello")),
        }
    }

    /// Goes on until the link is lost; a worker that is silent for so long makes it so.
    pub(super) fn follow(self, link: &Arc<Link>, calls: Arc<CallTable>, silence: Duration) {
        tokio::spawn(listen(self.answers, calls.clone()));
        let link = Arc::downgrade(link);
        tokio::spawn(async move {
            loop {
                let Some(held) = link.upgrade() else { return };
                match tokio::time::timeout(silence, held.ping()).await {
                    Ok(Some(_)) => {}
                    Ok(None) => return,
                    Err(_) => {
                        return calls.lose(format!("the worker has not answered a ping for {silence:?}"));
                    }
                }
                drop(held);
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = calls.lost.cancelled() => return,
                }
            }
        });
    }
}

/// Takes what the worker says on the stream.
async fn listen(mut answers: Streaming<Down>, calls: Arc<CallTable>) {
    let reason = loop {
        let answer = tokio::select! {
            answer = answers.message() => answer,
            () = calls.lost.cancelled() => return,
        };
        match answer {
            Ok(Some(down)) if down.call == 0 => calls.deliver(down),
            Ok(Some(_)) => break "the worker sent a call's message where there is no call".to_owned(),
            // The worker ends; what still runs there may end as well.
            Ok(None) => return calls.lose_when_idle(),
            Err(status) => break super::describe(&status),
        }
    };
    calls.lose(reason);
}
