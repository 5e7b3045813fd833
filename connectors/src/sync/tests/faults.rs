//! One fault at a time: what is waited out, what needs a person, and what is no change at all.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::{HOUR, Stage};
use crate::{
    annuaire::mock::{Deed, Event, Fault, FaultKind},
    sync::{
        leaving::Left,
        run::Cut,
        state::{Mode, Standing, State},
    },
};

#[tokio::test(start_paused = true)]
async fn an_hour_of_maintenance_ends_a_run_of_changes_and_the_next_one_goes_on_where_it_stood() {
    let stage = Stage::new(20, 2, 1);
    stage.run(false, None).await.unwrap();
    let pages = stage.server.asked.load(Ordering::SeqCst);
    stage.server.annuaire().happen(&Event { count: 8, ..Event::new(Deed::Change) }, stage.server.now());
    // The gateway goes down behind the second page.
    let now = stage.server.now();
    stage.server.annuaire().fail(Fault::at_page(FaultKind::BadGateway, 3, u64::MAX), now);
    let cut = stage.run(false, None).await.unwrap_err();
    assert!(matches!(&cut, Cut::Later(why) if why.contains("502")), "{cut:?}");
    let noted: State = serde_json::from_value(stage.tenure().note).unwrap();
    let run = noted.run.clone().unwrap();
    assert_eq!((noted.standing, run.pages, run.mode), (Standing::Ko, 2, Mode::Delta));
    stage.server.annuaire().mend();
    let before = stage.server.asked.load(Ordering::SeqCst);
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.standing, ended.watermark), (Standing::Ok, run.begun));
    assert!(stage.server.asked.load(Ordering::SeqCst) - before < pages, "it goes on from the third page");
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_person_is_said_in_words_and_nothing_is_tried_again() {
    for (kind, words) in [
        (FaultKind::Unauthorized, "the key was refused (401)"),
        (FaultKind::ForeignLink, "gets no key of ours"),
        (FaultKind::OldLink, "/fhir/v1"),
        (FaultKind::Loop, "round in a circle"),
    ] {
        let stage = Stage::new(20, 5, 1);
        let now = stage.server.now();
        stage.server.annuaire().fail(Fault::one_in(kind, 1), now);
        let cut = stage.run(false, None).await.unwrap_err();
        assert!(matches!(&cut, Cut::Person(why) if why.contains(words)), "{kind:?}: {cut:?}");
        assert!(stage.server.asked.load(Ordering::SeqCst) <= 3, "{kind:?} is tried again");
        stage.server.annuaire().mend();
        stage.run(false, None).await.unwrap();
        assert_eq!(stage.held(), stage.server.truth());
        stage.told_once();
    }
}

#[tokio::test(start_paused = true)]
async fn quota_html_and_pages_that_are_cut_are_waited_out() {
    for kind in
        [FaultKind::TooMany, FaultKind::Html, FaultKind::Truncated, FaultKind::Cut, FaultKind::NoContext]
    {
        let stage = Stage::new(20, 5, 1);
        let now = stage.server.now();
        stage.server.annuaire().fail(Fault::at_page(kind, 2, 3), now);
        let ended = stage.run(false, None).await.unwrap();
        assert_eq!((ended.standing, ended.why), (Standing::Ok, None), "{kind:?}");
        assert_eq!(stage.held(), stage.server.truth());
        stage.told_once();
    }
}

#[tokio::test(start_paused = true)]
async fn a_delta_of_fifty_changes_sends_exactly_fifty() {
    let stage = Stage::new(300, 20, 7);
    stage.run(false, None).await.unwrap();
    assert_eq!(stage.gone.all.lock().unwrap().len(), 300);
    stage.server.annuaire().happen(&Event { count: 50, ..Event::new(Deed::Change) }, stage.server.now());
    for _ in 0..3 {
        stage.server.pass(HOUR);
        stage.run(false, None).await.unwrap();
    }
    assert_eq!(stage.gone.all.lock().unwrap().len(), 350);
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn half_a_server_is_not_taken_for_deletions() {
    let mut stage = Stage::new(100, 20, 7);
    stage.plan.most_removed = 5;
    stage.run(false, None).await.unwrap();
    stage.server.annuaire().happen(&Event { count: 50, ..Event::new(Deed::Delete) }, stage.server.now());
    let cut = stage.run(true, None).await.unwrap_err();
    assert!(matches!(&cut, Cut::Person(why) if why.starts_with("sweep guard: 50 of 100")), "{cut:?}");
    assert_eq!(stage.held().len(), 100);
    stage.plan.most_removed = 50;
    stage.run(true, None).await.unwrap();
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn what_leaves_a_filter_is_looked_for_once_and_counts_no_more_for_the_guard() {
    let mut stage = Stage::new(300, 20, 7);
    (stage.plan.filter, stage.plan.most_removed) = ("qualification-code=10".to_owned(), 0);
    stage.run(false, None).await.unwrap();
    let all = stage.held().len();
    let happen = |deed, ids: Vec<String>| {
        stage.server.pass(HOUR);
        stage.server.annuaire().happen(&Event { ids, ..Event::new(deed) }, stage.server.now());
    };
    let mut gone = String::new();
    for round in 1..=3 {
        let held = stage.held();
        let active = held.iter().filter(|(_, (_, is_active))| *is_active).map(|(id, _)| id.clone());
        // A stub has no qualification.
        let leaving: Vec<String> = active.take(15).collect();
        gone.clone_from(&leaving[0]);
        happen(Deed::Deactivate, leaving);
        let ended = stage.run(true, None).await.unwrap();
        assert_eq!((ended.outside, ended.overlooked, stage.held().len()), (15 * round, 0, all));
        assert!(!stage.held()[&gone].1, "it is kept as its server has it");
    }
    // One that is found again is looked for again.
    happen(Deed::Change, vec![gone.clone()]);
    stage.run(false, None).await.unwrap();
    assert!(stage.held()[&gone].1);
    happen(Deed::Delete, vec![gone.clone()]);
    stage.run(true, None).await.unwrap();
    assert!(!stage.held().contains_key(&gone));
    // Where everything is asked for, everything is looked for.
    let held = stage.held();
    let (outside, _) = held.iter().find(|(_, (_, is_active))| !is_active).unwrap();
    happen(Deed::Delete, vec![outside.clone()]);
    stage.plan.filter = String::new();
    stage.run(true, None).await.unwrap();
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn what_a_whole_pass_passes_over_or_finds_late_is_told() {
    let stage = Stage::new(20, 5, 1);
    stage.run(false, None).await.unwrap();
    let late =
        |id: &str| Event { ids: vec![id.to_owned()], late: "3d".parse().ok(), ..Event::new(Deed::Change) };
    stage.server.pass(HOUR);
    stage.server.annuaire().happen(&late("003-9000001-9100001"), stage.server.now());
    // The last one changes before its page comes, and by its own word before what follows begins.
    let first = stage.server.asked.load(Ordering::SeqCst) + 1;
    stage.server.during.lock().unwrap().push((first, late("003-9000020-9100020")));
    let ended = stage.run(true, None).await.unwrap();
    assert_eq!((ended.overlooked, ended.late_changes, ended.standing), (1, 1, Standing::Ok));
    assert!(ended.why.is_some_and(|why| why.contains("later than `overlap` allows for")));
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_its_first_page_runs_and_a_whole_pass_that_was_asked_for_is_begun() {
    let stage = Stage::new(20, 5, 1);
    stage.run(false, None).await.unwrap();
    assert_eq!(stage.run(true, Some(0)).await.unwrap_err(), Cut::Stopped);
    let noted = stage.noted();
    assert_eq!((noted.standing, noted.run.map(|run| run.mode)), (Standing::Running, Some(Mode::Full)));
    assert_eq!(stage.run(false, None).await.unwrap().passes, 2);
}

#[tokio::test(start_paused = true)]
async fn where_a_destination_has_enough_before_it_changes_wait_and_the_mirror_goes_on() {
    let stage = Stage::new(30, 7, 1);
    let told = || stage.gone.all.lock().unwrap().len();
    stage.gone.is_full.store(true, Ordering::SeqCst);
    for changed in 0..3 {
        let mut work = stage.work();
        work.due = Some(Instant::now() + Duration::from_mins(1));
        let left = work.once(false).await.unwrap();
        assert!(matches!(left, Left::Full(_)), "the next run begins in its time: {left:?}");
        assert_eq!(work.state.standing, Standing::Ok);
        assert!(work.state.why.is_some_and(|why| why.contains("waiting for the destination")));
        assert_eq!((stage.held(), told()), (stage.server.truth(), 0), "after {changed} changes");
        stage.server.annuaire().happen(&Event::new(Deed::Change), stage.server.now());
    }
    // With no next run to begin it waits until it is stopped, and goes on with the end of that run.
    let mut work = stage.work();
    let stop = work.stop.clone();
    let waiting = async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        let says = stage.mirror.syncs().unwrap()[0].says.clone();
        assert_eq!(says.as_deref(), Some("waiting for the destination"));
        stop.request();
    };
    let (cut, ()) = tokio::join!(work.once(false), waiting);
    assert_eq!((cut, told()), (Err(Cut::Stopped), 0));
    assert_eq!(stage.mirror.syncs().unwrap()[0].says, None);
    stage.gone.is_full.store(false, Ordering::SeqCst);
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.standing, ended.why), (Standing::Ok, None));
    assert_eq!((stage.held(), told()), (stage.server.truth(), 33));
    stage.told_once();
}
