//! Tests of what is said about changes, in scratch projects.

use std::fs;

use super::*;
use crate::{Options, load};

const CHANNEL: &str = r#"name: lab
source:
  mllp: { listen: "127.0.0.1:2575" }
reply: delivered
repeats: { do: answer_again, window: 24h }
destinations:
  - name: record
    to:
      mllp: { connect: "127.0.0.1:2701" }
    nack: { CE: retry }
keep: { content: 30d }
index: { accession: OBR-3 }
"#;

/// What is noted when `CHANNEL` becomes `now` while so many deliveries wait for `record`.
fn noted(now: &str, waiting: Option<u64>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("channels/lab.yaml");
    fs::create_dir(folder.path().join("channels")).unwrap();
    fs::write(&file, CHANNEL).unwrap();
    let before = in_force(&load(folder.path(), &Options::default()), waiting);
    fs::write(&file, now).unwrap();
    let project = load(folder.path(), &Options::default());
    assert!(project.is_sound(), "{:?}", project.faults);
    let told = |fault: &Fault| format!("{}: {}", fault.line, fault.diagnostic.message);
    losses(&project, &before).iter().map(told).collect()
}

fn in_force(project: &Project, waiting: Option<u64>) -> InForce {
    assert!(project.is_sound(), "{:?}", project.faults);
    let promises = |channel: &Channel| (channel.name.clone(), channel.promises.clone().unwrap());
    let waiting = waiting.map(|number| vec![("lab".to_owned(), "record".to_owned(), number)]);
    InForce { environment: None, channels: project.channels.iter().map(promises).collect(), waiting }
}

fn changed(from: &str, to: &str) -> String {
    assert!(CHANNEL.contains(from), "`{from}` is not in the channel");
    CHANNEL.replacen(from, to, 1)
}

#[track_caller]
fn assert_noted(now: &str, waiting: Option<u64>, notes: &[&str]) {
    assert_eq!(noted(now, waiting), notes);
}

#[test]
fn what_did_not_change_loses_nothing() {
    assert_noted(CHANNEL, Some(3), &[]);
    assert_noted(&changed("name: lab", "name: lab\ndescription: of the laboratory"), None, &[]);
}

#[test]
fn order_that_becomes_less_is_noted_at_its_line() {
    let none = changed("    nack", "    order: none\n    nack");
    assert_noted(&none, Some(0), &["10: `record`: order is lost: a message may overtake an older one"]);
    let key = changed("    nack", "    order: { key: PID-3.1 }\n    nack");
    assert_noted(
        &key,
        Some(2),
        &[
            "10: `record`: order holds within a key alone: a message may overtake an older one with another key; \
           2 deliveries that wait may be overtaken by newer ones of their key",
        ],
    );
}

#[test]
fn a_queue_that_is_removed_names_what_waits() {
    let never = changed("    nack", "    queue: never\n    nack");
    assert_noted(
        &never,
        Some(1),
        &["10: `record`: nothing waits any more: what cannot be delivered at once is given up, \
           1 delivery that waits among it"],
    );
}

#[test]
fn a_destination_that_goes_is_noted_only_while_something_may_wait_for_it() {
    let gone = changed("- name: record", "- name: other").replace("2701", "2702");
    assert_noted(&gone, Some(0), &[]);
    assert_noted(&gone, Some(3), &["6: `record` is gone: 3 deliveries stay, detached and unsent"]);
    assert_noted(&gone, None, &["6: `record` is gone: what waits stays, detached and unsent"]);
}

#[test]
fn a_destination_under_another_name_is_known_by_where_it_goes() {
    let renamed = changed("- name: record", "- name: ehr");
    assert_noted(
        &renamed,
        Some(3),
        &["7: `record` is called `ehr` now: 3 deliveries stay under the old name, unsent"],
    );
}

#[test]
fn what_waits_for_a_place_that_moved_goes_there() {
    let moved = changed("2701", "2799");
    assert_noted(&moved, Some(0), &[]);
    assert_noted(
        &moved,
        Some(2),
        &["8: `record`: 2 deliveries that wait go to mllp 127.0.0.1:2799 now, not to mllp 127.0.0.1:2701"],
    );
}

#[test]
fn an_answer_that_says_less_is_noted() {
    assert_noted(
        &changed("reply: delivered", "reply: stored"),
        Some(0),
        &["4: the sender hears yes before the steps have run, also of what is refused, fails or is given up"],
    );
    assert_eq!(noted(&changed("reply: delivered", "reply: never"), Some(0)).len(), 1);
    assert_eq!(noted(&changed("reply: delivered\n", ""), Some(0)).len(), 1);
}

#[test]
fn limits_that_become_lower_are_noted() {
    let retry = changed("    nack", "    retry: { attempts: 3, for: 1h }\n    nack");
    assert_noted(
        &retry,
        Some(0),
        &[
            "10: `record`: given up after 3 attempts (it was unlimited)",
            "10: `record`: given up after 1h (it was unlimited)",
        ],
    );
    let nack = changed("CE: retry", "CE: give_up");
    assert_noted(&nack, Some(0), &["10: `record`: what the receiver answers CE to is given up at once"]);
}

#[test]
fn what_is_kept_and_known_for_a_shorter_time_is_noted() {
    let notes = noted(&changed("content: 30d", "content: 7d, errors: 1d12h"), Some(0));
    assert_eq!(notes.len(), 2);
    assert!(notes[0].contains("forgotten after 7d, no longer after 30d"), "{notes:?}");
    assert!(notes[1].contains("forgotten after 1d12h, no longer after 90d"), "{notes:?}");
    assert_noted(
        &changed("window: 24h", "window: 1h"),
        Some(0),
        &["5: a copy that comes after 1h (it was 1d) has a second effect"],
    );
    assert_eq!(noted(&changed("answer_again", "accept"), Some(0)).len(), 1);
    assert_eq!(noted(&changed("index: { accession: OBR-3 }\n", ""), Some(0)).len(), 1);
}

#[test]
fn an_address_that_moves_is_noted() {
    assert_noted(
        &changed("2575", "2576"),
        Some(0),
        &["3: nobody listens on 127.0.0.1:2575 any more: its senders cannot connect"],
    );
}

#[test]
fn a_channel_that_goes_or_is_called_otherwise_is_noted() {
    assert_noted(
        &changed("name: lab", "name: labor"),
        Some(2),
        &["1: `lab` is called `labor` now: 2 deliveries stay under the old name, unsent, \
           and copies of what it took are not known"],
    );
    let notes = noted(&changed("name: lab", "name: lab\nenabled: false"), Some(2));
    assert_eq!(notes, ["2: it takes nothing any more, and 2 deliveries that wait stay unsent"]);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("channels")).unwrap();
    fs::write(folder.path().join("channels/lab.yaml"), CHANNEL).unwrap();
    let before = in_force(&load(folder.path(), &Options::default()), Some(1));
    fs::remove_file(folder.path().join("channels/lab.yaml")).unwrap();
    let notes = losses(&load(folder.path(), &Options::default()), &before);
    assert_eq!(notes[0].place(), "channels/lab.yaml:1:1");
    assert_eq!(
        notes[0].diagnostic.message,
        "the channel `lab` is in no file any more: 1 delivery stays, unsent"
    );
}

#[test]
fn what_is_in_force_outlives_its_json() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("channels")).unwrap();
    fs::write(folder.path().join("channels/lab.yaml"), CHANNEL).unwrap();
    let before = in_force(&load(folder.path(), &Options::default()), Some(1));
    let text = serde_json::to_string(&before).unwrap();
    assert_eq!(serde_json::from_str::<InForce>(&text).unwrap(), before);
}

#[test]
fn a_channel_that_runs_no_groups_any_more_leaves_those_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("channels/lab.yaml");
    fs::create_dir(folder.path().join("channels")).unwrap();
    let plain = CHANNEL.replace("reply: delivered\n", "");
    let grouped = |by: &str| format!("{plain}group: {{ by: {by}, quiet: 5s }}\n");
    let noted = |before: &str, now: &str| {
        fs::write(&file, before).unwrap();
        let before = in_force(&load(folder.path(), &Options::default()), None);
        fs::write(&file, now).unwrap();
        let project = load(folder.path(), &Options::default());
        losses(&project, &before).iter().map(|fault| fault.diagnostic.message.clone()).collect::<Vec<_>>()
    };
    assert!(noted(&grouped("OBR-3"), &plain)[0].contains("not run any more"));
    assert!(noted(&grouped("OBR-3"), &grouped("OBR-2"))[0].contains("do not join"));
    assert!(noted(&plain, &grouped("OBR-2")).is_empty());
}
