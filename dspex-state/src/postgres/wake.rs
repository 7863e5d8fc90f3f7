//! How hosts tell one another of their writes, and keep their temporary sessions alive.
//!
//! NOTIFY takes a lock of the whole server when a transaction ends, so no write notifies: one task does for all writes of some
//! milliseconds. A hint that is lost costs whoever watches no more than their own patience; the log is the truth.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Row;
use sqlx::postgres::PgListener;
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::{Database, rows};
use crate::record::{Revision, SessionKey};
use crate::store::Hint;

/// One notification per so long, whatever is written.
const GATHER: Duration = Duration::from_millis(5);

/// PostgreSQL takes less than 8,000 bytes.
const PAYLOAD: usize = 7900;

/// So often the sessions are looked through where LISTEN does not work.
const POLL: Duration = Duration::from_secs(1);

/// A silent connection is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(20);

impl Database {
    /// Tells those of this process at once, and the other hosts soon.
    pub(super) fn publish(&self, hint: Hint) {
        // Nobody may be listening.
        let _ = self.hints.send(hint);
        let (key, revision) = parts(hint);
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let note = notes.entry(key).or_insert(revision);
        // The end of a session is the last that there is to tell.
        *note = if note.is_none() || revision.is_none() { None } else { revision.max(*note) };
        drop(notes);
        self.noted.notify_one();
    }

    fn take_notes(&self) -> HashMap<SessionKey, Option<Revision>> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends what was noted.
    pub(super) async fn flush(&self) -> Result<(), Failure> {
        let notes = self.take_notes();
        if notes.is_empty() {
            return Ok(());
        }
        let payloads = payloads(&self.owner, &notes);
        let sent = sqlx::query("SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload")
            .bind(&self.channel)
            .bind(payloads)
            .execute(&self.pool)
            .await;
        if let Err(error) = sent {
            let mut later = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, revision) in notes {
                let note = later.entry(key).or_insert(revision);
                *note = if note.is_none() || revision.is_none() { None } else { revision.max(*note) };
            }
            return Err(error.into());
        }
        Ok(())
    }
}

fn parts(hint: Hint) -> (SessionKey, Option<Revision>) {
    match hint {
        Hint::Written(key, revision) => (key, Some(revision)),
        Hint::Ended(key) => (key, None),
    }
}

/// `owner key:revision key:- ..`, in as many pieces as it takes.
fn payloads(owner: &str, notes: &HashMap<SessionKey, Option<Revision>>) -> Vec<String> {
    let mut payloads = Vec::new();
    let mut payload = owner.to_owned();
    for (key, revision) in notes {
        let note = match revision {
            Some(revision) => format!(" {key}:{revision}"),
            None => format!(" {key}:-"),
        };
        if payload.len() + note.len() > PAYLOAD {
            payloads.push(std::mem::replace(&mut payload, owner.to_owned()));
        }
        payload.push_str(&note);
    }
    payloads.push(payload);
    payloads
}

/// The hints of a payload, but for this process's own. What cannot be read is left out: it is another version's.
fn hints(payload: &str, own: &str) -> Vec<Hint> {
    let mut words = payload.split(' ');
    if words.next() == Some(own) {
        return Vec::new();
    }
    let hint = |word: &str| {
        let (key, revision) = word.split_once(':')?;
        let key = rows::key(key).ok()?;
        if revision == "-" {
            Some(Hint::Ended(key))
        } else {
            Some(Hint::Written(key, Revision(revision.parse().ok()?)))
        }
    };
    words.filter_map(hint).collect()
}

/// Sends notes as they come.
pub(super) async fn notify(database: Arc<Database>) {
    loop {
        database.noted.notified().await;
        if let Err(failure) = database.flush().await {
            tracing::debug!(?failure, "notes to other hosts wait");
            sleep(POLL).await;
            database.noted.notify_one();
        }
        sleep(GATHER).await;
    }
}

/// Hears what other hosts noted; looks through the sessions after each break, and all the time where LISTEN does not work.
pub(super) async fn listen(database: Arc<Database>) {
    let mut missed = Missed { database: &database, since: Instant::now(), seen: HashMap::new() };
    loop {
        match listening(&database, &mut missed).await {
            Ok(()) => tracing::debug!("the connection for notes from other hosts broke"),
            Err(error) => {
                tracing::debug!(%error, "there are no notes from other hosts; their writes are looked for instead");
                missed.look().await;
                sleep(POLL).await;
            }
        }
    }
}

/// Until the connection breaks.
async fn listening(database: &Database, missed: &mut Missed<'_>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&database.pool).await?;
    listener.eager_reconnect(false);
    listener.listen(&database.channel).await?;
    missed.look().await;
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(note))) => {
                for hint in hints(note.payload(), &database.owner) {
                    let _ = database.hints.send(hint);
                }
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let alive = timeout(database.patience, sqlx::query("SELECT 1").execute(&mut listener));
                if !matches!(alive.await, Ok(Ok(_))) {
                    return Ok(());
                }
            }
        }
        missed.since = Instant::now();
    }
}

/// What was written while nobody listened.
struct Missed<'a> {
    database: &'a Database,
    since: Instant,
    seen: HashMap<SessionKey, Revision>,
}

impl Missed<'_> {
    async fn look(&mut self) {
        const WRITTEN: &str = "SELECT key, revision FROM session WHERE written_at > clock_timestamp() - make_interval(secs => $1)";
        let began = Instant::now();
        // A write may take a while to become visible.
        let window = self.since.elapsed() + Duration::from_secs(10);
        let rows = sqlx::query(WRITTEN).bind(rows::seconds(window)).fetch_all(&self.database.pool).await;
        let Ok(rows) = rows else { return };
        let mut seen = HashMap::new();
        for row in rows {
            let read =
                || Some((rows::key(row.try_get("key").ok()?).ok()?, rows::revision(&row, "revision").ok()?));
            let Some((key, revision)) = read() else { continue };
            if revision.0 > 0 && self.seen.get(&key) != Some(&revision) {
                let _ = self.database.hints.send(Hint::Written(key, revision));
            }
            seen.insert(key, revision);
        }
        self.seen = seen;
        self.since = began;
    }
}

/// Renews the temporary sessions of this process.
pub(super) async fn renew(database: Arc<Database>) {
    const RENEW: &str = "UPDATE session SET leased_until = clock_timestamp() + make_interval(secs => $2) \
        WHERE owner = $1 AND lives(expires_at, leased_until)";
    loop {
        sleep(database.lease / 4).await;
        if !database.has_temporary.load(std::sync::atomic::Ordering::Relaxed) {
            continue;
        }
        let renewing = sqlx::query(RENEW)
            .bind(&database.owner)
            .bind(rows::seconds(database.lease))
            .execute(&database.pool);
        if let Err(error) = renewing.await {
            tracing::warn!(%error, "temporary sessions could not be renewed; they end if this goes on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_from_their_payloads() {
        let notes: HashMap<_, _> = (0..1000_u64)
            .map(|n| (SessionKey::generate(), if n % 7 == 0 { None } else { Some(Revision(n)) }))
            .collect();
        let payloads = payloads("me", &notes);
        assert!(payloads.iter().all(|payload| payload.len() < 8000));
        let heard: HashMap<_, _> =
            payloads.iter().flat_map(|payload| hints(payload, "you")).map(parts).collect();
        assert_eq!(heard, notes);
        assert_eq!(hints(&payloads[0], "me"), []);
        assert_eq!(hints("other nonsense 1:2 ::", "me"), []);
    }
}
