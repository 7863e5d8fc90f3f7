//! The reference store is held against the suite like any other, through what is public.

#![cfg(feature = "conformance")]

use std::sync::Arc;

use dspex_state::conformance::{BoxFuture, Fixture, Reference};
use dspex_state::store::{Retention, StateStore};

struct InMemory;

impl Fixture for InMemory {
    fn open(&self, retention: Retention) -> BoxFuture<'_, Arc<dyn StateStore>> {
        Box::pin(async move { Arc::new(Reference::new(retention)) as Arc<dyn StateStore> })
    }
}

dspex_state::conformance_tests!(InMemory);
