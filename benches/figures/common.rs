//! What the integration tests have too.

#[path = "../../tests/common/process.rs"]
pub mod process;
// Tests use more of it.
#[allow(dead_code)]
#[path = "../../tests/common/running.rs"]
pub mod running;

pub use running::worker_pids;
