//! What wakes those who watch.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::Fixture;
use super::given::*;
use crate::record::Revision;
use crate::store::Hint;
use crate::value::Value;

/// Waits for a hint that is wanted. Others may come before it, and it may come twice.
async fn hinted(hints: &mut Receiver<Hint>, wanted: impl Fn(Hint) -> bool) {
    let waiting = async {
        loop {
            match hints.recv().await {
                Ok(hint) if wanted(hint) => return,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => panic!("the hints ended"),
            }
        }
    };
    assert!(timeout(Duration::from_secs(5), waiting).await.is_ok(), "no such hint came");
}

pub(super) async fn a_write_is_hinted_at(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let mut hints = store.hints();
    written(&*store, key, vec![create("x", Value::Integer(1))]).await;
    hinted(&mut hints, |hint| hint == Hint::Written(key, Revision(1))).await;
    for n in 0..10 {
        written(&*store, key, vec![put("x", Value::Integer(n))]).await;
    }
    // Hints may be merged, but the last write is hinted at.
    hinted(&mut hints, |hint| hint == Hint::Written(key, Revision(11))).await;
}

pub(super) async fn the_end_of_a_session_is_hinted_at(fixture: &dyn Fixture) {
    let (store, key) = store_and_session(fixture).await;
    let mut hints = store.hints();
    store.delete_session(key).await.unwrap();
    hinted(&mut hints, |hint| hint == Hint::Ended(key)).await;
    let over = make(&*store, with_lifetime("over", fixed(0))).await.session.key;
    store.expire(9).await.unwrap();
    hinted(&mut hints, |hint| hint == Hint::Ended(over)).await;
}

pub(super) async fn a_slow_receiver_holds_nobody_up(fixture: &dyn Fixture) {
    const EACH: u64 = 150;
    let (store, key) = store_and_session(fixture).await;
    let mut slow = store.hints();
    let writers = (0..8).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..EACH {
                written(&*store, key, vec![put(&format!("v{writer}"), Value::Integer(n as i64))]).await;
            }
        })
    });
    let all = timeout(Duration::from_secs(60), join_all(writers)).await;
    for writer in all.expect("writers wait for who does not listen") {
        writer.unwrap();
    }
    // Whoever fell behind learns it, and then the latest.
    hinted(&mut slow, |hint| hint == Hint::Written(key, Revision(8 * EACH))).await;
}
