//! Whole passes in pieces: at a server whose links die early, through a crash, and at one that cannot do it.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::{DAY, KIND, Played, Stage};
use crate::{
    annuaire::mock::{Fault, FaultKind},
    sync::{
        asking::{Ask, Got, Trouble},
        run::Cut,
        state::{Mode, Standing, State},
    },
};

/// A server where a hundred changed within as many days.
fn stage() -> Stage {
    let mut stage = Stage::new(0, 10, 1);
    let now = stage.server.now();
    for number in 0..100 {
        let updated = now - (101 - number) * DAY;
        let id = format!("003-{number}");
        stage.server.annuaire().put(KIND, &id, (1, true), (updated, updated));
    }
    stage.plan.slice = Some(SignedDuration::from_hours(30 * 24));
    stage
}

fn noted(stage: &Stage) -> State {
    serde_json::from_value(stage.tenure().note).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_whole_pass_ends_where_links_die_at_the_third_page_and_not_in_one_search() {
    let mut stage = stage();
    let now = stage.server.now();
    stage.server.annuaire().fail(Fault::at_page(FaultKind::LinkTooOld, 3, u64::MAX), now);
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.standing, ended.passes, ended.removed), (Standing::Ok, 1, 0));
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
    stage.plan.slice = None;
    let cut = stage.run(true, None).await.unwrap_err();
    assert!(matches!(&cut, Cut::Later(why) if why.contains("13 times")), "{cut:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_was_cut_goes_on_with_the_piece_it_was_in() {
    let stage = stage();
    assert_eq!(stage.run(false, Some(25)).await.unwrap_err(), Cut::Stopped);
    let before = noted(&stage).run.unwrap();
    assert!(before.mode == Mode::Full && before.from.is_some() && before.slice.is_some(), "{before:?}");
    let asked = stage.server.asked.load(Ordering::SeqCst);
    let ended = stage.run(false, None).await.unwrap();
    assert_eq!((ended.standing, ended.passes, ended.watermark.is_some()), (Standing::Ok, 1, true));
    assert!(stage.server.asked.load(Ordering::SeqCst) - asked < 25, "it does not begin anew");
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

/// A server that knows no `lt`, and says nothing of it.
struct Deaf<'s>(&'s Played);

#[async_trait]
impl Ask for Deaf<'_> {
    async fn get(&self, target: &str) -> Result<Got, Trouble> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let heard: Vec<&str> = query.split('&').filter(|part| !part.starts_with("_lastUpdated=lt")).collect();
        self.0.get(&format!("{path}?{}", heard.join("&"))).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_keep_to_the_end_of_a_piece_is_found_out_at_its_first_page() {
    let stage = stage();
    let deaf = Deaf(&stage.server);
    let mut work = stage.work();
    work.ask = &deaf;
    let cut = work.once(false).await.unwrap_err();
    assert!(matches!(&cut, Cut::Person(why) if why.contains("leave that out")), "{cut:?}");
    assert_eq!(stage.server.asked.load(Ordering::SeqCst), 1);
}
