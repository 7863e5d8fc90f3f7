//! What the integration tests have too.

// Tests use more of it.
#[allow(dead_code)]
#[path = "../../tests/common/running.rs"]
pub mod running;

pub use running::worker_pids;
