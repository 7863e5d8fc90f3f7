//! Large values in memory, so that reading one back copies nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::record::{Revision, SessionKey};
use crate::value::Value;

/// Values of more bytes than this are large.
pub(super) const LARGE: u64 = 64 << 10;
/// So many bytes are remembered of what the file has as well.
const REMEMBERED: u64 = 64 << 20;

/// Said of a large value that is in memory no more.
pub(super) const GONE: &str = "a large value is gone";

/// Where a value is in the log: the revision and the place in its batch.
pub(super) type Place = (Revision, u32);

/// The large values of a store.
#[derive(Debug)]
pub(super) struct Large {
    /// Whether they are only here, because the store ends with the process anyway.
    pub(super) only_here: bool,
    values: Mutex<Values>,
}

#[derive(Debug, Default)]
struct Values {
    of: HashMap<SessionKey, BTreeMap<Place, Value>>,
    bytes: u64,
}

impl Large {
    pub(super) fn new(only_here: bool) -> Self {
        Self { only_here, values: Mutex::default() }
    }

    pub(super) fn get(&self, key: SessionKey, place: Place) -> Option<Value> {
        self.lock().of.get(&key)?.get(&place).cloned()
    }

    pub(super) fn put(&self, key: SessionKey, place: Place, value: Value) {
        let mut values = self.lock();
        let size = value.size() as u64;
        // What is also in the file may be forgotten at any time; all of it at once is simple, and seldom.
        if !self.only_here && values.bytes + size > REMEMBERED {
            *values = Values::default();
        }
        values.bytes += size;
        values.of.entry(key).or_default().insert(place, value);
    }

    pub(super) fn remove(&self, key: SessionKey, places: &[Place]) {
        let mut values = self.lock();
        let Some(of_session) = values.of.get_mut(&key) else { return };
        let freed: u64 =
            places.iter().filter_map(|place| of_session.remove(place)).map(|value| value.size() as u64).sum();
        values.bytes -= freed;
    }

    pub(super) fn remove_session(&self, key: SessionKey) {
        let mut values = self.lock();
        let gone = values.of.remove(&key).unwrap_or_default();
        values.bytes -= gone.values().map(|value| value.size() as u64).sum::<u64>();
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        // A panic between two lines above would leave a count that is off, which only makes forgetting earlier or later.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
