//! Entries that cannot be used: for a while, for ever, on a page alone, and while a whole pass looks for what is gone.

use std::sync::atomic::Ordering;

use super::{HOUR, Stage};
use crate::{
    annuaire::mock::{Deed, Event, Fault, FaultKind},
    sync::{plan::Rejects, state::Standing},
};

/// The first and the last of twenty made from the seed.
const FIRST: &str = "003-9000001-9100001";
const LAST: &str = "003-9000020-9100020";

fn to(deed: Deed, id: &str) -> Event {
    Event { ids: vec![id.to_owned()], ..Event::new(deed) }
}

/// Lets something happen now.
fn happen(stage: &Stage, event: &Event) {
    stage.server.annuaire().happen(event, stage.server.now());
}

fn rejected(stage: &Stage) -> u64 {
    stage.gone.rejected.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn one_that_a_page_spoils_is_asked_for_by_its_id_in_the_same_run() {
    let stage = Stage::new(20, 5, 1);
    let now = stage.server.now();
    stage.server.annuaire().fail(Fault::at_page(FaultKind::LostId, 2, 1), now);
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.standing, ended.rejected, rejected(&stage)), (Standing::Ok, 1, 1));
    assert_eq!((ended.nameless, ended.unusable), (0, Vec::new()));
    assert!(ended.why.is_some_and(|why| why.starts_with("1 entries could not be used")));
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_used_for_a_while_comes_once_it_can_though_nothing_changed_since() {
    let stage = Stage::new(20, 5, 1);
    stage.run(false, None).await.unwrap();
    happen(&stage, &to(Deed::Change, FIRST));
    happen(&stage, &to(Deed::Garble, FIRST));
    let before = stage.noted().watermark;
    stage.server.pass(HOUR);
    let ended = stage.run(false, None).await.unwrap();
    let ids: Vec<&str> = ended.unusable.iter().map(|unusable| unusable.id.as_str()).collect();
    assert_eq!((ended.standing, ids), (Standing::Ok, vec![FIRST]));
    assert!(ended.watermark > before, "the others go on");
    // The next run looks back so far that it sees it again; the one after that does not.
    stage.server.pass(100 * HOUR);
    assert_eq!(stage.run(false, None).await.unwrap().rejected, 1);
    stage.server.pass(100 * HOUR);
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.rejected, ended.unusable.len()), (0, 1));
    assert!(ended.why.is_some_and(|why| why.contains("asked for again by its id")));
    stage.server.pass(100 * HOUR);
    stage.server.annuaire().mend();
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.why, ended.unusable), (None, Vec::new()));
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn one_that_can_never_be_used_is_neither_taken_for_gone_nor_in_the_way_of_a_whole_pass() {
    let stage = Stage::new(20, 5, 1);
    stage.run(false, None).await.unwrap();
    let known = stage.held()[FIRST].clone();
    happen(&stage, &to(Deed::Garble, FIRST));
    for _ in 0..2 {
        let ended = stage.run(true, None).await.unwrap();
        assert_eq!((ended.standing, ended.unusable.len()), (Standing::Ok, 1));
        assert_eq!(stage.held()[FIRST], known);
    }
    // Its entries and those that name nothing are told apart.
    let now = stage.server.now();
    stage.server.annuaire().fail(Fault::at_page(FaultKind::BadEntry, 1, 1), now);
    let ended = stage.run(true, None).await.unwrap();
    assert_eq!((ended.rejected, ended.nameless, ended.unusable.len()), (2, 1, 1));
    // Gone, it is not asked for any more, and a whole pass finds that.
    happen(&stage, &to(Deed::Delete, FIRST));
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.unusable.len(), stage.held().len()), (0, 20));
    stage.run(true, None).await.unwrap();
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_on_no_page_and_cannot_be_used_alone_is_left_for_the_next_whole_pass() {
    let stage = Stage::new(20, 5, 1);
    stage.run(false, None).await.unwrap();
    // It changes before its page comes, and by its own word long before: neither the pass nor what follows it sees that.
    let first = stage.server.asked.load(Ordering::SeqCst) + 1;
    let change = Event { late: "3d".parse().ok(), ..to(Deed::Change, LAST) };
    stage.server.during.lock().unwrap().extend([(first, change), (first, to(Deed::Garble, LAST))]);
    let ended = stage.run(true, None).await.unwrap();
    assert_eq!((ended.standing, ended.rejected, ended.unusable.len()), (Standing::Ok, 0, 1));
    assert_eq!(stage.held().len(), 20);
    stage.server.annuaire().mend();
    stage.run(false, None).await.unwrap();
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn where_they_hold_the_next_run_asks_for_everything_since_they_came() {
    let mut stage = Stage::new(20, 5, 1);
    stage.plan.unusable = Rejects::Hold;
    happen(&stage, &to(Deed::Garble, FIRST));
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.standing, ended.watermark), (Standing::Ok, None));
    stage.server.annuaire().mend();
    // Nothing is known to be whole yet, so that everything is asked for.
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.passes, ended.unusable.len()), (2, 0));
    let whole = ended.watermark;
    assert!(whole.is_some());
    let now = stage.server.now();
    stage.server.annuaire().fail(Fault::at_page(FaultKind::BadEntry, 1, 2), now);
    for _ in 0..2 {
        stage.server.pass(HOUR);
        let ended = stage.run(false, None).await.unwrap();
        assert_eq!((ended.nameless, ended.watermark), (1, whole));
    }
    let ended = stage.run(false, None).await.unwrap();
    assert!(ended.watermark > whole && ended.why.is_none());
    assert_eq!((ended.passes, stage.held()), (2, stage.server.truth()));
    assert_eq!(stage.gone.all.lock().unwrap().len(), 20);
    stage.told_once();
}
