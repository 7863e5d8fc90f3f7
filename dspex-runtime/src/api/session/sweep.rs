//! Removing sessions whose time is over.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dspex_state::store::{Hint, StoreError};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::api::dspex::Runtime;

/// So many are removed at once.
const BATCH: u32 = 500;

/// Removes sessions from time to time, and ends those here that ended elsewhere, as long as the runtime is there.
/// `ended` is cancelled with it.
pub(crate) fn start(runtime: &Arc<Runtime>, ended: &CancellationToken) {
    // Neither keeps the runtime, nor the store and its lock, longer than their user does.
    let sweep = sweep(Arc::downgrade(runtime), runtime.limits.sweep);
    tokio::spawn(ended.clone().run_until_cancelled_owned(sweep));
    let follow = follow(Arc::downgrade(runtime), runtime.state.store().hints());
    tokio::spawn(ended.clone().run_until_cancelled_owned(follow));
}

async fn sweep(runtime: Weak<Runtime>, every: Duration) {
    loop {
        tokio::time::sleep(jittered(every)).await;
        let Some(runtime) = runtime.upgrade() else { return };
        loop {
            match runtime.state.store().expire(BATCH).await {
                Ok(ended) if ended.len() as u32 >= BATCH => {}
                Ok(_) | Err(StoreError::Closed) => break,
                Err(error) => {
                    tracing::warn!(target: "dspex::sessions", %error, "expired sessions stay in the store for now");
                    break;
                }
            }
        }
    }
}

/// Ends sessions here that the store says have ended.
async fn follow(runtime: Weak<Runtime>, mut hints: Receiver<Hint>) {
    loop {
        let hint = hints.recv().await;
        let Some(runtime) = runtime.upgrade() else { return };
        match hint {
            Ok(Hint::Ended(key)) => runtime.sessions.close_key(key),
            // A lost hint is found out when the session is used.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Between three quarters and five quarters, so that several hosts do not sweep together.
fn jittered(every: Duration) -> Duration {
    // The standard library seeds each `RandomState` from the operating system's randomness.
    let random = RandomState::new().build_hasher().finish() % 1000;
    every.mul_f64(0.75 + 0.5 * random as f64 / 1000.0)
}
