//! A story of a server, told day by day: what it changes, what fails on the way, and what is to be kept in the end.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::{KIND, Stage};
use crate::{
    annuaire::mock::{Deed, Event, Fault, FaultKind},
    sync::run::Cut,
};

const STORY: &str = include_str!("scenario.json");

fn time(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond()
}

fn put(stage: &Stage, event: &Value, at: i64) {
    let edition = event["content"].as_u64().map_or(0, |content| content as u32);
    let becomes = (edition, event["active"] == true);
    let times = (time(&event["source_lu"]), at);
    stage.server.annuaire().put(KIND, event["id"].as_str().unwrap(), becomes, times);
}

fn to(event: &Value, deed: Deed) -> Event {
    Event { ids: vec![event["id"].as_str().unwrap().to_owned()], ..Event::new(deed) }
}

/// Sets the faults of a run; says after how many answers it dies, if it does.
fn prepare(stage: &Stage, event: &Value) -> Option<i64> {
    let mut dies = None;
    for fault in event["faults"].as_array().into_iter().flatten() {
        let page = fault["page"].as_u64().unwrap();
        let kind = match fault["kind"].as_str().unwrap() {
            "502" => FaultKind::BadGateway,
            "truncated_200" => FaultKind::Truncated,
            "link_too_old_500" => FaultKind::LinkTooOld,
            "crash" | "crash_after_commit_of_page" => {
                dies = Some(page as i64);
                continue;
            }
            other => panic!("{other} is no fault of this story"),
        };
        let fault = Fault::at_page(kind, page, fault["times"].as_u64().unwrap());
        stage.server.annuaire().fail(fault, stage.server.now());
    }
    for event in event["during"].as_array().into_iter().flatten() {
        let after = stage.server.asked.load(Ordering::SeqCst) + event["after_page"].as_u64().unwrap();
        stage.server.during.lock().unwrap().push((after, to(event, Deed::Change)));
    }
    dies
}

/// What the server has is here as it is there; what the story says is gone is not, and what it names is there.
fn held_as_told(stage: &Stage, expected: &Value) {
    let held = stage.held();
    for (id, there) in stage.server.truth() {
        assert_eq!(held.get(&id), Some(&there), "{id}");
    }
    for (id, told) in expected.as_object().into_iter().flatten() {
        if told == "gone" {
            assert!(!held.contains_key(id), "{id} is still there");
            continue;
        }
        let (_, is_active) = held.get(id).unwrap_or_else(|| panic!("{id} is not there"));
        assert_eq!(*is_active, told[1] == true, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_story_ends_day_by_day_as_it_is_told() {
    let story: Value = serde_json::from_str(STORY).unwrap();
    let page = story["page_size"].as_u64().unwrap() as u32;
    let stage = Stage::new(0, page, 1);
    for event in story["events"].as_array().unwrap() {
        let at = time(&event["at"]);
        stage.server.clock.store(at, Ordering::SeqCst);
        match event["op"].as_str().unwrap() {
            "put" => put(&stage, event, at),
            "hard_delete" => stage.server.annuaire().happen(&to(event, Deed::Delete), at),
            "full_reload" => stage.server.annuaire().happen(&Event::new(Deed::Reload), at),
            "sync" => run(&stage, event).await,
            other => panic!("{other} is nothing that happens in this story"),
        }
    }
    assert_eq!(stage.held(), stage.server.truth());
    stage.told_once();
}

async fn run(stage: &Stage, event: &Value) {
    let told = || stage.gone.all.lock().unwrap().len();
    let before = (told(), stage.noted().passes);
    let wants_full = event["mode"] == "FULL";
    let dies = prepare(stage, event);
    let ended = stage.run(wants_full, dies).await;
    if dies.is_some() {
        assert_eq!(ended.unwrap_err(), Cut::Stopped);
        // The story goes on from a crash of a delta at once, and leaves a whole pass as it is.
        if !wants_full {
            stage.run(false, None).await.unwrap();
        }
    } else {
        ended.unwrap();
    }
    held_as_told(stage, &event["expect"]);
    if event["expect_mode"] == "FULL" {
        assert_eq!(stage.noted().passes, before.1 + 1, "after so long a gap everything is asked for");
    }
    let adds_nothing = |name: &str| event[name] == 0;
    if adds_nothing("expect_new_local_versions")
        || adds_nothing("expect_new_local_versions_caused_by_versionId_only")
    {
        assert_eq!(told(), before.0, "{}", event["at"]);
    }
    stage.told_once();
}
