//! The embedded store keeps the contract.

#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dspex_state::SqliteOptions;
use dspex_state::conformance::{BoxFuture, Fixture};
use dspex_state::store::{Retention, StateStore};
use tempfile::TempDir;

struct Sqlite {
    directory: TempDir,
    stores: Mutex<u32>,
}

fn sqlite() -> Sqlite {
    Sqlite { directory: tempfile::tempdir().unwrap(), stores: Mutex::default() }
}

impl Sqlite {
    fn open_last(&self, retention: Retention) -> Arc<dyn StateStore> {
        let place: PathBuf = self.directory.path().join(self.stores.lock().unwrap().to_string());
        Arc::new(SqliteOptions::new().retention(retention).open(place).unwrap())
    }
}

impl Fixture for Sqlite {
    fn open(&self, retention: Retention) -> BoxFuture<'_, Arc<dyn StateStore>> {
        *self.stores.lock().unwrap() += 1;
        Box::pin(async move { self.open_last(retention) })
    }

    fn reopen(&self) -> BoxFuture<'_, Option<Arc<dyn StateStore>>> {
        Box::pin(async move { Some(self.open_last(Retention::default())) })
    }
}

dspex_state::conformance_tests!(sqlite());
