//! How long sessions live.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::Fixture;
use super::given::*;
use crate::record::{Lifetime, Revision, SessionRecord};
use crate::store::{SessionChange, SessionQuery};
use crate::value::Value;

const HOUR: Duration = Duration::from_secs(3600);

/// How far a store's clock and this one may be apart, with what a call takes.
const SLACK: Duration = Duration::from_secs(5);

/// How long a session has, about.
fn left(record: &SessionRecord) -> Duration {
    record.expires_at.unwrap().duration_since(SystemTime::now()).unwrap_or_default()
}

#[track_caller]
fn about(record: &SessionRecord, wanted: Duration) {
    let left = left(record);
    assert!(left.abs_diff(wanted) < SLACK, "has {left:?}, not about {wanted:?}");
}

pub(super) async fn a_session_whose_time_is_over_is_not_there_before_it_is_swept(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let key = make(&*store, with_lifetime("s", fixed(700))).await.session.key;
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    assert_eq!(number(&*store, key, "x").await, 1);
    sleep(Duration::from_millis(750)).await;
    missing(store.read(key, "x").await);
    missing(write(&*store, key, vec![put("x", Value::Integer(2))]).await);
    missing(store.read_together(key, &["x".to_owned()]).await);
    missing(store.variable(key, "x").await);
    missing(store.history(key, "x", 9).await);
    missing(store.changes(key, Revision(0), 9).await);
    missing(store.instances(key).await);
    missing(store.put_instance(key, super::sessions::instance("i")).await);
    missing(store.touch(key).await);
    let change = SessionChange { extend: Some(HOUR), ..Default::default() };
    missing(store.update_session(key, change).await);
    assert_eq!(store.session("s").await.unwrap(), None);
    let query = SessionQuery { limit: 9, temporary: true, ..Default::default() };
    assert_eq!(store.sessions(&query).await.unwrap(), Vec::new());
    assert_eq!(store.totals().await.unwrap(), Default::default());
    assert!(!store.delete_session(key).await.unwrap());
}

pub(super) async fn sweeping_takes_what_is_over_and_no_more_than_it_may(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let mut over = Vec::new();
    for index in 0..5 {
        let record = make(&*store, with_lifetime(&format!("over {index}"), fixed(0))).await;
        over.push((record.session.key, record.session.id));
    }
    make(&*store, new("lives")).await;
    make(&*store, with_lifetime("lives too", fixed(3_600_000))).await;
    let mut swept = store.expire(3).await.unwrap();
    assert_eq!(swept.len(), 3);
    swept.extend(store.expire(3).await.unwrap());
    assert_eq!(store.expire(3).await.unwrap(), Vec::new());
    over.sort();
    swept.sort();
    assert_eq!(swept, over);
    assert_eq!(store.totals().await.unwrap().sessions, 2);
}

pub(super) async fn touching_renews_a_sliding_session(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let lifetime = Lifetime::Sliding(Duration::from_millis(1200));
    let key = make(&*store, with_lifetime("s", lifetime)).await.session.key;
    for _ in 0..4 {
        sleep(Duration::from_millis(450)).await;
        store.touch(key).await.unwrap();
    }
    // Touched last, it has at least its time, and at most a sixteenth more.
    let left = left(&store.session("s").await.unwrap().unwrap());
    assert!(left > Duration::from_millis(900) && left <= Duration::from_millis(1280), "has {left:?}");
    sleep(Duration::from_millis(1300)).await;
    missing(store.touch(key).await);
}

pub(super) async fn touching_does_not_renew_a_fixed_session(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let made = make(&*store, with_lifetime("s", fixed(3_600_000))).await;
    let unlimited = make(&*store, new("unlimited")).await;
    sleep(Duration::from_millis(20)).await;
    store.touch(made.session.key).await.unwrap();
    store.touch(unlimited.session.key).await.unwrap();
    assert_eq!(store.session("s").await.unwrap(), Some(made));
    assert_eq!(store.session("unlimited").await.unwrap(), Some(unlimited));
}

pub(super) async fn touching_never_takes_time_away(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let key = make(&*store, with_lifetime("s", Lifetime::Sliding(HOUR))).await.session.key;
    let change = SessionChange { extend: Some(24 * HOUR), ..Default::default() };
    let extended = store.update_session(key, change).await.unwrap();
    store.touch(key).await.unwrap();
    assert_eq!(store.session("s").await.unwrap(), Some(extended));
}

pub(super) async fn extending_adds_to_what_was_left(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let made = make(&*store, with_lifetime("s", fixed(3_600_000))).await;
    let change = SessionChange { extend: Some(2 * HOUR), ..Default::default() };
    let changed = store.update_session(made.session.key, change.clone()).await.unwrap();
    assert_eq!(changed.expires_at, made.expires_at.map(|at| at + 2 * HOUR));
    assert_eq!(changed.session, made.session);
    let unlimited = make(&*store, new("unlimited")).await;
    let extended = store.update_session(unlimited.session.key, change).await.unwrap();
    assert_eq!(extended, unlimited, "what has no end is not extended");
}

pub(super) async fn another_lifetime_begins_now(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let key = make(&*store, with_lifetime("s", fixed(60_000))).await.session.key;
    let change = |lifetime| SessionChange { lifetime: Some(lifetime), ..Default::default() };
    let fixed = store.update_session(key, change(Lifetime::Fixed(HOUR))).await.unwrap();
    about(&fixed, HOUR);
    let sliding = store.update_session(key, change(Lifetime::Sliding(16 * HOUR))).await.unwrap();
    about(&sliding, 17 * HOUR);
    assert_eq!(sliding.session.lifetime, Lifetime::Sliding(16 * HOUR));
    let unlimited = store.update_session(key, change(Lifetime::Unlimited)).await.unwrap();
    assert_eq!(unlimited.expires_at, None);
    let over = store.update_session(key, change(Lifetime::Fixed(Duration::ZERO))).await.unwrap();
    assert_eq!(over.session.lifetime, Lifetime::Fixed(Duration::ZERO));
    assert_eq!(store.session("s").await.unwrap(), None);
}

pub(super) async fn an_id_whose_session_is_over_can_be_made_again(fixture: &dyn Fixture) {
    let store = store(fixture).await;
    let earlier = make(&*store, with_lifetime("s", fixed(0))).await.session.key;
    let later = store.create_session(new("s"), Some(1)).await.unwrap();
    assert_ne!(later.session.key, earlier);
    // The sweeper takes the earlier one, if it is still there, and leaves the later one.
    store.expire(9).await.unwrap();
    assert_eq!(store.session("s").await.unwrap(), Some(later));
    missing(store.read(earlier, "x").await);
}
