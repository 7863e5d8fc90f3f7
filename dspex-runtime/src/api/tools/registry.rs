//! Which tools a session has now.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{ToolInfo, ToolLanguage};
use crate::bridge::ToolDocument;
use crate::functions::TOOL_PREFIX as OWN_PREFIX;
use crate::tool::{Declaration, Entry, SESSION_PREFIX, ToolSet, ToolSetError};

/// The tools of one session in this process.
#[derive(Debug, Default)]
pub(crate) struct SessionTools {
    registered: RwLock<Registered>,
    /// How many of its Rust tools may run at once.
    places: Option<Arc<Semaphore>>,
}

#[derive(Debug, Default)]
struct Registered {
    tools: Vec<Tool>,
    registrations: u64,
    /// The session ended: nothing is registered any more.
    ended: bool,
    /// Told to workers; none without tools.
    document: Option<Arc<ToolDocument>>,
}

#[derive(Clone, Debug)]
struct Tool {
    kind: Kind,
    /// It is there as long as one of these is.
    registrations: BTreeSet<u64>,
}

/// A tool that is registered.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Rust(Arc<Entry>),
    Python { path: String, info: Arc<ToolInfo> },
}

impl Kind {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Rust(entry) => entry.name(),
            Self::Python { info, .. } => info.name(),
        }
    }

    pub(super) fn info(&self) -> ToolInfo {
        match self {
            Self::Rust(entry) => ToolInfo { spec: entry.tool.spec().clone(), language: ToolLanguage::Rust },
            Self::Python { info, .. } => (**info).clone(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rust(one), Self::Rust(two)) => one.is_just(two),
            (Self::Python { path: one, .. }, Self::Python { path: two, .. }) => one == two,
            _ => false,
        }
    }

    /// Why both cannot have one name.
    fn clash(&self, other: &Self) -> Option<ToolSetError> {
        match (self, other) {
            (Self::Rust(one), Self::Rust(two)) => one.clash(two),
            _ => (!self.is(other)).then(|| ToolSetError::Duplicate(self.name().to_owned())),
        }
    }

    fn declaration(&self) -> Value {
        match self {
            Self::Rust(entry) => Declaration::of_session(entry.tool.spec()).to_document(),
            Self::Python { path, .. } => json!({"python": path}),
        }
    }
}

impl SessionTools {
    pub(crate) fn new(places: Option<usize>) -> Self {
        let places = places.map(|places| Arc::new(Semaphore::new(places)));
        Self { registered: RwLock::default(), places }
    }

    /// How many of its Rust tools may run at once.
    pub(crate) fn limit(&self) -> Option<&Arc<Semaphore>> {
        self.places.as_ref()
    }

    /// What workers are told.
    pub(crate) fn document(&self) -> Option<Arc<ToolDocument>> {
        self.read().document.clone()
    }

    /// The Rust tool that a key stands for: one of the document, or of an instance that was made when the tool was its own, such
    /// as one that was kept before a restart.
    pub(crate) fn reach(&self, key: &str) -> Option<Arc<Entry>> {
        let name = key.strip_prefix(SESSION_PREFIX).or_else(|| key.strip_prefix(OWN_PREFIX))?;
        match self.find(name)? {
            Kind::Rust(entry) => Some(entry),
            Kind::Python { .. } => None,
        }
    }

    /// Its Rust tools.
    pub(crate) fn rust_tools(&self) -> ToolSet {
        let registered = self.read();
        let entries = registered.tools.iter().filter_map(|tool| match &tool.kind {
            Kind::Rust(entry) => Some(entry.clone()),
            Kind::Python { .. } => None,
        });
        ToolSet::of_entries(entries.collect())
    }

    pub(super) fn find(&self, name: &str) -> Option<Kind> {
        self.read().tools.iter().find(|tool| tool.kind.name() == name).map(|tool| tool.kind.clone())
    }

    pub(super) fn infos(&self) -> Vec<ToolInfo> {
        self.read().tools.iter().map(|tool| tool.kind.info()).collect()
    }

    /// The list of its tools as it stands in a spec.
    pub(crate) fn declarations(&self) -> Value {
        Value::Array(self.read().tools.iter().map(|tool| tool.kind.declaration()).collect())
    }

    /// Registers all of them, or none; the number of the registration, or none if the session ended.
    pub(super) fn register(&self, kinds: Vec<Kind>) -> Result<Option<u64>, ToolSetError> {
        let mut registered = self.write();
        if registered.ended {
            return Ok(None);
        }
        for kind in &kinds {
            let there = registered.tools.iter().find(|tool| tool.kind.name() == kind.name());
            if let Some(clash) = there.and_then(|there| there.kind.clash(kind)) {
                return Err(clash);
            }
        }
        registered.registrations += 1;
        let number = registered.registrations;
        for kind in kinds {
            match registered.tools.iter_mut().find(|tool| tool.kind.is(&kind)) {
                Some(there) => {
                    there.registrations.insert(number);
                }
                None => registered.tools.push(Tool { kind, registrations: BTreeSet::from([number]) }),
            }
        }
        registered.changed();
        Ok(Some(number))
    }

    /// Takes a registration back.
    pub(super) fn release(&self, number: u64) {
        let mut registered = self.write();
        registered.tools.retain_mut(|tool| {
            tool.registrations.remove(&number);
            !tool.registrations.is_empty()
        });
        registered.changed();
    }

    /// Takes a tool away, whoever registered it. False if there was none.
    pub(super) fn remove(&self, name: &str) -> bool {
        let mut registered = self.write();
        let before = registered.tools.len();
        registered.tools.retain(|tool| tool.kind.name() != name);
        registered.changed();
        registered.tools.len() < before
    }

    /// Takes all of them away: the session ended.
    pub(crate) fn clear(&self) {
        let mut registered = self.write();
        registered.ended = true;
        registered.tools.clear();
        registered.changed();
    }

    fn read(&self) -> RwLockReadGuard<'_, Registered> {
        // Every change leaves the list whole.
        self.registered.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Registered> {
        self.registered.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    fn changed(&mut self) {
        self.document = (!self.tools.is_empty()).then(|| {
            let declarations = self.tools.iter().map(|tool| tool.kind.declaration()).collect();
            let json = Value::Array(declarations).to_string().into_bytes();
            Arc::new(ToolDocument { hash: hex::encode(Sha256::digest(&json)), json })
        });
    }
}
