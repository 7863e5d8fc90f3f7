//! What happens to the store in PostgreSQL when the server dies, and when several hosts share it.

#![cfg(all(feature = "postgres", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

mod postgres_support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dspex_state::postgres::{PostgresOptions, PostgresStore};
use dspex_state::store::{
    Action, Batch, Expect, Hint, Refusal, SessionChange, SessionQuery, StateStore, StoreError, VariableQuery,
    Write,
};
use dspex_state::{Lifetime, NewSession, Quotas, Revision, SessionKey, Spec, Value};
use postgres_support::Server;
use tokio::sync::broadcast::Receiver;
use tokio::time::{sleep, timeout};

fn new(id: &str) -> NewSession {
    NewSession {
        key: SessionKey::generate(),
        id: id.to_owned(),
        lifetime: Lifetime::Unlimited,
        temporary: false,
        metadata: Default::default(),
        settings: Default::default(),
        quotas: Quotas::default(),
    }
}

fn put(name: &str, number: i64) -> Batch {
    let spec = Spec::from_json("integer".into()).unwrap();
    let action = Action::Set { value: Value::Integer(number), spec: Some(Box::new(spec)) };
    Batch::new(vec![Write { name: name.to_owned(), expect: Expect::Anything, action }])
}

async fn connect(server: &Server, schema: &str) -> PostgresStore {
    options(schema).connect(&server.url()).await.unwrap()
}

fn options(schema: &str) -> PostgresOptions {
    PostgresOptions::new().schema(schema).pool_size(6).patience(Duration::from_millis(800))
}

/// The whole text of an error with its causes.
fn text(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(|error| format!("{error}; ")).collect()
}

async fn hinted(hints: &mut Receiver<Hint>, wanted: Hint, within: Duration) {
    let waiting = async { while hints.recv().await.ok() != Some(wanted) {} };
    assert!(timeout(within, waiting).await.is_ok(), "{wanted:?} did not come");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_under_writers_loses_no_acknowledged_write() {
    const WRITERS: i64 = 16;
    const KILLS: usize = 3;
    let server = Arc::new(Server::start());
    let store = Arc::new(connect(&server, "kills").await);
    let key = store.create_session(new("s"), None).await.unwrap().session.key;
    let done = Arc::new(AtomicBool::new(false));
    let all_written = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            tokio::spawn(async move {
                let name = format!("v{writer:02}");
                let (mut acknowledged, mut failed) = (Vec::new(), 0);
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    match store.commit(key, put(&name, number)).await {
                        Ok(committed) => acknowledged.push((committed.revision.0, number)),
                        Err(StoreError::Unavailable { .. }) => failed += 1,
                        Err(other) => panic!("{other:?}"),
                    }
                }
                (name, acknowledged, failed)
            })
        })
        .collect();
    let watcher = {
        let (store, all_written) = (Arc::clone(&store), Arc::clone(&all_written));
        tokio::spawn(async move {
            let (mut after, mut seen) = (Revision(0), Vec::new());
            loop {
                let last_round = all_written.load(Ordering::Relaxed);
                match store.changes(key, after, 100).await {
                    Ok((page, latest)) => {
                        after = page.last().map_or(after, |change| change.revision);
                        seen.extend(page);
                        if last_round && after == latest {
                            return seen;
                        }
                    }
                    Err(StoreError::Unavailable { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
                sleep(Duration::from_millis(2)).await;
            }
        })
    };
    for _ in 0..KILLS {
        sleep(Duration::from_millis(400)).await;
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || {
            server.kill();
            server.restart();
        })
        .await
        .unwrap();
    }
    sleep(Duration::from_millis(300)).await;
    done.store(true, Ordering::Relaxed);
    let mut acknowledged = HashMap::new();
    for writer in writers {
        let (name, written, _) = timeout(Duration::from_secs(20), writer).await.unwrap().unwrap();
        acknowledged.extend(written.into_iter().map(|(revision, number)| (revision, (name.clone(), number))));
    }
    all_written.store(true, Ordering::Relaxed);
    let seen = timeout(Duration::from_secs(20), watcher).await.unwrap().unwrap();
    let revisions: Vec<u64> = seen.iter().map(|change| change.revision.0).collect();
    assert_eq!(
        revisions,
        (1..=revisions.len() as u64).collect::<Vec<_>>(),
        "the watcher's changes have a gap"
    );
    assert!(acknowledged.len() > 100, "only {} writes", acknowledged.len());
    let mut numbers: HashMap<String, i64> = HashMap::new();
    for change in seen {
        let Some(Value::Integer(number)) = change.value else { panic!("{change:?}") };
        // A write that was in doubt was not done again.
        assert!(
            numbers.insert(change.name.clone(), number).is_none_or(|before| before < number),
            "written twice"
        );
        if let Some(wanted) = acknowledged.remove(&change.revision.0) {
            assert_eq!((change.name, number), wanted);
        }
    }
    assert!(acknowledged.is_empty(), "lost: {acknowledged:?}");
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_unreachable_server_is_an_error_that_says_what_to_do_and_then_all_goes_on() {
    let server = Server::start();
    let store = connect(&server, "away").await;
    let key = store.create_session(new("s"), None).await.unwrap().session.key;
    let mut hints = store.hints();
    server.kill();
    let began = Instant::now();
    let error = store.commit(key, put("x", 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "it took {:?}", began.elapsed());
    let told = text(&error);
    assert!(told.contains("does not answer; check that it runs"), "{told}");
    for told in [format!("{error:?}"), told, format!("{store:?}")] {
        assert!(!told.contains("sesame"), "{told}");
    }
    assert!(matches!(store.read(key, "x").await, Err(StoreError::Unavailable { .. })));
    server.restart();
    store.commit(key, put("x", 2)).await.unwrap();
    assert_eq!(store.read(key, "x").await.unwrap().unwrap().0, Value::Integer(2));
    hinted(&mut hints, Hint::Written(key, Revision(1)), Duration::from_secs(2)).await;
    // The connection that listens comes back too.
    let other = connect(&server, "away").await;
    let until = Instant::now() + Duration::from_secs(15);
    for number in 3.. {
        let committed = other.commit(key, put("x", number)).await.unwrap();
        let heard =
            async { while hints.recv().await.ok() != Some(Hint::Written(key, committed.revision)) {} };
        if timeout(Duration::from_millis(300), heard).await.is_ok() {
            break;
        }
        assert!(Instant::now() < until, "hints of the other host did not come back");
    }
}

#[tokio::test]
async fn two_hosts_see_each_others_writes_and_hints() {
    let server = Server::shared();
    let schema = server.schema();
    let (one, other) = (connect(&server, &schema).await, connect(&server, &schema).await);
    let key = one.create_session(new("s"), None).await.unwrap().session.key;
    let (mut hints, soon) = (other.hints(), Duration::from_secs(3));
    // Until the other one listens.
    sleep(Duration::from_millis(300)).await;
    let first = one.commit(key, put("x", 1)).await.unwrap().revision;
    hinted(&mut hints, Hint::Written(key, first), soon).await;
    assert_eq!(other.read(key, "x").await.unwrap(), Some((Value::Integer(1), first)));
    let expect = Expect::Present { version: Some(first), spec: None };
    let mut batch = put("x", 2);
    batch.writes[0].expect = expect;
    let second = other.commit(key, batch.clone()).await.unwrap().revision;
    let answer = one.commit(key, batch).await;
    let Err(StoreError::Refused { refusal, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal, Refusal::Version { expected: first, found: second });
    let answer = other.create_session(new("s"), None).await;
    assert!(matches!(answer, Err(StoreError::SessionExists(_))), "{answer:?}");
    assert!(one.delete_session(key).await.unwrap());
    hinted(&mut hints, Hint::Ended(key), soon).await;
    assert_eq!(other.session("s").await.unwrap(), None);
    let query = VariableQuery::default();
    assert!(matches!(other.variables(key, &query).await, Err(StoreError::SessionNotFound(_))));
}

#[tokio::test]
async fn many_writes_are_few_notifications() {
    let server = Server::shared();
    let schema = server.schema();
    let store = Arc::new(connect(&server, &schema).await);
    let key = store.create_session(new("s"), None).await.unwrap().session.key;
    let mut listener = sqlx::postgres::PgListener::connect(&server.url()).await.unwrap();
    listener.listen(&format!("dspex_{schema}")).await.unwrap();
    for number in 0..100 {
        store.commit(key, put("x", number)).await.unwrap();
    }
    let mut heard = 0;
    loop {
        let note = timeout(Duration::from_secs(3), listener.recv()).await.unwrap().unwrap();
        heard += 1;
        if note.payload().ends_with(":100") {
            break;
        }
    }
    assert!(heard < 80, "{heard} notifications for 100 writes");
}

#[tokio::test]
async fn a_temporary_session_of_a_host_that_died_is_over_for_all() {
    let server = Server::shared();
    let schema = server.schema();
    let lease = Duration::from_millis(600);
    let dying = options(&schema).lease(lease).connect(&server.url()).await.unwrap();
    let other = connect(&server, &schema).await;
    let session = NewSession { temporary: true, ..new("temporary") };
    let key = dying.create_session(session, None).await.unwrap().session.key;
    // As long as the host lives, its session does.
    sleep(2 * lease).await;
    assert!(other.session("temporary").await.unwrap().is_some());
    other.commit(key, put("x", 1)).await.unwrap();
    // Dropped without being closed, it renews nothing any more.
    drop(dying);
    sleep(lease + Duration::from_millis(200)).await;
    assert_eq!(other.session("temporary").await.unwrap(), None);
    assert!(matches!(other.read(key, "x").await, Err(StoreError::SessionNotFound(_))));
    assert_eq!(other.expire(9).await.unwrap(), [(key, "temporary".to_owned())]);
}

#[tokio::test]
async fn a_schema_of_a_later_dspex_or_of_another_program_is_refused() {
    let server = Server::shared();
    let schema = server.schema();
    connect(&server, &schema).await.close().await.unwrap();
    connect(&server, &schema).await.close().await.unwrap();
    server
        .sql(
            "CREATE SCHEMA later; CREATE TABLE later.store (format integer); INSERT INTO later.store VALUES (7); \
             CREATE SCHEMA other; CREATE TABLE other.accounts (id integer); \
             CREATE SCHEMA alike; CREATE TABLE alike.store (place text); CREATE SCHEMA empty",
        )
        .await;
    let error = options("later").connect(&server.url()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 7, known: 1, .. }), "{error:?}");
    for schema in ["other", "alike"] {
        let error = options(schema).connect(&server.url()).await.unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("the schema `{schema}`")), "{error}");
    }
    connect(&server, "empty").await;
    let error = options("no; such").connect(&server.url()).await.unwrap_err();
    assert!(text(&error).contains("is no name for a schema"), "{error:?}");
}

#[tokio::test]
async fn hosts_that_start_together_make_the_tables_once() {
    let server = Server::shared();
    let schema = server.schema();
    let stores = futures::future::join_all((0..5).map(|_| connect(&server, &schema))).await;
    stores[0].create_session(new("s"), None).await.unwrap();
    let mut query = SessionQuery::default();
    query.limit = 9;
    for store in stores {
        assert_eq!(store.sessions(&query).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_url_is_told_without_its_password() {
    let server = Server::shared();
    let missing = server.url().replace("/postgres?", "/none?");
    let nowhere = "postgres://dspex:sesame@127.0.0.1:1/x".to_owned();
    for (url, step) in [
        (missing, "create it with `createdb`"),
        (nowhere, "check that it runs"),
        ("postgres://dspex:sesame@host:port/x".to_owned(), "cannot be read; write postgres://"),
    ] {
        let error = options("x").connect(&url).await.unwrap_err();
        assert!(text(&error).contains(step), "{error:?}");
        assert!(!text(&error).contains("sesame") && !format!("{error:?}").contains("sesame"), "{error:?}");
    }
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_told_to_be_slow() {
    let server = Server::shared();
    let schema = server.schema();
    let store =
        options(&schema).statement_timeout(Duration::from_millis(300)).connect(&server.url()).await.unwrap();
    let key = store.create_session(new("s"), None).await.unwrap().session.key;
    let mut held = sqlx::PgPool::connect(&server.url()).await.unwrap().begin().await.unwrap();
    let lock = sqlx::AssertSqlSafe(format!("LOCK TABLE {schema}.session IN ACCESS EXCLUSIVE MODE"));
    sqlx::query(lock).execute(&mut *held).await.unwrap();
    let error = store.update_session(key, SessionChange::default()).await.unwrap_err();
    assert!(text(&error).contains("pg_stat_activity"), "{error:?}");
    held.rollback().await.unwrap();
    store.update_session(key, SessionChange::default()).await.unwrap();
}

#[tokio::test]
async fn a_backup_names_the_tool_that_makes_it() {
    let server = Server::shared();
    let store = connect(&server, &server.schema()).await;
    let error = store.backup("state.dump".as_ref()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unsupported(step) if step.contains("pg_dump")), "{error:?}");
}
