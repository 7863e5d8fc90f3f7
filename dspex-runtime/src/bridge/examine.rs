//! What is asked before a call runs, and noted when it ended: whether it is one that ends workers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Request;
use super::poison::{Fingerprint, Suspects, Verdict};
use crate::error::{Error, Result};
use crate::pool::WorkerEnd;
use crate::proto::Hello;

/// A suspect waits so long for its turn to run as the only one; then it runs all the same, and its loss proves nothing.
const TURN: Duration = Duration::from_secs(2);

/// Who looks.
pub(crate) struct Examiner {
    suspects: Mutex<Suspects>,
    /// Whether there are any: without, a call costs one look at this.
    any: AtomicBool,
    /// Held by the one suspect that runs.
    turn: Arc<Semaphore>,
    strays: Strays,
}

/// Suspects that run although it is not their turn: while one does, the loss of a worker says nothing about another.
#[derive(Default)]
struct Strays {
    running: AtomicU64,
    begun: AtomicU64,
}

impl Strays {
    fn begin(&self) -> Stray<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        Stray(self)
    }

    /// How many ever were, unless one is now.
    fn none_since(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::SeqCst);
        (self.running.load(Ordering::SeqCst) == 0).then_some(begun)
    }
}

/// One of them, until it is dropped.
struct Stray<'a>(&'a Strays);

impl Drop for Stray<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Default for Examiner {
    fn default() -> Self {
        Self {
            suspects: Mutex::default(),
            any: AtomicBool::new(false),
            turn: Arc::new(Semaphore::new(1)),
            strays: Strays::default(),
        }
    }
}

/// A call that may run.
pub(crate) struct Examined<'a> {
    examiner: &'a Examiner,
    /// Known only if there were suspects.
    print: Option<Fingerprint>,
    /// How many strays there had been when it began, unless one ran or it is one.
    strays: Option<u64>,
    _turn: Option<OwnedSemaphorePermit>,
    _stray: Option<Stray<'a>>,
}

impl Examiner {
    /// Refuses a request that ends workers, and has suspects run one by one.
    pub(crate) async fn examine(&self, request: &Request) -> Result<Examined<'_>> {
        let examined = |print, turn| {
            Ok(Examined {
                examiner: self,
                print,
                strays: self.strays.none_since(),
                _turn: turn,
                _stray: None,
            })
        };
        if !self.any.load(Ordering::Relaxed) || !self.may_know(request) {
            return examined(None, None);
        }
        let print = fingerprint(request);
        let mut turn = None;
        loop {
            let verdict = self.lock().verdict(&print, Instant::now().into_std());
            match verdict {
                Verdict::Clear => return examined(Some(print), None),
                Verdict::Suspect if turn.is_some() => return examined(Some(print), turn),
                Verdict::Suspect => {}
                Verdict::Quarantined { workers, end, remains } => {
                    let target = request.target.name().to_owned();
                    return Err(Error::PoisonCall { target, workers, end, remains });
                }
            }
            let until = request.expires.min(Instant::now() + TURN);
            match tokio::time::timeout_at(until, self.turn.clone().acquire_owned()).await {
                // Much may have become known meanwhile.
                Ok(mine) => turn = mine.ok(),
                Err(_) => {
                    let stray = Some(self.strays.begin());
                    let print = Some(print);
                    return Ok(Examined { examiner: self, print, strays: None, _turn: None, _stray: stray });
                }
            }
        }
    }

    /// A first look at what costs next to nothing.
    fn may_know(&self, request: &Request) -> bool {
        let mut suspects = self.lock();
        let may = suspects.may_know(request.inputs.len(), Instant::now().into_std());
        self.any.store(!suspects.is_empty(), Ordering::Relaxed);
        may
    }

    fn lock(&self) -> MutexGuard<'_, Suspects> {
        // Nothing under this lock panics.
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Suspects)) {
        let mut suspects = self.lock();
        change(&mut suspects);
        self.any.store(!suspects.is_empty(), Ordering::Relaxed);
    }
}

impl Examined<'_> {
    /// The call ended, and its worker did not.
    pub(crate) fn survived(self) {
        if let Some(print) = self.print {
            self.examiner.change(|suspects| suspects.survived(&print));
        }
    }

    /// The worker was lost with the call.
    pub(crate) fn lost(self, request: &Request, worker: &Hello, end: &WorkerEnd) {
        let print = self.print.unwrap_or_else(|| fingerprint(request));
        let worker = (u64::from(worker.pid) << 32) | (worker.generation & 0xffff_ffff);
        let now = Instant::now().into_std();
        let strays = &self.examiner.strays;
        let alone = self.strays == Some(strays.begun.load(Ordering::SeqCst));
        let request = (print, request.inputs.len());
        self.examiner.change(|suspects| suspects.lost(request, worker, end, alone, now));
    }
}

/// What a request is told by.
fn fingerprint(request: &Request) -> Fingerprint {
    let mut hash = Sha256::new();
    let spec = request.target.spec().map_or("", |spec| spec.hash.as_str());
    let lm = request.lm.as_ref().map_or("", |lm| lm.spec().hash.as_str());
    for part in [request.target.name(), request.target.method(), spec, lm] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(&request.inputs);
    let mut print = Fingerprint::default();
    print.copy_from_slice(&hash.finalize()[..16]);
    print
}
