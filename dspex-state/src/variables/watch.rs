//! Watching variables: the log of writes is the truth, and hints only say when to look.

use std::collections::VecDeque;
use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Filter, Result, VariableError, Variables};
use crate::record::{Change, Revision, VariableRecord};
use crate::store::{Hint, StoreError};

/// Whoever got no hint for so long looks all the same: a lost hint costs no more than this.
const LOOK: Duration = Duration::from_secs(1);
/// After every revision that there is.
const LAST: Revision = Revision(u64::MAX >> 1);
/// About so many changes are read at once.
const CHANGES: u32 = 256;

/// Something that a watch sees.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A variable as it is: asked for at the beginning, or told again after [`Lagged`](Self::Lagged).
    Current(Box<VariableRecord>),
    /// All that is current was told; changes after this revision follow. A watch resumes from here.
    Synced(Revision),
    /// A variable was written. Its `revision` is where a watch resumes after this one's batch.
    Changed(Box<Change>),
    /// The watch was so slow that changes between are not kept any more. What is current follows, then
    /// [`Synced`](Self::Synced); variables that it does not name were deleted meanwhile.
    Lagged {
        /// The last revision that was seen.
        after: Revision,
    },
    /// The session ended: it was deleted, or its time was over. Nothing follows.
    SessionClosed,
}

/// A watch that is to begin: `.await` it for the [`Watch`].
#[derive(Clone, Debug)]
#[must_use = "a watch begins when it is awaited"]
pub struct WatchBuilder {
    variables: Variables,
    filter: Filter,
    initial: bool,
    from: Option<Revision>,
}

impl WatchBuilder {
    pub(super) fn new(variables: Variables, filter: Filter) -> Self {
        Self { variables, filter, initial: false, from: None }
    }

    /// Begins with the variables as they are.
    pub fn initial_values(mut self) -> Self {
        self.initial = true;
        self
    }

    /// Goes on after a revision that an earlier watch saw, so that nothing between is missed.
    pub fn from_revision(mut self, revision: Revision) -> Self {
        self.from = Some(revision);
        self
    }

    async fn begin(self) -> Result<Watch> {
        let hints = self.variables.state.store().hints();
        let now = self.variables.revision().await?;
        let looking = Looking {
            at: self.from.unwrap_or(now),
            tell_current: self.initial.then_some(None),
            waiting: VecDeque::new(),
            variables: self.variables,
            filter: self.filter,
            hints,
            known: now,
            ended: false,
        };
        Ok(Watch(futures::stream::unfold(looking, Looking::next).boxed()))
    }
}

impl IntoFuture for WatchBuilder {
    type Output = Result<Watch>;
    type IntoFuture = BoxFuture<'static, Result<Watch>>;

    fn into_future(self) -> Self::IntoFuture {
        self.begin().boxed()
    }
}

/// A stream of what happens to variables, in order, each batch whole. It ends after [`Event::SessionClosed`], or after an error.
///
/// It reads when it is polled, so one that nobody polls costs nothing, and no writer ever waits for it.
pub struct Watch(BoxStream<'static, Result<Event>>);

impl Stream for Watch {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// Where a watch is.
struct Looking {
    variables: Variables,
    filter: Filter,
    hints: broadcast::Receiver<Hint>,
    /// The revision up to which everything was taken from the log.
    at: Revision,
    /// The latest revision that is known to be there.
    known: Revision,
    /// Whether what is current is to be told first; where changes were lost, with the revision before.
    tell_current: Option<Option<Revision>>,
    /// What is to be told before looking again.
    waiting: VecDeque<Event>,
    ended: bool,
}

impl Looking {
    async fn next(mut self) -> Option<(Result<Event>, Self)> {
        if self.ended {
            return None;
        }
        let event = loop {
            if let Some(event) = self.waiting.pop_front() {
                break Ok(event);
            }
            match self.look().await {
                Ok(()) => {}
                Err(VariableError::Store(StoreError::SessionNotFound(_))) => break Ok(Event::SessionClosed),
                Err(error) => break Err(error),
            }
        };
        self.ended = !matches!(event, Ok(ref event) if *event != Event::SessionClosed);
        Some((event, self))
    }

    /// Takes what is there, or waits until there may be more.
    async fn look(&mut self) -> Result<()> {
        if let Some(lost) = self.tell_current.take() {
            return self.current(lost).await;
        }
        if self.known <= self.at {
            self.wait().await;
        }
        let at = self.at;
        match self.variables.state.store().changes(self.variables.session, at, CHANGES).await {
            Ok((changes, latest)) => {
                self.known = latest;
                self.at = changes.last().map_or(latest, |change| change.revision);
                let told = changes.into_iter().filter(|change| self.filter.matches(&change.name));
                self.waiting.extend(told.map(|change| Event::Changed(Box::new(change))));
                Ok(())
            }
            Err(StoreError::Compacted { after, .. }) => {
                self.tell_current = Some(Some(after));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the variables as they are. The revision is read before them, so that a write between is told twice rather than
    /// never; its change says the same as what is current.
    async fn current(&mut self, lost: Option<Revision>) -> Result<()> {
        let revision = self.variables.revision().await?;
        let records = self.variables.read_all(&self.filter).await?;
        self.waiting.extend(lost.map(|after| Event::Lagged { after }));
        self.waiting.extend(records.into_iter().map(|record| Event::Current(Box::new(record))));
        self.waiting.push_back(Event::Synced(revision));
        (self.at, self.known) = (revision, revision);
        Ok(())
    }

    /// Waits until the session was written or ended, or for so long that it is time to look.
    async fn wait(&mut self) {
        let (session, at) = (self.variables.session, self.at);
        let hints = &mut self.hints;
        let hinted = async {
            loop {
                match hints.recv().await {
                    Ok(Hint::Written(of, revision)) if of != session || revision <= at => {}
                    Ok(Hint::Ended(of)) if of != session => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    // The store is closed, which the next look finds out.
                    Err(RecvError::Closed) => return std::future::pending().await,
                }
            }
        };
        // Either way it is time to look.
        let _ = tokio::time::timeout(LOOK, hinted).await;
    }
}

impl Variables {
    /// The last write to the session's variables.
    ///
    /// # Errors
    ///
    /// If the session is not there, or the store fails.
    pub async fn revision(&self) -> Result<Revision> {
        let (_, revision) = self.ask(|store, session| store.changes(session, LAST, 1)).await?;
        Ok(revision)
    }
}
