//! What is particular to the embedded store: its file, its lock, damage, copies, memory.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use dspex_state::store::{Action, Batch, Expect, Retention, StateStore, StoreError, Write};
use dspex_state::{
    Clock, IntoSpec, Lifetime, NewSession, Quotas, Revision, SessionKey, Spec, SqliteOptions, SqliteStore,
    Tensor, Value, VarSpec,
};
use serde_json::Map;

fn session(id: &str) -> NewSession {
    NewSession {
        key: SessionKey::generate(),
        id: id.to_owned(),
        lifetime: Lifetime::Unlimited,
        temporary: false,
        metadata: Map::new(),
        settings: Map::new(),
        quotas: Quotas::default(),
    }
}

fn set(name: &str, value: Value) -> Batch {
    let spec = Spec::from_json(value.kind().name().into());
    let spec = spec.unwrap_or_else(|_| VarSpec::choice(["a"]).into_spec().unwrap());
    let action = Action::Set { value, spec: Some(Box::new(spec)) };
    Batch::new(vec![Write { name: name.to_owned(), expect: Expect::Anything, action }])
}

async fn create(store: &SqliteStore, id: &str) -> SessionKey {
    store.create_session(session(id), None).await.unwrap().session.key
}

/// 5 MB of numbers.
fn tensor(first: f32) -> Value {
    let mut numbers = vec![0.5_f32; 5 << 18];
    numbers[0] = first;
    Value::Tensor(Tensor::new([numbers.len()], numbers).unwrap())
}

#[tokio::test]
async fn what_was_written_is_there_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    let key = create(&store, "a").await;
    store.commit(key, set("x", Value::Integer(7))).await.unwrap();
    store.commit(key, set("large", tensor(1.0))).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.read(key, "x").await, Err(StoreError::Closed)));
    assert!(matches!(store.touch(key).await, Err(StoreError::Closed)));

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.session("a").await.unwrap().unwrap().session.key, key);
    assert_eq!(store.read(key, "x").await.unwrap(), Some((Value::Integer(7), Revision(1))));
    assert_eq!(store.read(key, "large").await.unwrap(), Some((tensor(1.0), Revision(2))));
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_written_though_the_store_is_let_go() {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let of_the_store = std::thread::current().name() == Some("dspex-state");
        PANICKED.fetch_or(of_the_store, Ordering::Relaxed);
        earlier(panic);
    }));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    let key = create(&store, "a").await;
    for number in 1..=20 {
        let mut write = store.commit(key, set("x", Value::Integer(number)));
        assert!(futures::poll!(&mut write).is_pending());
    }
    drop(store);
    let store = loop {
        match SqliteStore::open(&path) {
            Err(StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(store.read(key, "x").await.unwrap(), Some((Value::Integer(20), Revision(20))));
    assert!(!PANICKED.load(Ordering::Relaxed), "the store's thread panicked");
}

#[tokio::test]
async fn temporary_sessions_end_with_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    store.create_session(NewSession { temporary: true, ..session("t") }, None).await.unwrap();
    create(&store, "kept").await;
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert!(store.session("t").await.unwrap().is_none());
    assert!(store.session("kept").await.unwrap().is_some());
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(error.to_string().contains(&format!("in use by the process {}", std::process::id())), "{error}");
    drop(store);
    SqliteStore::open(&path).unwrap();
}

fn refused(path: &Path) -> String {
    let before = std::fs::read(path).unwrap();
    let error = SqliteStore::open(path).unwrap_err();
    assert!(std::fs::read(path).unwrap() == before, "the file was changed");
    error.to_string()
}

#[tokio::test]
async fn files_of_others_damaged_ones_and_later_formats_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    std::fs::write(
        &text,
        "these are notes, and no database; they are long enough to hold a header of a hundred bytes, too",
    )
    .unwrap();
    assert!(refused(&text).contains("no store of dspex: it is no database of SQLite"));

    let other = directory.path().join("other.db");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE things (x)").unwrap();
    drop(connection);
    assert!(refused(&other).contains("a database of another program"));

    let path = directory.path().join("state.db");
    drop(SqliteStore::open(&path).unwrap());
    let cut = directory.path().join("cut.db");
    std::fs::write(&cut, &std::fs::read(&path).unwrap()[..60]).unwrap();
    assert!(refused(&cut).contains("its header is cut off"));

    let torn = directory.path().join("torn.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..4096].fill(0xAB);
    std::fs::write(&torn, bytes).unwrap();
    let message = refused(&torn);
    assert!(message.contains("torn.db is damaged") && message.contains("backup"), "{message}");

    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(refused(&path).contains("has the format 99, and this dspex knows formats up to 1"));
}

#[tokio::test]
async fn a_copy_is_a_store_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("state.db")).unwrap();
    let key = create(&store, "a").await;
    store.commit(key, set("x", Value::Integer(7))).await.unwrap();
    let copy = directory.path().join("copy.db");
    store.backup(&copy).await.unwrap();
    store.commit(key, set("x", Value::Integer(8))).await.unwrap();
    let restored = SqliteStore::open(&copy).unwrap();
    assert_eq!(restored.read(key, "x").await.unwrap(), Some((Value::Integer(7), Revision(1))));
    let again = store.backup(&copy).await.unwrap_err();
    assert!(format!("{again:?}").contains("there already"), "{again:?}");
    let ephemeral = SqliteStore::ephemeral().unwrap();
    assert!(ephemeral.backup(&directory.path().join("no.db")).await.is_err());
}

#[tokio::test]
async fn damage_is_found_by_a_look() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    let key = create(&store, "a").await;
    store.commit(key, set("x", Value::Integer(7))).await.unwrap();
    store.close().await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("DELETE FROM change; UPDATE session SET bytes = 1").unwrap();
    drop(connection);
    let found = SqliteStore::open(&path).unwrap().check().await.unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
}

#[tokio::test]
async fn large_values_are_read_back_without_a_copy() {
    for store in [
        SqliteStore::ephemeral().unwrap(),
        SqliteStore::open(tempfile::tempdir().unwrap().keep().join("s.db")).unwrap(),
    ] {
        let key = create(&store, "a").await;
        let Value::Tensor(written) = tensor(1.0) else { unreachable!() };
        store.commit(key, set("t", Value::Tensor(written.clone()))).await.unwrap();
        let Some((Value::Tensor(read), _)) = store.read(key, "t").await.unwrap() else { panic!() };
        assert_eq!(read.as_slice::<f32>().unwrap().as_ptr(), written.as_slice::<f32>().unwrap().as_ptr());
        if let Some(parent) = store.path().parent().filter(|parent| !parent.starts_with("/proc")) {
            let parent = parent.to_owned();
            drop(store);
            let _ = std::fs::remove_dir_all(parent);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn large_values_that_are_only_in_memory_are_never_missing_for_readers() {
    let store = SqliteOptions::new()
        .retention(Retention::default().revisions(2).history(1).bytes(6 << 20))
        .ephemeral()
        .unwrap();
    let key = create(&store, "a").await;
    store.commit(key, set("t", tensor(0.0))).await.unwrap();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let (value, version) = store.read(key, "t").await.unwrap().unwrap();
                    let Value::Tensor(tensor) = value else { panic!() };
                    assert_eq!(tensor.as_slice::<f32>().unwrap()[0], (version.0 - 1) as f32);
                    store.variable(key, "t").await.unwrap().unwrap();
                    store.history(key, "t", 10).await.unwrap();
                }
            })
        })
        .collect();
    for turn in 1..100 {
        store.commit(key, set("t", tensor(turn as f32))).await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(store.history(key, "t", 1000).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_log_is_trimmed_by_count_age_and_bytes_but_never_below_what_is_held() {
    let clock = Jumping::default();
    let retention = Retention::default().revisions(8).history(3).age(Duration::from_secs(60));
    let store = SqliteOptions::new().retention(retention).clock(clock.clone()).ephemeral().unwrap();
    let key = create(&store, "a").await;
    store.commit(key, set("still", Value::Integer(0))).await.unwrap();
    for value in 1..100 {
        store.commit(key, set("x", Value::Integer(value))).await.unwrap();
    }
    assert_eq!(store.read(key, "still").await.unwrap().unwrap().0, Value::Integer(0));
    assert!(matches!(store.changes(key, Revision(0), 10).await, Err(StoreError::Compacted { .. })));
    let (changes, revision) = store.changes(key, Revision(95), 10).await.unwrap();
    assert_eq!((changes.len(), revision), (5, Revision(100)));
    let kept = store.history(key, "x", 1000).await.unwrap().len();
    assert!((8..=11).contains(&kept), "{kept}");

    clock.jump(3600);
    for value in 0..4 {
        store.commit(key, set("y", Value::Integer(value))).await.unwrap();
    }
    assert_eq!(store.history(key, "x", 1000).await.unwrap().len(), 3);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

/// A clock that is moved by hand.
#[derive(Clone, Debug, Default)]
struct Jumping(Arc<AtomicI64>);

impl Jumping {
    fn jump(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Jumping {
    fn now(&self) -> SystemTime {
        let seconds = 1_700_000_000 + self.0.load(Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap())
    }
}

#[tokio::test]
async fn a_clock_that_jumps_ends_sessions_when_their_time_is_over_and_breaks_nothing_else() {
    let clock = Jumping::default();
    let store = SqliteOptions::new().clock(clock.clone()).ephemeral().unwrap();
    let hours = |hours: u64| Lifetime::Sliding(Duration::from_secs(3600 * hours));
    for (id, lifetime) in [("short", hours(1)), ("long", hours(3)), ("forever", Lifetime::Unlimited)] {
        store.create_session(NewSession { lifetime, ..session(id) }, None).await.unwrap();
    }
    clock.jump(-3600);
    let key = store.session("short").await.unwrap().unwrap().session.key;
    store.commit(key, set("x", Value::Integer(1))).await.unwrap();
    clock.jump(3600 + 3600 + 600);
    assert!(store.session("short").await.unwrap().is_none(), "read before any sweep");
    assert!(matches!(store.read(key, "x").await, Err(StoreError::SessionNotFound(_))));
    assert!(store.session("long").await.unwrap().is_some());
    assert_eq!(store.totals().await.unwrap().sessions, 2);
    let swept = store.expire(100).await.unwrap();
    assert_eq!(swept, [(key, "short".to_owned())]);
    assert_eq!(store.expire(100).await.unwrap(), []);
}

#[tokio::test]
async fn a_full_disk_is_a_typed_error_and_reading_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    let key = create(&store, "a").await;
    store.commit(key, set("x", Value::Integer(1))).await.unwrap();
    store.close().await.unwrap();
    // The limit of pages is SQLite's own way to have no room.
    let store = SqliteOptions::new().max_bytes(200_000).open(&path).unwrap();
    let error = store.commit(key, set("t", tensor(1.0))).await.unwrap_err();
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert_eq!(store.read(key, "x").await.unwrap(), Some((Value::Integer(1), Revision(1))));
    store.commit(key, set("x", Value::Integer(2))).await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
