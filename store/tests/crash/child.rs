//! The process that writes, and says what it was told.

use std::{path::PathBuf, sync::Arc, time::Duration};

use engine::{Kept, MessageId, Store};
use store::Sqlite;

use crate::stage::{arrival, delivery, processed, sent};

/// The folder to write in, and how.
pub(crate) const FOLDER: &str = "RELAIS_TEST_STORE";
pub(crate) const MODE: &str = "RELAIS_TEST_MODE";

/// Large enough that the log is moved into the file now and then.
const BODY: usize = 3000;

pub(crate) fn run() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store = Arc::new(Sqlite::open(&folder).unwrap());
    // The test runner begins the line.
    println!();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match std::env::var(MODE).unwrap().as_str() {
        "load" => runtime.block_on(load(store)),
        "sync" => runtime.block_on(one_by_one(&store)),
        "long" => runtime.block_on(super::long::lives(store)),
        "idle" => runtime.block_on(idle(&store)),
        other => unreachable!("no such mode: {other}"),
    }
}

/// Whole lives, many at once, until somebody kills us.
async fn load(store: Arc<Sqlite>) {
    let lives: Vec<_> = (0..24).map(|_| tokio::spawn(live(Arc::clone(&store)))).collect();
    for life in lives {
        life.await.unwrap();
    }
}

async fn live(store: Arc<Sqlite>) {
    loop {
        let message = store.next_message();
        let control_id = message.to_string();
        keep(&store, message).await.unwrap();
        println!("kept {message}");
        let id = store.next_delivery();
        store.queue(processed(message, &control_id, vec![delivery(id, "record")])).await.unwrap();
        println!("queued {message}");
        store.begin(id, None, 0).await.unwrap();
        println!("begun {message}");
        store.settle(id, sent("AA")).await.unwrap();
        println!("settled {message}");
    }
}

/// One message after the other, over a failure and beyond.
async fn one_by_one(store: &Sqlite) {
    let mut since_failure = None;
    for _ in 0..5000 {
        let message = store.next_message();
        match keep(store, message).await {
            Ok(()) => {
                println!("kept {message}");
                since_failure = since_failure.map(|since: usize| since + 1);
            }
            Err(error) => {
                println!("failed {message}");
                println!("words {error}");
                since_failure = Some(0);
                cleared(store).await;
            }
        }
        if since_failure == Some(30) {
            assert_eq!(store.trouble(), None, "a store that writes is in no trouble");
            return;
        }
    }
    panic!("the failure never came");
}

/// Writes until it fails, then only looks.
async fn idle(store: &Sqlite) {
    loop {
        let message = store.next_message();
        if keep(store, message).await.is_err() {
            println!("failed {message}");
            break;
        }
        println!("kept {message}");
    }
    cleared(store).await;
    println!("words cleared");
}

/// A store that failed says why, until it has tried by itself and it works again.
async fn cleared(store: &Sqlite) {
    assert!(store.trouble().is_some(), "a store that fails says why");
    let cleared = async {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        while store.trouble().is_some() {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cleared).await.expect("it tries again about every second");
}

async fn keep(store: &Sqlite, message: MessageId) -> Result<(), engine::StoreError> {
    let kept = store.keep(vec![arrival(message, &message.to_string(), &"x".repeat(BODY))]).await?;
    assert_eq!(kept, [Kept::New(Vec::new())]);
    Ok(())
}
