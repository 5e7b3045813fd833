//! When the thread wakes, and who waits when too much is on its way into the files.

use std::{
    pin::pin,
    sync::mpsc::channel,
    task::{Context, Waker},
};

use engine::Store;

use super::*;
use crate::{Settings, Sqlite};

#[path = "../../tests/stage/mod.rs"]
mod stage;

fn notes(writer: &Writer) -> impl Future<Output = Result<(), StoreError>> {
    writer.write(|ledger| crate::people::switch(ledger, "a switch", Some("on"), "a test"))
}

/// What the thread finds due after it did all that it could.
fn due(writer: &Writer) -> Option<Instant> {
    writer.shared.core().due()
}

#[tokio::test]
async fn files_that_cannot_be_written_are_tried_again_later_and_nothing_is_due_before_or_after() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(folder.path(), Settings::default()).unwrap();
    let writer = &store.writer;
    {
        let mut core = writer.shared.core();
        core.troubles.files.begins("no space is left");
        core.try_due = Some(Instant::now() + TRY_AGAIN);
    }
    notes(writer).await.unwrap();
    {
        let mut core = writer.shared.core();
        core.file_due = Some(Instant::now().checked_sub(FILED_WITHIN).unwrap());
        core.file_if_due();
        assert!(
            core.due().is_some_and(|due| due > Instant::now() + TRY_AGAIN / 2),
            "it waits for the next try"
        );
        core.try_due = Some(Instant::now());
    }
    while writer.refuses().is_some() {
        writer.filed().await;
    }
    assert_eq!(due(writer), None, "there is nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_alone_waits_too_while_too_much_is_on_its_way_into_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(folder.path(), Settings::default()).unwrap();
    let writer = &store.writer;
    let (go_on, stopped) = channel::<()>();
    let filer_waits = writer.with_files(move |_| {
        let _ = stopped.recv();
        Ok(())
    });
    let tried = async {
        notes(writer).await.unwrap();
        while writer.shared.queued.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        let written = {
            let mut core = writer.shared.core();
            core.took = Duration::ZERO;
            core.give_to_the_filer();
            core.ledger.weighs(TOO_MUCH + 1);
            assert!(core.is_too_much());
            core.ledger.journal().last()
        };
        let mut waits = pin!(notes(writer));
        let is_done = waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_done && writer.shared.core().ledger.journal().last() == written, "it waits");
        go_on.send(()).unwrap();
        waits.await.unwrap();
    };
    let (waited, ()) = tokio::join!(filer_waits, tried);
    waited.unwrap();
}

#[tokio::test]
async fn what_waits_leaves_its_bytes_to_the_files_and_is_read_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(folder.path(), Settings::default()).unwrap();
    let id = stage::keep(&store, "1").await;
    let body = engine::Content::from(vec![b'x'; 100_000]);
    let waits =
        engine::NewDelivery { body: Some(body.clone()), ..stage::delivery(store.next_delivery(), "out") };
    let delivery = waits.id;
    store.queue(stage::processed(id, "1", vec![waits])).await.unwrap();
    store.writer.filed().await;
    let peek = store.writer.shared.core().ledger.peek(delivery.0);
    assert!(peek.delivery.is_some() && peek.payload.is_none());
    assert_eq!(store.delivery(delivery).await.unwrap().unwrap().body, Some(body));
}

/// Whether a message that comes in this run is a repeat.
async fn is_repeat(store: &Sqlite, run: u64, name: &str) -> bool {
    store.next_message.fetch_max(run << 16 | 5, Ordering::SeqCst);
    let id = store.next_message();
    let kept = store.keep(vec![stage::arrival(id, name, "MSH|the body")]).await.unwrap();
    kept != [engine::Kept::New(Vec::new())]
}

#[tokio::test]
async fn a_repeat_is_known_behind_more_runs_than_memory_holds_also_after_a_restart_and_without_the_files() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = Sqlite::open(folder.path()).unwrap();
        for run in 0..330 {
            assert!(!is_repeat(&store, run, &format!("N{run}")).await);
            if run % 40 == 0 {
                store.writer.filed().await;
            }
        }
        store.writer.filed().await;
        assert!(is_repeat(&store, 330, "N1").await && is_repeat(&store, 330, "N328").await);
    }
    let files = folder.path().join("filters");
    assert_eq!(std::fs::read_dir(&files).unwrap().count(), 2, "the oldest two groups are in files");
    for (run, name) in [(331, "N2"), (332, "N3")] {
        let store = Sqlite::open(folder.path()).unwrap();
        assert!(is_repeat(&store, run, name).await && !is_repeat(&store, run, &format!("A{run}")).await);
        drop(store);
        std::fs::remove_dir_all(&files).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_the_files_is_done_by_the_thread_that_may_wait_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    let id = stage::keep(&store, "1").await;
    let seen = |id: MessageId| {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&threads);
        store.writer.shared.core().took = Duration::ZERO;
        let looks = store.writer.write(move |ledger| {
            noted.lock().unwrap().push(std::thread::current().name().map(str::to_owned));
            // As one does that goes on without.
            Ok(ledger.message(id.0).ok().flatten().is_some())
        });
        async move { (looks.await.unwrap(), threads.lock().unwrap().clone()) }
    };
    while store.writer.shared.queued.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    let (is_there, threads) = seen(id).await;
    assert!(is_there && threads.len() == 1, "what is in memory needs no other thread: {threads:?}");
    store.writer.filed().await;
    let (is_there, threads) = seen(id).await;
    assert!(is_there && threads.last().unwrap().as_deref() == Some("store"), "{threads:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bug_in_a_write_stops_the_store_in_words_and_nobody_waits_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let kept = {
        let store = Sqlite::open(folder.path()).unwrap();
        let kept = stage::keep(&store, "1").await;
        let writer = &store.writer;
        let (go_on, stopped) = channel::<()>();
        let filer_waits = writer.with_files(move |_| {
            let _ = stopped.recv();
            Ok(())
        });
        let tried = async {
            notes(writer).await.unwrap();
            {
                let mut core = writer.shared.core();
                core.give_to_the_filer();
                core.ledger.weighs(TOO_MUCH + 1);
            }
            // All of them wait for the filer.
            let bug = writer.write(|_| -> Result<(), Failure> { panic!("told to panic") });
            let (behind, filed) = (notes(writer), writer.filed());
            let all = async { tokio::join!(bug, behind, filed) };
            let mut all = pin!(all);
            assert!(all.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            go_on.send(()).unwrap();
            all.await
        };
        let (_, (bug, behind, ())) = tokio::join!(filer_waits, tried);
        for refused in [bug, behind, notes(writer).await] {
            assert!(refused.unwrap_err().0.contains("a bug stopped the store"));
        }
        assert!(store.trouble().unwrap().contains("start the program again"));
        let id = store.next_message();
        assert!(store.keep(vec![stage::arrival(id, "2", "MSH|")]).await.is_err());
        store.writer.filed().await;
        kept
    };
    let store = Sqlite::open(folder.path()).unwrap();
    assert!(store.standing(kept).await.unwrap().is_some(), "what was answered is there");
    assert_eq!(store.trouble(), None);
}

#[tokio::test]
async fn a_bug_where_files_are_written_costs_its_caller_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path()).unwrap();
    let id = stage::keep(&store, "1").await;
    let cut = store.writer.with_files(|_| -> Result<(), Failure> { panic!("told to panic") }).await;
    assert!(cut.is_err());
    store.writer.filed().await;
    assert!(store.writer.with_files(|filer| Ok(filer.highest()?)).await.unwrap().0 >= id.0);
    assert_eq!(store.trouble(), None);
}
