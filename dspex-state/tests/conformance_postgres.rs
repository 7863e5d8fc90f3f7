//! The store in PostgreSQL keeps the contract, against a real server.

#![cfg(all(feature = "conformance", feature = "postgres", unix))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod postgres_support;

use std::sync::{Arc, Mutex};

use dspex_state::conformance::{BoxFuture, Fixture};
use dspex_state::postgres::PostgresOptions;
use dspex_state::store::{Retention, StateStore};
use postgres_support::Server;

struct Postgres {
    server: Arc<Server>,
    schema: Mutex<String>,
}

fn postgres() -> Postgres {
    Postgres { server: Server::shared(), schema: Mutex::default() }
}

impl Postgres {
    async fn connect(&self, schema: &str, retention: Retention) -> Arc<dyn StateStore> {
        let options = PostgresOptions::new().schema(schema).retention(retention).pool_size(8);
        Arc::new(options.connect(&self.server.url()).await.unwrap())
    }
}

impl Fixture for Postgres {
    fn open(&self, retention: Retention) -> BoxFuture<'_, Arc<dyn StateStore>> {
        // Tests of other processes have servers of their own, and those of this one other schemas.
        let schema = self.server.schema();
        self.schema.lock().unwrap().clone_from(&schema);
        Box::pin(async move { self.connect(&schema, retention).await })
    }

    fn reopen(&self) -> BoxFuture<'_, Option<Arc<dyn StateStore>>> {
        let schema = self.schema.lock().unwrap().clone();
        Box::pin(async move { Some(self.connect(&schema, Retention::default()).await) })
    }
}

dspex_state::conformance_tests!(postgres());
