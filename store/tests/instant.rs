//! A backup holds the directory and the messages that its changes became as of one instant: each change is in one of both.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use engine::{Hash, History, Mirror as _, Page, Query, Seen, Store, SyncName, Tenure};
use stage::arrival;
use store::{Beside, Comes, Directory, Sqlite, restore, verify};

const BACKUPS: usize = 8;
/// As many resources as come with a page.
const PAGE: i64 = 5;

fn taken_over(directory: &Directory) -> Tenure {
    let name = SyncName { channel: "people".to_owned(), resource: "Practitioner".to_owned() };
    directory.take_over(&name).unwrap()
}

fn page(from: i64) -> Page {
    let seen = (from..from + PAGE).map(|number| {
        let body = format!("{{\"id\":\"{number}\"}}");
        let hash = Hash::of(&[body.as_bytes()]);
        Seen { id: number.to_string(), rank: (1, 0, 0), hash, is_active: true, body: body.into() }
    });
    Page { seen: seen.collect(), ..Page::default() }
}

/// Writes pages until it is told to stop, as quickly as they leave.
fn come(directory: &Directory, tenure: &Tenure, (stop, gone): (&AtomicBool, &AtomicI64)) {
    for turn in 0.. {
        directory.write(tenure, &page(turn * PAGE)).unwrap();
        while gone.load(Ordering::SeqCst) < turn * PAGE {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// Hands changes over as a source does: kept first, then gone from the directory.
async fn leave(
    store: Arc<Sqlite>,
    directory: Arc<Directory>,
    tenure: Tenure,
    (stop, gone): (Arc<AtomicBool>, Arc<AtomicI64>),
) {
    while !stop.load(Ordering::SeqCst) {
        let changes = directory.changes(&tenure, 7).unwrap();
        let Some(last) = changes.last().map(|change| change.number) else {
            tokio::task::yield_now().await;
            continue;
        };
        let arrivals = changes.iter().map(|change| {
            let name = change.number.to_string();
            arrival(store.next_message(), &name, &name)
        });
        store.keep(arrivals.collect()).await.unwrap();
        directory.left(&tenure, last).unwrap();
        gone.store(last, Ordering::SeqCst);
    }
}

/// Each change is a message, or waits to become one; and none is a message that the directory knows nothing of.
async fn agrees(folder: &Path) {
    assert!(verify(folder).unwrap().faults.is_empty());
    let (store, directory) = (Sqlite::open(folder).unwrap(), Directory::open(folder).unwrap());
    let found = store.find(&Query { limit: 1_000_000, ..Query::default() }).await.unwrap();
    let left = found.iter().map(|found| found.control_id.as_deref().unwrap_or_default().parse().unwrap());
    let left: BTreeSet<i64> = left.collect();
    let tenure = taken_over(&directory);
    let waiting = directory.changes(&tenure, 1_000_000).unwrap();
    let waiting: BTreeSet<i64> = waiting.iter().map(|change| change.number).collect();
    let all: BTreeSet<i64> = (1..=directory.syncs().unwrap()[0].resources).collect();
    assert!(all == &left | &waiting, "{} have left, {} wait, of {}", left.len(), waiting.len(), all.len());

    // What the old one numbered after the copy is another's.
    directory.write(&tenure, &page(1_000_000)).unwrap();
    let numbers = directory.changes(&tenure, 1_000_000).unwrap();
    let fresh = numbers.iter().map(|change| change.number).filter(|number| !all.contains(number));
    assert!(fresh.clone().all(|number| number > 1 << 50) && fresh.count() == PAGE as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_change_is_lost_between_the_directory_and_the_messages_of_a_backup_and_none_is_unknown() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let (store, directory) =
        (Arc::new(Sqlite::open(&data).unwrap()), Arc::new(Directory::open(&data).unwrap()));
    let tenure = taken_over(&directory);
    let (stop, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let coming = {
        let (directory, tenure) = (Arc::clone(&directory), tenure.clone());
        let (stop, gone) = (Arc::clone(&stop), Arc::clone(&gone));
        tokio::task::spawn_blocking(move || come(&directory, &tenure, (&stop, &gone)))
    };
    let leaving = tokio::spawn(leave(
        Arc::clone(&store),
        Arc::clone(&directory),
        tenure.clone(),
        (Arc::clone(&stop), Arc::clone(&gone)),
    ));
    for number in 0..BACKUPS {
        let before = gone.load(Ordering::SeqCst);
        while gone.load(Ordering::SeqCst) < before + 10 * PAGE {
            tokio::task::yield_now().await;
        }
        let beside = Beside { directory: Some(Arc::clone(&directory)), files: &[] };
        store.backup(&place.path().join(format!("backup{number}")), beside).await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    coming.await.unwrap();
    leaving.await.unwrap();
    for number in 0..BACKUPS {
        let (from, to) =
            (place.path().join(format!("backup{number}")), place.path().join(format!("back{number}")));
        restore(&from, &to, &Comes::AsItWas).unwrap();
        agrees(&to).await;
    }
}
