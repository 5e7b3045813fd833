//! A backup taken under load is of one instant, and what it holds is found and waits where it is brought back.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use engine::{DeliveryState, History, Query, Store};
use stage::{CHANNEL, arrival, delivery, processed, queue, sent};
use store::{Beside, Comes, Settings, Sqlite, restore};

fn open(folder: &Path) -> Sqlite {
    Sqlite::open_with(folder, Settings { span: 50, ..Settings::default() }).unwrap()
}

async fn live(store: Arc<Sqlite>, worker: usize) {
    for number in 0.. {
        let name = format!("L{worker}.{number}");
        let id = store.next_message();
        if store.keep(vec![arrival(id, &name, "MSH|the body")]).await.is_err() {
            return;
        }
        let wish = delivery(store.next_delivery(), "record");
        let delivery = wish.id;
        store.queue(processed(id, &name, vec![wish])).await.unwrap();
        if number % 3 != 0 {
            store.begin(delivery, None, 0).await.unwrap();
            store.settle(delivery, sent("AA")).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_under_load_holds_what_was_kept_before_it_and_delivers_what_waited() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&place.path().join("data")));
    let mut before = BTreeSet::new();
    for name in 0..120 {
        let (message, id) = queue(&*store, &format!("A{name}"), "record").await;
        if name % 2 == 0 {
            store.settle(id, sent("AA")).await.unwrap();
        }
        before.insert(message);
        if name % 20 == 0 {
            // Filed, so that files are cut in between.
            store.depths().await.unwrap();
        }
    }
    let large = store.next_message();
    let body = "x".repeat(2 << 20);
    store.keep(vec![arrival(large, "large", &body)]).await.unwrap();
    store.switch("hold lab/record", Some("held"), "ada").await.unwrap();
    fs::write(place.path().join("data/in-force.json"), "{}").unwrap();
    let load: Vec<_> = (0..8).map(|worker| tokio::spawn(live(Arc::clone(&store), worker))).collect();
    let beside = Beside { files: &["in-force.json", "missing"], ..Beside::default() };
    let saved = store.backup(&place.path().join("backup"), beside).await.unwrap();
    load.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(saved.files >= 5 && saved.bytes > 2 << 20, "{saved:?}");
    let refused =
        store.backup(&place.path().join("backup"), Beside::default()).await.unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");

    let back = place.path().join("back");
    assert_eq!(restore(&place.path().join("backup"), &back, &Comes::AsItWas).unwrap(), saved);
    assert!(back.join("in-force.json").is_file());
    let report = store::verify(&back).unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
    let restored = open(&back);
    assert_eq!(restored.show(large).await.unwrap().unwrap().body.map(|body| body.len()), Some(2 << 20));
    assert_eq!(restored.switches().await.unwrap().len(), 1);
    let found = restored.find(&Query { limit: 100_000, ..Query::default() }).await.unwrap();
    let ids: BTreeSet<_> = found.iter().map(|row| row.id).collect();
    assert!(ids.is_superset(&before), "what was kept before the backup is in it");
    for row in &found {
        // One instant: no message is queued without its delivery, no delivery without its message.
        let states: Vec<_> = row.deliveries.iter().map(|delivery| delivery.state).collect();
        assert_eq!(row.state == engine::MessageState::Queued, states.len() == 1, "message {}", row.id);
    }
    let waiting = restored.waiting(CHANNEL, "record", None, 100_000).await.unwrap();
    assert!(waiting.len() >= 60);
    for one in &waiting {
        assert!(matches!(one.state, DeliveryState::Waiting | DeliveryState::Unsure));
        let id = one.position.delivery;
        assert!(restored.delivery(id).await.unwrap().unwrap().body.is_some());
        restored.begin(id, None, 0).await.unwrap();
        restored.settle(id, sent("AA")).await.unwrap();
    }
    assert!(restored.depths().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_whole_backup_or_is_damaged_is_not_brought_back_and_nothing_is_written_over() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place.path().join("data"));
    queue(&store, "A1", "record").await;
    let backup = place.path().join("backup");
    store.backup(&backup, Beside::default()).await.unwrap();
    let refused = restore(&backup, &place.path().join("data"), &Comes::AsItWas).unwrap_err().to_string();
    assert!(refused.contains("not empty"), "{refused}");
    let span = fs::read_dir(backup.join("spans")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&span).unwrap();
    bytes[5000] ^= 1;
    fs::write(&span, bytes).unwrap();
    let back = place.path().join("back");
    let refused = restore(&backup, &back, &Comes::AsItWas).unwrap_err().to_string();
    assert!(refused.contains("is damaged") && !back.exists(), "{refused}");
    fs::remove_file(backup.join("SHA256SUMS")).unwrap();
    let refused = restore(&backup, &back, &Comes::AsItWas).unwrap_err().to_string();
    assert!(refused.contains("no whole backup"), "{refused}");
}

#[tokio::test]
async fn a_store_that_comes_held_holds_what_it_has_messages_for_and_what_is_named() {
    let place = tempfile::tempdir().unwrap();
    let store = open(&place.path().join("data"));
    queue(&store, "A1", "record").await;
    let backup = place.path().join("backup");
    store.backup(&backup, Beside::default()).await.unwrap();
    let back = place.path().join("back");
    restore(&backup, &back, &Comes::Held(vec![("lab".to_owned(), "archive".to_owned())])).unwrap();
    let restored = open(&back);
    let held = |name: &str| (format!("hold {name}"), "held".to_owned());
    let mut names = [held("lab/archive"), held(&format!("{CHANNEL}/record"))];
    names.sort();
    assert_eq!(restored.switches().await.unwrap(), names);
    assert_eq!(restored.audit(10).await.unwrap()[0].by, "relais restore");
    assert!(store.switches().await.unwrap().is_empty(), "the backup is as it was");
}
