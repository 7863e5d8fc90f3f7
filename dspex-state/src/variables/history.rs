//! What variables held before.

use super::{Result, VariableError, Variables};
use crate::record::{Change, Revision};

impl Variables {
    /// The values that a variable had, the latest first, at most so many. How many are kept, the store's
    /// [`Retention`](crate::store::Retention) says.
    ///
    /// # Errors
    ///
    /// [`VariableError::NotFound`].
    pub async fn history(&self, name: &str, limit: u32) -> Result<Vec<Change>> {
        let changes = self.ask(|store, session| store.history(session, name, limit)).await?;
        if changes.is_empty() && limit > 0 { Err(self.not_found(name).await) } else { Ok(changes) }
    }

    /// Sets a variable to the value that it had at a version. That is a write like any other: it has a version of its own, and
    /// the value has to meet the variable's spec as it is now.
    ///
    /// # Errors
    ///
    /// [`VariableError::NoVersion`] if the version is not kept, and those of [`update`](Self::update).
    pub async fn rollback(&self, name: &str, version: Revision) -> Result<Revision> {
        let history = self.history(name, u32::MAX).await?;
        // A batch may have written it more than once; what stayed is the last of these, which comes first.
        match history.iter().find(|change| change.revision == version).and_then(|change| change.value.clone())
        {
            Some(value) => self.update(name, value).author(format!("rollback to {version}")).await,
            None => {
                let oldest = history.last().map(|change| change.revision);
                Err(VariableError::NoVersion { name: name.to_owned(), version, oldest })
            }
        }
    }
}
