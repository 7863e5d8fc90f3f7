//! Workers from the request for them to their Hello.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::process::Process;
use super::{Event, Supervisor, worker_name};
use crate::pool::config::FleetConfig;
use crate::pool::endpoint::Endpoint;
use crate::pool::error::PoolError;
use crate::pool::events::{PoolChange, WorkerEnd, WorkerId};
use crate::pool::intensity::random;
use crate::pool::owned_dir::OwnedDir;
use crate::pool::slot::SlotEvent;
use crate::pool::transport::{Link, LinkError, LinkLimits, framed, grpc};

/// How long a worker may take from its fork to Hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a zygote may take to answer a request for a worker. A fork takes milliseconds.
const FORK_TIMEOUT: Duration = Duration::from_secs(3);

impl Supervisor {
    pub(super) async fn fork_waiting(&mut self) {
        for index in 0..self.slots.len() {
            self.fork_if_possible(index).await;
        }
    }

    pub(super) async fn fork_if_possible(&mut self, index: usize) {
        if self.slots[index].due && !self.stopping && self.can_fork() {
            self.slots[index].due = false;
            self.step(index, SlotEvent::Fork).await;
        }
    }

    /// Whether a worker can be had now.
    pub(super) fn can_fork(&self) -> bool {
        self.zygotes.is_ready() || matches!(self.fleet, FleetConfig::Endpoints { .. })
    }

    pub(super) async fn start_worker(&mut self, index: usize, generation: u64) {
        let id = WorkerId::new(index, generation);
        let term = Process::term(&self.config.recycling, random(), self.slots[index].hungry);
        self.slots[index].processes.push(Process::new(id, term));
        self.listeners.of_worker(id, PoolChange::Starting);
        let limits = LinkLimits {
            max_message_bytes: self.config.max_message_bytes,
            cancel_grace: self.config.cancel_grace,
        };
        let address = match &self.fleet {
            FleetConfig::Endpoints { addresses, .. } => match addresses.get(index) {
                Some(endpoint) => Some(endpoint.clone()),
                None => return,
            },
            FleetConfig::Local { .. } => {
                let path = |dir| socket_path(dir, index, generation);
                self.socket_dir.as_ref().map(|dir| Endpoint::unix(path(dir)).or_token(self.token.as_ref()))
            }
        };
        let mut socket = None;
        let forked = matches!(self.fleet, FleetConfig::Local { .. });
        if forked {
            let listen = address.as_ref().and_then(Endpoint::socket);
            match self.zygotes.fork(&worker_name(index), generation, listen).await {
                Ok((zygote, ends)) => {
                    if let Some(process) = self.slots[index].process(generation) {
                        process.lifeline = Some(ends.lifeline);
                        process.zygote = zygote;
                        process.tail = ends.tail;
                    }
                    socket = ends.socket;
                    self.send_later(FORK_TIMEOUT, Event::ForkUnanswered(zygote, index, generation));
                }
                Err(error) => {
                    return self.fail_later(index, generation, &format!("the zygote cannot fork: {error}"));
                }
            }
        }
        let at = match &self.fleet {
            FleetConfig::Endpoints { addresses, .. } => {
                addresses.get(index).map(|endpoint| format!(" (at {endpoint})")).unwrap_or_default()
            }
            FleetConfig::Local { .. } => String::new(),
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            let connecting = async {
                match (socket, address) {
                    (Some(socket), _) => framed::connect(socket, limits).await,
                    (None, Some(address)) if forked => connect_patiently(&address, limits).await,
                    (None, Some(address)) => grpc::connect(&address, limits).await,
                    (None, None) => Err(LinkError::Carrier("the worker has no address".into())),
                }
            };
            let event = match tokio::time::timeout(HELLO_TIMEOUT, connecting).await {
                Ok(Ok(link)) => Event::Connected(index, generation, link),
                Ok(Err(error)) => Event::ConnectFailed(index, generation, format!("{error}{at}")),
                Err(_) => {
                    Event::ConnectFailed(index, generation, format!("no Hello within {HELLO_TIMEOUT:?}{at}"))
                }
            };
            let _ = events.send(event);
        });
    }

    pub(super) async fn connected(&mut self, index: usize, generation: u64, link: Arc<Link>) {
        let retired_before = self.slots[index].slot.serving;
        let local = matches!(self.fleet, FleetConfig::Local { .. });
        let Some(process) = self.slots[index].process(generation) else { return };
        process.ready = Some(Instant::now());
        process.link = Some(link.clone());
        if local {
            process.pid.get_or_insert(link.hello().pid);
        }
        let (id, took, pid) = (process.id, process.asked.elapsed(), link.hello().pid);
        let events = self.events.clone();
        tokio::spawn(async move {
            link.lost().await;
            let _ = events.send(Event::Lost(index, generation));
        });
        tracing::debug!(target: "dspex::pool", worker = index, generation, pid, ?took, replaces = retired_before, "a worker is ready");
        self.listeners.of_worker(id, PoolChange::Ready { pid, took });
        self.step(index, SlotEvent::Connected(generation)).await;
        self.report_start(Ok(()));
    }

    /// A worker did not come to its Hello.
    pub(super) async fn start_failed(&mut self, index: usize, generation: u64, end: WorkerEnd) {
        let Some(process) = self.slots[index].process(generation) else { return };
        let reason = end.to_string();
        process.verdict = Some(end);
        // A replacement that did not start: the old one goes on, and the next try has time.
        self.slots[index].renew_after = Some(Instant::now() + Duration::from_secs(10));
        self.intensity.count(Instant::now());
        self.step(index, SlotEvent::Failed(generation)).await;
        if self.slots.iter().all(|worker| worker.slot.failures > 0) {
            self.report_start(Err(PoolError::Down(reason.clone())));
        }
        self.refuse_if_hopeless(&reason);
    }

    pub(super) fn fail_later(&self, index: usize, generation: u64, reason: &str) {
        let _ = self.events.send(Event::ConnectFailed(index, generation, reason.to_owned()));
    }
}

/// A listener needs some milliseconds after the fork; until then connecting is refused.
async fn connect_patiently(address: &Endpoint, limits: LinkLimits) -> Result<Arc<Link>, LinkError> {
    let give_up = tokio::time::Instant::now() + HELLO_TIMEOUT - Duration::from_secs(1);
    loop {
        match grpc::connect(address, limits).await {
            Err(LinkError::Carrier(_)) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            done => return done,
        }
    }
}

fn socket_path(dir: &OwnedDir, index: usize, generation: u64) -> PathBuf {
    dir.path().join(format!("{index}-{generation}.sock"))
}
