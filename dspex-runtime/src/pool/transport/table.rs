//! The calls that are on their way over one link, and what is known of the worker at its other end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use super::grace::Grace;
use super::{Inbound, SendError, inbox, is_end};
use crate::pool::events::WorkerEnd;
use crate::pool::scheduler::Permit;
use crate::proto::{Down, Pong, Stats, down};

/// The calls that are on their way over one link.
pub(super) struct CallTable {
    shared: bool,
    calls: Mutex<HashMap<u64, Entry>>,
    pub(super) lost: CancellationToken,
    /// What was known when the link was lost.
    first_end: OnceLock<WorkerEnd>,
    /// How the worker ended, once that is certain, or once nobody will know more.
    end: OnceLock<WorkerEnd>,
    pub(super) settled: CancellationToken,
    pub(super) draining: AtomicBool,
    pub(super) grace: Grace,
    /// Somebody waits for the last call to have ended, with `draining` set.
    tells: AtomicBool,
    pub(super) idle: CancellationToken,
    pub(super) suspected: AtomicBool,
    pub(super) lost_calls: AtomicBool,
    pub(super) heard: AtomicU64,
    stats: Mutex<Option<Stats>>,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) elsewhere: AtomicUsize,
}

struct Entry {
    inbox: inbox::Sender,
    cancelled: bool,
    // Held for its `Drop`: the place at the worker.
    _permit: Permit,
}

impl CallTable {
    /// `shared`: the worker may serve other hosts beside this one.
    pub(super) fn new(shared: bool) -> Arc<Self> {
        Arc::new(Self {
            shared,
            calls: Mutex::default(),
            lost: CancellationToken::new(),
            first_end: OnceLock::new(),
            end: OnceLock::new(),
            settled: CancellationToken::new(),
            draining: AtomicBool::new(false),
            grace: Grace::default(),
            tells: AtomicBool::new(false),
            idle: CancellationToken::new(),
            suspected: AtomicBool::new(false),
            lost_calls: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            stats: Mutex::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            elsewhere: AtomicUsize::new(0),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Entry>> {
        // No panic can happen under this lock, so a poisoned map is still whole.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, id: u64, inbox: inbox::Sender, permit: Permit) -> Result<(), SendError> {
        let mut calls = self.lock();
        // Checked under the lock: `lose` takes it too, so that no call is added behind its back.
        if self.lost.is_cancelled() || self.draining.load(Ordering::Acquire) {
            return Err(SendError::Lost);
        }
        calls.insert(id, Entry { inbox, cancelled: false, _permit: permit });
        Ok(())
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.lock().contains_key(&id)
    }

    /// The calls that there are now.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.lock().keys().copied().collect()
    }

    /// Marks a call; false if it ended or was marked before.
    pub(super) fn mark_cancelled(&self, id: u64) -> bool {
        match self.lock().get_mut(&id) {
            Some(entry) => !std::mem::replace(&mut entry.cancelled, true),
            None => false,
        }
    }

    /// The worker said something.
    pub(super) fn hear(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// What the worker said of itself last.
    pub(super) fn stats(&self) -> Option<Stats> {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the worker ended, as far as it is known now.
    pub(super) fn end_so_far(&self) -> WorkerEnd {
        self.end.get().or_else(|| self.first_end.get()).cloned().unwrap_or_else(unknown_end)
    }

    /// How the worker ended: the first word counts.
    pub(super) fn settle(&self, end: WorkerEnd) {
        let _ = self.end.set(end);
        self.settled.cancel();
    }

    /// Hands a message to its call.
    pub(super) fn deliver(&self, message: Down) {
        self.hear();
        let Some(kind) = message.kind else { return };
        if message.call == 0 {
            return self.deliver_own(kind);
        }
        let end = is_end(&kind);
        let mut calls = self.lock();
        if end {
            let entry = calls.remove(&message.call);
            drop(calls);
            if let Some(Entry { inbox, _permit: permit, .. }) = entry {
                // The place is free before the caller goes on, so that it finds it free.
                drop(permit);
                inbox.end(Inbound::Message(kind));
            }
            self.lose_if_drained();
        } else if let Some(entry) = calls.get(&message.call) {
            let bytes = kind.encoded_len() as u64;
            let sent = entry.inbox.send(Inbound::Message(kind), bytes);
            drop(calls);
            self.lose_if_full(message.call, sent);
        }
    }

    /// A message of the connection itself.
    fn deliver_own(&self, kind: down::Kind) {
        match kind {
            down::Kind::Pong(Pong { stats: Some(stats), .. }) | down::Kind::Stats(stats) => {
                let own = self.lock().len();
                self.elsewhere.store((stats.in_flight as usize).saturating_sub(own), Ordering::Relaxed);
                let draining = stats.draining;
                *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
                // A worker that other hosts share drains without being told to by this one.
                if draining && self.shared {
                    self.lose_when_idle();
                }
            }
            // The first one was taken when the link was set up. Whoever says it again is somebody else, or confused.
            down::Kind::Hello(_) => self.lose(WorkerEnd::Garbage("it said Hello a second time".to_owned())),
            _ => {}
        }
    }

    pub(super) fn deliver_too_large(&self, call: u64, size: u64) {
        let calls = self.lock();
        if let Some(entry) = calls.get(&call) {
            let sent = entry.inbox.send(Inbound::TooLarge(size), 0);
            drop(calls);
            self.lose_if_full(call, sent);
        }
    }

    /// A worker that sends what nobody reads is not to be trusted with any call.
    fn lose_if_full(&self, call: u64, sent: Result<(), inbox::Full>) {
        let Err(inbox::Full { messages, bytes }) = sent else { return };
        let what =
            format!("it flooded a call: {messages} messages of {bytes} bytes together waited to be read");
        self.end_call(call, Inbound::Flooded(format!("the worker was given up: {what}")));
        self.lose(WorkerEnd::Garbage(what));
    }

    /// Ends one call whose own stream broke.
    pub(super) fn lose_call(&self, call: u64) {
        self.end_call(call, Inbound::Lost);
    }

    pub(super) fn end_call(&self, call: u64, end: Inbound) {
        let entry = self.lock().remove(&call);
        if let Some(Entry { inbox, _permit: permit, .. }) = entry {
            drop(permit);
            inbox.end(end);
        }
        self.lose_if_drained();
    }

    /// Ends the link when its last call ended, now or later.
    pub(super) fn lose_when_idle(&self) {
        self.stop_inserting();
        self.lose_if_drained();
    }

    /// Takes no new calls, and says when the last one ended.
    pub(super) fn tell_when_idle(&self) {
        self.tells.store(true, Ordering::Release);
        self.lose_when_idle();
    }

    fn stop_inserting(&self) {
        // Under the lock, so that no call is added behind its back.
        let _calls = self.lock();
        self.draining.store(true, Ordering::Release);
    }

    fn lose_if_drained(&self) {
        if self.draining.load(Ordering::Acquire) && self.lock().is_empty() {
            if self.tells.load(Ordering::Acquire) {
                self.idle.cancel();
            } else {
                self.lose("the link was drained".to_owned());
            }
        }
    }

    /// Ends every call.
    pub(super) fn lose(&self, end: impl Into<WorkerEnd>) {
        let end = end.into();
        if self.first_end.set(end.clone()).is_ok() && !end.is_vague() {
            self.settle(end);
        }
        let calls = {
            let mut calls = self.lock();
            if !calls.is_empty() {
                self.lost_calls.store(true, Ordering::Release);
            }
            self.lost.cancel();
            std::mem::take(&mut *calls)
        };
        for (_, entry) in calls {
            entry.inbox.end(Inbound::Lost);
        }
    }
}

/// What a task that a runtime's end drops leaves behind: calls that are told, not calls that hang.
pub(super) struct LoseOnDrop {
    calls: Arc<CallTable>,
    /// One call, or all of them.
    call: Option<u64>,
}

impl LoseOnDrop {
    pub(super) fn of_all(calls: Arc<CallTable>) -> Self {
        Self { calls, call: None }
    }

    pub(super) fn of_call(calls: Arc<CallTable>, call: u64) -> Self {
        Self { calls, call: Some(call) }
    }
}

impl Drop for LoseOnDrop {
    fn drop(&mut self) {
        match self.call {
            Some(call) => self.calls.lose_call(call),
            None if self.calls.lost.is_cancelled() => {}
            None => self.calls.lose("the tokio runtime that dspex was started on has ended".to_owned()),
        }
    }
}

fn unknown_end() -> WorkerEnd {
    WorkerEnd::Disconnected("the connection ended".to_owned())
}
