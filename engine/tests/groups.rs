//! Groups: members are kept and answered one by one, and run together once no more of them come, whatever breaks.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use engine::{Group, MessageState, Outcome, Plan, memory::Snapshot};
use stage::{Fault, News, Peer, Stage, When, is_quiet, outlet, plan};

/// A run is seldom under way at the same time as its members: short, since the clock of the store is the machine's.
const QUIET: Duration = Duration::from_millis(30);
const NEVER: Duration = Duration::from_hours(1000);

async fn stage_with(quiet: Duration, prepare: impl FnOnce(&stage::Flaky)) -> (Stage, Arc<Peer>) {
    let news = News::default();
    let record = Peer::new("record", &news);
    let group = Group { quiet, at_most: None };
    let plan = Plan { group: Some(group), ..plan(vec![outlet(&record)]) };
    (Stage::start_with(&news, plan, prepare).await, record)
}

/// Nothing waits for quiet, nothing is open and nothing in a queue.
fn is_over(snapshot: &Snapshot) -> bool {
    snapshot.groups.iter().all(|group| group.waits().is_none()) && is_quiet(snapshot)
}

/// The members of the last run of each group that arrived.
fn last_runs(record: &Peer) -> BTreeMap<String, BTreeSet<String>> {
    let mut last = BTreeMap::new();
    for body in record.took() {
        let [_, key, members] = body.split(' ').collect::<Vec<_>>()[..] else { panic!("{body} is no run") };
        last.insert(key.to_owned(), members.split('+').map(str::to_owned).collect());
    }
    last
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn members_are_answered_at_once_and_run_together_when_they_are_quiet() {
    let (stage, record) = stage_with(QUIET, |_| {}).await;
    for message in ["A in:1", "B in:2", "C in:1"] {
        assert_eq!(stage.receive(message).await.outcome, Outcome::Accepted);
        assert_eq!(stage.message(&message[..1]).state, MessageState::Queued);
    }
    stage.until("both groups have run", is_over).await;
    assert_eq!(
        last_runs(&record),
        BTreeMap::from([("1".into(), set(&["A", "C"])), ("2".into(), set(&["B"]))])
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_has_as_many_as_were_announced_runs_at_once_and_again_with_all_when_one_is_late() {
    let (stage, record) = stage_with(NEVER, |_| {}).await;
    stage.receive("A in:1 of:2").await;
    stage.receive("X in:2").await;
    assert_eq!(stage.receive("no group").await.outcome, Outcome::Refused);
    stage.receive("B in:1 of:2").await;
    stage.until("the first has run", |_| record.took().len() == 1).await;
    stage.receive("C in:1 of:2").await;
    stage.until("it has run again", |_| record.took().len() == 2).await;
    assert_eq!(record.took(), ["RUN 1 A+B", "RUN 1 A+B+C"]);
    let snapshot = stage.memory.snapshot();
    assert_eq!(snapshot.groups.iter().filter(|group| group.waits().is_some()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_sent_again_takes_the_place_of_the_first() {
    let (stage, record) = stage_with(NEVER, |_| {}).await;
    for message in ["A in:1 of:2", "A in:1 of:2", "B in:1 of:2"] {
        stage.receive(message).await;
    }
    stage.until("it has run", |_| !record.took().is_empty()).await;
    assert_eq!(record.took(), ["RUN 1 A+B"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_waits_while_its_channel_is_stopped_and_runs_while_it_is_paused() {
    let (stage, record) = stage_with(QUIET, |_| {}).await;
    stage.channel.halt("ada").await.unwrap();
    stage.receive("A in:1").await;
    stage.channel.pause("ada").await.unwrap();
    stage.until("it has run", is_over).await;
    assert_eq!(record.took(), ["RUN 1 A"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_quiet_waits_over_a_crash_and_runs_once() {
    let (mut stage, record) = stage_with(NEVER, |_| {}).await;
    stage.receive("A in:1").await;
    stage.receive("B in:1").await;
    stage.crash().await;
    stage.receive("C in:1 of:3").await;
    stage.until("it has run", |_| !record.took().is_empty()).await;
    stage.crash().await;
    stage.until("nothing waits", is_over).await;
    assert_eq!(last_runs(&record), BTreeMap::from([("1".to_owned(), set(&["A", "B", "C"]))]));
}

/// What is sent in each run.
const MESSAGES: [&str; 5] = ["A in:1", "B in:2", "C in:1", "D in:1", "E in:2"];

/// Sends all, and says which were accepted.
async fn play(stage: &Stage) -> Vec<(String, String)> {
    let mut accepted = Vec::new();
    for message in MESSAGES {
        if stage.receive(message).await.outcome == Outcome::Accepted {
            let (name, key) = message.split_once(" in:").unwrap();
            accepted.push((key.to_owned(), name.to_owned()));
        }
    }
    accepted
}

fn all_arrived(record: &Peer, accepted: &[(String, String)], what: &str) {
    let last = last_runs(record);
    for (key, name) in accepted {
        assert!(last.get(key).is_some_and(|members| members.contains(name)), "{name} is lost: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn whichever_write_fails_each_accepted_member_is_in_a_run_that_arrives() {
    for together in [false, true] {
        for (n, when) in (1..=24).flat_map(|n| [(n, When::Before), (n, When::After)]) {
            let (stage, record) = stage_with(QUIET, |store| {
                store.set(Fault::Once(n, when));
                if together {
                    store.keep_in_one_write();
                }
            })
            .await;
            let accepted = play(&stage).await;
            stage.until("all groups have run", is_over).await;
            all_arrived(&record, &accepted, &format!("write {n} {when:?} together {together}"));
            assert!(accepted.len() >= MESSAGES.len() - 1);
            stage.channel.stop(Duration::ZERO).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_whichever_write_the_process_dies_each_accepted_member_is_in_a_run_that_arrives() {
    for (n, when) in (1..=24).flat_map(|n| [(n, When::Before), (n, When::After)]) {
        let (mut stage, record) = stage_with(QUIET, |store| store.set(Fault::From(n, when))).await;
        let accepted = play(&stage).await;
        let store = Arc::clone(&stage.store);
        stage
            .until("it has come so far", |snapshot| store.writes().len() >= n as usize || is_over(snapshot))
            .await;
        stage.crash().await;
        let more = play(&stage).await;
        assert_eq!(more.len(), MESSAGES.len());
        stage.until("all groups have run", is_over).await;
        all_arrived(&record, &[accepted, more].concat(), &format!("write {n} {when:?}"));
        stage.channel.stop(Duration::ZERO).await;
    }
}
