//! Removing sessions whose time is over.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dspex_state::State;
use dspex_state::store::Hint;
use tokio::sync::broadcast::error::RecvError;

use crate::api::dspex::Runtime;

/// So many are removed at once.
const BATCH: u32 = 500;

/// Removes sessions from time to time, and ends those here that ended elsewhere, as long as the runtime is there.
pub(crate) fn start(runtime: &Arc<Runtime>) {
    tokio::spawn(sweep(Arc::downgrade(runtime), runtime.state.clone(), runtime.limits.sweep));
    tokio::spawn(follow(Arc::downgrade(runtime), runtime.state.clone()));
}

async fn sweep(runtime: Weak<Runtime>, state: State, every: Duration) {
    loop {
        tokio::time::sleep(jittered(every)).await;
        if runtime.strong_count() == 0 {
            return;
        }
        loop {
            match state.store().expire(BATCH).await {
                Ok(ended) if ended.len() as u32 >= BATCH => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(target: "dspex::sessions", %error, "expired sessions stay in the store for now");
                    break;
                }
            }
        }
    }
}

/// Ends sessions here that the store says have ended.
async fn follow(runtime: Weak<Runtime>, state: State) {
    let mut hints = state.store().hints();
    // The store must not be kept open by whoever only listens.
    drop(state);
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
