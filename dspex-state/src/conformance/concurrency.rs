//! Many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::Fixture;
use super::changes::all;
use super::given::*;
use crate::record::Revision;
use crate::store::{Refusal, StoreError, VariableQuery};
use crate::value::Value;

const WRITERS: i64 = 64;

pub(super) async fn writers_with_compare_and_set_lose_no_update(fixture: &dyn Fixture) {
    const EACH: i64 = 4;
    let (store, key) = store_and_session(fixture).await;
    written(&*store, key, vec![create("x", Value::Integer(0))]).await;
    let writers = (0..WRITERS).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..EACH {
                loop {
                    let (found, version) = store.read(key, "x").await.unwrap().unwrap();
                    let Value::Integer(found) = found else { panic!("{found:?}") };
                    match write(&*store, key, vec![update_if("x", Value::Integer(found + 1), version)]).await
                    {
                        Ok(_) => break,
                        Err(StoreError::Refused { refusal: Refusal::Version { .. }, .. }) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(number(&*store, key, "x").await, WRITERS * EACH);
    assert_eq!(record(&*store, key).await.revision.0 as i64, WRITERS * EACH + 1);
    let numbers: Vec<_> =
        all(&*store, key, Revision(0), 50).await.into_iter().map(|change| change.value.unwrap()).collect();
    assert_eq!(numbers, (0..=WRITERS * EACH).map(Value::Integer).collect::<Vec<_>>());
}

pub(super) async fn one_of_many_who_create_the_same_variable_wins(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let answers = (0..WRITERS).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { write(&*store, key, vec![create("x", Value::Integer(n))]).await.is_ok() })
    });
    let answers: Vec<bool> = join_all(answers).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<i64> = (0..WRITERS).filter(|n| answers[*n as usize]).collect();
    assert_eq!(winners, [number(&*store, key, "x").await]);
}

pub(super) async fn one_of_many_who_make_the_same_session_wins(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let answers = (0..32).map(|n| {
        let store = Arc::clone(&store);
        // Half of them under an id of their own, where there is room for eight sessions.
        let id = if n % 2 == 0 { "same".to_owned() } else { format!("own {n}") };
        tokio::spawn(async move { store.create_session(new(&id), Some(8)).await })
    });
    let answers: Vec<_> = join_all(answers).await.into_iter().map(Result::unwrap).collect();
    let made: Vec<_> = answers.iter().flatten().map(|record| record.session.id.as_str()).collect();
    assert_eq!(made.len(), 8, "{made:?}");
    assert!(made.iter().filter(|id| **id == "same").count() <= 1, "{made:?}");
    assert_eq!(store.totals().await.unwrap().sessions, 8);
}

pub(super) async fn readers_see_whole_batches(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let both = |n: i64| vec![put("x", Value::Integer(n)), put("y", Value::Integer(-n))];
    written(&*store, key, both(0)).await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            tokio::spawn(async move {
                let mut seen = Revision(0);
                while !done.load(Ordering::Relaxed) {
                    let query = VariableQuery { values: true, limit: 9, ..Default::default() };
                    let listed = store.variables(key, &query).await.unwrap();
                    let [x, y] = listed.as_slice() else { panic!("{listed:?}") };
                    let (Some(Value::Integer(a)), Some(Value::Integer(b))) = (&x.value, &y.value) else {
                        panic!()
                    };
                    assert_eq!((*a, x.version), (-b, y.version), "half a batch");
                    assert!(x.version >= seen, "an earlier revision came after a later one");
                    seen = x.version;
                    let names = ["x", "y"].map(str::to_owned);
                    let together = store.read_together(key, &names).await.unwrap();
                    let versions: Vec<Revision> =
                        together.into_iter().flatten().map(|(_, version)| version).collect();
                    assert!(versions.len() == 2 && versions[0] == versions[1], "half a batch: {versions:?}");
                    let (_, version) = store.read(key, "x").await.unwrap().unwrap();
                    assert!(version >= seen, "whoever reads a revision reads all before it");
                    seen = version;
                    yield_now().await;
                }
                seen
            })
        })
        .collect();
    let writers = (0..8).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..20 {
                written(&*store, key, both(writer * 100 + n)).await;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > Revision(0));
    }
}

pub(super) async fn a_watcher_of_the_log_sees_each_revision_once(fixture: &dyn Fixture) {
    const EACH: i64 = 25;
    let (store, key) = store_and_session(fixture).await;
    let total = 16 * EACH as u64;
    let watcher = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (mut after, mut seen) = (Revision(0), Vec::new());
            while after.0 < total {
                let (page, _) = store.changes(key, after, 5).await.unwrap();
                match page.last() {
                    Some(last) => after = last.revision,
                    None => sleep(Duration::from_millis(1)).await,
                }
                seen.extend(page.into_iter().map(|change| change.revision.0));
            }
            seen
        })
    };
    let writers = (0..16).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..EACH {
                written(&*store, key, vec![put(&format!("v{writer}"), Value::Integer(n))]).await;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let seen = timeout(Duration::from_secs(30), watcher).await.unwrap().unwrap();
    assert_eq!(seen, (1..=total).collect::<Vec<_>>());
}

pub(super) async fn a_dropped_write_is_whole_or_not_there(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let names: Vec<String> = (0..20).map(|n| format!("v{n:02}")).collect();
    for attempt in 0..60_u64 {
        let writes = names.iter().map(|name| put(name, Value::Integer(attempt as i64))).collect();
        // From not even begun to probably done.
        let _ = timeout(Duration::from_micros(attempt * 40), write(&*store, key, writes)).await;
    }
    // Those who come after are not held up by those who went.
    let last = names.iter().map(|name| put(name, Value::Integer(-1))).collect();
    timeout(Duration::from_secs(20), written(&*store, key, last)).await.unwrap();
    let changes = all(&*store, key, Revision(0), 1000).await;
    assert_eq!(changes.len() % 20, 0, "a part of a batch is there");
    for batch in changes.chunks(20) {
        assert!(batch.iter().all(|change| change.revision == batch[0].revision));
        assert!(batch.iter().all(|change| change.value == batch[0].value));
    }
    let record = record(&*store, key).await;
    assert_eq!((record.revision.0, record.variables), (changes.len() as u64 / 20, 20));
    assert_eq!(number(&*store, key, "v07").await, -1);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

pub(super) async fn a_session_that_ends_under_writers_stays_gone(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                loop {
                    match write(&*store, key, vec![put(&format!("v{writer}"), Value::Integer(1))]).await {
                        // A store that never waits would keep the timers from running.
                        Ok(_) => yield_now().await,
                        Err(StoreError::SessionNotFound(_)) => return,
                        Err(other) => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    sleep(Duration::from_millis(30)).await;
    assert!(store.delete_session(key).await.unwrap());
    for writer in writers {
        timeout(Duration::from_secs(20), writer).await.unwrap().unwrap();
    }
    assert_eq!(store.session("session").await.unwrap(), None);
    assert_eq!(store.totals().await.unwrap(), Default::default());
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
