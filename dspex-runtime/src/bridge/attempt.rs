//! One try of a call: the messages between host and worker, from its place to its end.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::breakers::{Breakers, unavailable};
use super::callbacks::{self, Reach};
use super::{Request, errors};
use crate::error::{Error, Phase, Result};
use crate::pool::transport::{Call, Inbound, SendError};
use crate::pool::{Lease, Pool, WorkerEnd};
use crate::proto::{self, Open, Payload, SessionView, cancel, down, up};
use crate::telemetry::{CallWatch, CallbackWatch, RunWatch};

/// How one try ended.
pub(super) enum Attempt {
    /// As the worker said.
    Ended(Result<Payload>),
    /// The worker was gone before anything was sent.
    NeverStarted,
    /// The worker went while it had the call.
    Lost(WorkerEnd),
}

/// Sends a call to the worker that it has a place at, answers its callbacks, and completes with its end.
pub(super) async fn attempt(
    pool: &Pool,
    breakers: &Arc<Breakers>,
    lease: Lease,
    request: &Request,
    (watch, mut run): (&mut CallWatch, RunWatch),
) -> Result<Attempt> {
    let Lease { link, permit } = lease;
    // A worker that reads slowly makes its callers wait, not the host hold what they would send.
    if tokio::time::timeout_at(request.expires, link.room()).await.is_err() {
        return Err(Error::DeadlineExceeded { after: request.deadline, phase: Phase::Queued });
    }
    let mut open = open_of(request);
    run.tell(&mut open);
    let mut call = match link.open(open, permit) {
        Ok(call) => call,
        Err(SendError::Lost) => {
            // The supervisor learns of the loss in its own task; let it, before the next lease is asked for.
            tokio::task::yield_now().await;
            return Ok(Attempt::NeverStarted);
        }
        Err(SendError::TooLarge { size, limit }) => {
            return Err(Error::TooLarge { what: "the request", size, limit });
        }
    };
    let mut callbacks = JoinSet::new();
    let mut items = Items::default();
    let mut expiry = std::pin::pin!(tokio::time::sleep_until(request.expires));
    let expired = |call: &mut Call| {
        call.cancel(cancel::Reason::Deadline);
        Error::DeadlineExceeded { after: request.deadline, phase: Phase::Running }
    };
    loop {
        let inbound = tokio::select! {
            biased;
            inbound = call.next() => inbound,
            () = &mut expiry => return Err(expired(&mut call)),
        };
        match inbound {
            Inbound::Message(down::Kind::Done(done)) => {
                watch.ran(&mut run, done.run_us);
                return Ok(Attempt::Ended(Ok(done.output.unwrap_or_default())));
            }
            Inbound::Message(down::Kind::Failed(failed)) => {
                watch.ran(&mut run, failed.run_us);
                return Ok(failure(&call, failed.error.unwrap_or_default(), request));
            }
            Inbound::Message(down::Kind::Callback(callback)) => {
                let watched = watch.callback(&mut run, &callback);
                serve_callback(&mut callbacks, callback, (&call, request, breakers), watched).await;
            }
            Inbound::Message(down::Kind::NeedState(need)) => {
                run.answered();
                send_state(&call, &need, request)?;
            }
            Inbound::Message(down::Kind::Event(event)) => {
                run.answered();
                let item = event.r#type == "item";
                // Served here and not in a task: so events keep their order. While there is no room for one, what else
                // Python asks within this call waits as well: who does not read a stream holds its call up. Calls
                // with many callbacks at once are no generators, and their workers send no events.
                if let Some(host) = &request.host {
                    tokio::select! {
                        biased;
                        () = host.event(event) => {}
                        () = &mut expiry => return Err(expired(&mut call)),
                    }
                }
                if item {
                    items.took_one(&call);
                }
            }
            Inbound::Message(_) => {}
            Inbound::TooLarge(size) => {
                call.cancel(cancel::Reason::Requested);
                let limit = pool.max_message_bytes();
                return Err(Error::TooLarge { what: "the answer", size, limit });
            }
            Inbound::Flooded(reason) => return Err(Error::Protocol(reason)),
            Inbound::Unsent => return Ok(Attempt::NeverStarted),
            Inbound::Lost => {
                let link = call.link();
                let end = tokio::time::timeout_at(request.expires, link.end()).await;
                return Ok(Attempt::Lost(end.unwrap_or_else(|_| link.end_so_far())));
            }
        }
    }
}

/// The call as the worker is told of it.
fn open_of(request: &Request) -> Open {
    let remaining = request.expires.saturating_duration_since(Instant::now());
    Open {
        target: Some(request.target.to_wire()),
        inputs: Some(Payload { json: request.inputs.clone(), attachments: Vec::new() }),
        // The worker's own deadline is a safety net behind the host's; it comes a little later.
        deadline_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX).saturating_add(250),
        session: Some(SessionView {
            id: request.session.clone(),
            lm: request.lm.as_ref().map(|lm| lm.spec().hash.clone()).unwrap_or_default(),
            adapter: request.adapter.to_owned(),
            tools: request.tools.as_ref().map(|tools| tools.hash.clone()).unwrap_or_default(),
            ..SessionView::default()
        }),
        depth: request.above.depth,
        ..Open::default()
    }
}

/// What an error of the worker means for the call.
fn failure(call: &Call, error: proto::Error, request: &Request) -> Attempt {
    if error.kind() == proto::error::Kind::Draining {
        call.link().refused_as_draining();
        return Attempt::NeverStarted;
    }
    Attempt::Ended(Err(match errors::from_wire(error, request.target.name(), request.deadline) {
        Error::Lm(error) => unavailable(error, request.lm.as_ref()),
        error => error,
    }))
}

/// Answers a callback, at once or from among those that are still served.
async fn serve_callback(
    callbacks: &mut JoinSet<()>,
    callback: proto::Callback,
    (call, request, breakers): (&Call, &Request, &Arc<Breakers>),
    watched: CallbackWatch,
) {
    while callbacks.try_join_next().is_some() {}
    let reach = Reach {
        lm: request.lm.clone(),
        variables: request.variables.clone(),
        host: request.host.clone(),
        breakers: breakers.clone(),
    };
    let (span, mut below) = (watched.span(), request.below.clone());
    below.trace = watched.trace();
    let served = callbacks::serve(callback, reach, call.sender(), watched);
    // Most are answered at once, without a task of their own.
    let mut served = Box::pin(below.scope(served).instrument(span));
    if futures::poll!(served.as_mut()).is_pending() {
        callbacks.spawn(served);
    }
}

/// The items of a generator in Python that there was room for; Python makes more as it is told so.
#[derive(Default)]
struct Items {
    taken: u64,
    told: u64,
}

impl Items {
    /// So many are taken at most before Python is told: half of what it makes ahead, so that it need not stop.
    const AT_ONCE: u64 = 16;

    fn took_one(&mut self, call: &Call) {
        self.taken += 1;
        // Python may wait for this answer, unless something of it is here already.
        if self.taken - self.told >= Self::AT_ONCE || !call.has_more() {
            self.told = self.taken;
            // The loss of the worker arrives as the call's end.
            let _ = call.send(up::Kind::ItemsTaken(proto::ItemsTaken { count: self.taken }));
        }
    }
}

fn send_state(call: &Call, need: &proto::NeedState, request: &Request) -> Result<()> {
    let mut state = proto::State::default();
    for hash in &need.specs {
        let spec =
            request.target.spec().filter(|spec| spec.hash == *hash).ok_or_else(|| unknown("spec", hash))?;
        state.specs.push(proto::Spec { hash: hash.clone(), json: spec.json.clone().into() });
    }
    for hash in &need.lms {
        let lm =
            request.lm.as_ref().filter(|lm| lm.spec().hash == *hash).ok_or_else(|| unknown("model", hash))?;
        let spec = lm.spec();
        let api_key = spec.api_key.as_ref().map(|key| key.expose_secret().to_owned()).unwrap_or_default();
        state.lms.push(proto::LmSpec { hash: hash.clone(), json: spec.json.clone().into(), api_key });
    }
    for hash in &need.tools {
        let tools = request
            .tools
            .as_ref()
            .filter(|tools| tools.hash == *hash)
            .ok_or_else(|| unknown("tools", hash))?;
        state.tools.push(proto::ToolSet { hash: hash.clone(), json: tools.json.clone().into() });
    }
    match call.send(up::Kind::State(state)) {
        // The loss itself arrives as the call's end.
        Ok(()) | Err(SendError::Lost) => Ok(()),
        Err(SendError::TooLarge { size, limit }) => {
            Err(Error::TooLarge { what: "the instance's spec", size, limit })
        }
    }
}

fn unknown(what: &str, hash: &str) -> Error {
    Error::Protocol(format!("the worker asked for the {what} {hash}, which the call did not name"))
}
