//! What writers said was answered, and whether a store has it.

use std::collections::{BTreeMap, BTreeSet};

use dspex_state::store::{StateStore, StoreError};
use dspex_state::{SqliteStore, State, Tensor, VariableError, Variables};

use super::writer::{KEPT, pair};

/// What was answered by a store, over all processes that wrote to it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By kind and name, the latest number with its revision.
    numbers: BTreeMap<(String, String), (i64, u64)>,
    /// Sessions that are there.
    made: BTreeSet<String>,
    /// Sessions of which nobody knows: their removal was begun.
    ending: BTreeSet<String>,
    /// Sessions that are not there, or will not be in a moment.
    gone: BTreeSet<String>,
    /// How many writes were answered.
    pub acknowledged: u64,
}

impl Ledger {
    /// Takes down what a writer said. Other programs may have written other lines.
    pub fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let &[kind, name, number, revision] = &words[..] else { return };
        let (Ok(number), Ok(revision)) = (number.parse::<i64>(), revision.parse::<u64>()) else { return };
        let name = name.to_owned();
        self.acknowledged += u64::from(kind != "ending");
        match kind {
            "made" => drop(self.made.insert(name)),
            "ending" => {
                self.made.remove(&name);
                self.ending.insert(name);
            }
            "ended" | "brief" | "temporary" => {
                self.ending.remove(&name);
                self.gone.insert(name);
            }
            _ => {
                let latest = self.numbers.entry((kind.to_owned(), name)).or_default();
                *latest = (*latest).max((number, revision));
            }
        }
    }

    /// Looks for what was answered, and for damage; a line for each thing that is not as it should be.
    pub async fn missing(&self, store: &SqliteStore) -> Result<Vec<String>, VariableError> {
        let mut missing: Vec<String> =
            store.check().await?.into_iter().map(|line| format!("damage: {line}")).collect();
        let kept = store.session(KEPT).await?;
        let Some(kept) = kept.map(|record| record.session.key) else {
            missing.extend((!self.numbers.is_empty()).then(|| format!("the session {KEPT} is gone")));
            return Ok(missing);
        };
        let variables = State::new(store.clone()).variables(kept);
        for ((kind, name), acknowledged) in &self.numbers {
            let found = match kind.as_str() {
                "set" => number(&variables, name).await?,
                "pair" => equal(&variables, name).await?,
                "tensor" => uniform(&variables, name).await?,
                _ => {
                    let instances = store.instances(kept).await?;
                    let spec =
                        instances.iter().find(|instance| instance.id == *name).map(|found| &found.spec);
                    spec.and_then(|spec| spec.parse().ok()).map(|number| (number, 0))
                }
            };
            // What was begun and not answered may be there as well.
            if found.is_none_or(|found| found.0 < acknowledged.0 || found.1 < acknowledged.1) {
                missing.push(format!("{kind} {name}: {found:?} where {acknowledged:?} was answered"));
            }
        }
        for id in &self.made {
            match store.session(id).await? {
                None => missing.push(format!("the session {id} is gone")),
                Some(record) => {
                    let variables = State::new(store.clone()).variables(record.session.key);
                    if variables.read::<String>("x").await.map(|read| read.value).ok().as_ref() != Some(id) {
                        missing.push(format!("the session {id} has lost its variable"));
                    }
                }
            }
        }
        for id in &self.gone {
            if store.session(id).await?.is_some() {
                missing.push(format!("the session {id} is there again"));
            }
        }
        let temporary = store.totals().await?.temporary;
        missing.extend((temporary > 0).then(|| format!("{temporary} temporary sessions are there again")));
        Ok(missing)
    }
}

async fn number(variables: &Variables, name: &str) -> Result<Option<(i64, u64)>, VariableError> {
    match variables.read::<i64>(name).await {
        Ok(read) => Ok(Some((read.value, read.version.0))),
        Err(VariableError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number of a pair, unless it is torn.
async fn equal(variables: &Variables, name: &str) -> Result<Option<(i64, u64)>, VariableError> {
    let (left, right) = pair(name);
    let (left, right) = (number(variables, &left).await?, number(variables, &right).await?);
    Ok(left.filter(|_| left == right))
}

/// The number of a tensor, unless it has more than one.
async fn uniform(variables: &Variables, name: &str) -> Result<Option<(i64, u64)>, VariableError> {
    let read = match variables.read::<Tensor>(name).await {
        Ok(read) => read,
        // Damage, which is what we look for.
        Err(VariableError::NotFound { .. } | VariableError::Store(StoreError::Corrupt { .. })) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let numbers = read.value.as_slice::<f32>().unwrap_or_default();
    let first = numbers.first().copied();
    Ok(first
        .filter(|first| numbers.iter().all(|number| number == first))
        .map(|first| (first as i64, read.version.0)))
}
