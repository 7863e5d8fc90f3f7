//! What is promised when something breaks, tried with the real parts: real processes, real signals, real DSPy.
//!
//! Each test breaks one thing, again and again, while calls are under way, and prints one line:
//!
//! ```text
//! fault=worker_killed runs=24 calls=2000 failed=31 lost=0 unexplained=0 orphans=0 leaks=0 detection_p99=4ms recovery_p99=38ms
//! ```
//!
//! *Lost* is what was acknowledged and is not there; *unexplained* is every outcome that is neither the call's own answer nor an
//! error that names the fault; *orphans* are Python processes that outlive their host; *leaks* are descriptors, tasks and
//! directories that a pool leaves behind. All four are 0 in every test. *Detection* is how long whoever has to act waited for the news:
//! a caller for its error, the pool for the loss, Python for the end of its host. *Recovery* is how long until all is as it was, all
//! workers taking calls. A `-` stands where there is nothing to detect, or nothing to recover from.
//!
//! Tests of this program run one after the other, since each of them counts what the process has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod crashes;
mod endpoints;
mod exhaustion;
mod hangs;
mod harness;
mod hosts;
mod peers;
mod slow;
mod soak;
mod starts;
mod storms;
