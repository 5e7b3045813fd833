//! A message's whole life in the store, across restarts, as the engine and people see it.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod stage;

use std::{fmt::Write as _, time::Duration};

use engine::{
    Act, Again, Ages, AnswerState, Arrival, Closed, Content, DeliveryState, Filling, History, Intervention,
    Kept, LateAnswer, MessageState, Outcome, Query, Reply, ReplyBody, Response, Store, Texts, Told, Why,
};
use stage::{CHANNEL, arrival, delivery, given_up, keep, processed, queue, sent};
use store::Sqlite;

fn open(folder: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(folder.path()).unwrap()
}

fn new_folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn a_message_lives_from_keep_to_sent_and_is_shown_whole() {
    let folder = new_folder();
    let store = open(&folder);
    let (message, id) = queue(&store, "A1", "record").await;
    store.begin(id, Some(serde_json::json!({ "length": 7 })), 0).await.unwrap();
    store.settle(id, sent("MSA|AA|A1")).await.unwrap();
    store.told(message, Told { state: AnswerState::Told, reply: Reply::of(Outcome::Accepted) });
    store.standing(message).await.unwrap();

    let shown = store.show(message).await.unwrap().unwrap();
    assert_eq!(shown.row.state, MessageState::Queued);
    assert_eq!(shown.row.outcome.as_deref(), Some("accepted"));
    assert_eq!(shown.row.answer, AnswerState::Told);
    assert_eq!(shown.row.deliveries[0].state, DeliveryState::Sent);
    assert_eq!(shown.keys, [("patient".to_owned(), "IPPA1".to_owned())]);
    assert_eq!(shown.body, Some(Content::from(&b"MSH|the body"[..])));
    assert_eq!(shown.payloads[0].response.as_deref(), Some(&b"MSA|AA|A1"[..]));
    assert_eq!(shown.payloads[0].body, shown.body);
}

#[tokio::test]
async fn a_restart_finds_what_was_open_waiting_and_begun() {
    let folder = new_folder();
    let store = open(&folder);
    let kept = keep(&store, "A1").await;
    let (_, waiting) = queue(&store, "A2", "record").await;
    let (_, begun) = queue(&store, "A3", "record").await;
    store.begin(begun, Some("note".into()), 0).await.unwrap();
    drop(store);

    let store = open(&folder);
    for starts in 1..3 {
        let found = store.interrupted(CHANNEL).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].message.id, found[0].starts), (kept, starts));
        assert_eq!(found[0].reading.keys, [("patient".to_owned(), "IPPA1".to_owned())]);
    }
    let found = store.waiting(CHANNEL, "record", None, 10).await.unwrap();
    let states: Vec<_> = found.iter().map(|found| (found.position.delivery, found.state)).collect();
    assert_eq!(states, [(waiting, DeliveryState::Waiting), (begun, DeliveryState::Unsure)]);
    assert_eq!(store.delivery(begun).await.unwrap().unwrap().note, Some("note".into()));
    assert!(store.next_message().0 > 3 && store.next_delivery().0 > 2);
    let page = store.waiting(CHANNEL, "record", Some(found[0].position), 10).await.unwrap();
    assert_eq!(page, found[1..]);
}

#[tokio::test]
async fn a_second_store_on_the_folder_is_told_who_holds_it() {
    let folder = new_folder();
    let store = open(&folder);
    let refused = Sqlite::open(folder.path()).err().unwrap().to_string();
    assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
    drop(store);
    open(&folder);
}

#[tokio::test]
async fn one_refused_command_spoils_no_other_of_its_commit() {
    let folder = new_folder();
    let store = open(&folder);
    let message = keep(&store, "A1").await;
    let taken = store.next_delivery();
    let first = processed(message, "A1", vec![delivery(taken, "record")]);
    store.queue(first).await.unwrap();
    let other = keep(&store, "A2").await;
    let third = keep(&store, "A3").await;
    let (free, none) = (store.next_delivery(), engine::DeliveryId(99));
    // The same delivery id twice breaks a constraint, in the middle of a commit with others.
    let (begun, doubled, queued, unknown) = tokio::join!(
        store.begin(taken, None, 0),
        store.queue(processed(other, "A2", vec![delivery(taken, "record")])),
        store.queue(processed(third, "A3", vec![delivery(free, "record")])),
        store.begin(none, None, 0),
    );
    begun.unwrap();
    queued.unwrap();
    assert!(doubled.is_err() && unknown.is_err());
    assert_eq!(store.trouble(), None);
    let standing = store.standing(other).await.unwrap().unwrap();
    assert_eq!(standing.state, MessageState::Kept, "nothing of a refused command stands");
    let waiting = store.waiting(CHANNEL, "record", None, 10).await.unwrap();
    assert_eq!(waiting.len(), 2);
}

#[tokio::test]
async fn messages_are_found_by_control_id_key_state_channel_and_page() {
    let folder = new_folder();
    let store = open(&folder);
    let (first, id) = queue(&store, "A1", "record").await;
    store.settle(id, given_up("refused: 422")).await.unwrap();
    let (second, _) = queue(&store, "A2", "archive").await;
    let third = keep(&store, "B1").await;
    let why = Why::ours("no PID-3");
    let closed = Closed::new(MessageState::Refused, Outcome::Refused, why);
    store.close(third, closed).await.unwrap();

    let find = async |query: Query| {
        let found = store.find(&Query { limit: 10, ..query }).await.unwrap();
        found.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let text = |text: &str| Query { text: Some(text.to_owned()), ..Query::default() };
    let state = |state: &str| Query { state: Some(state.to_owned()), ..Query::default() };
    assert_eq!(find(Query::default()).await, [third, second, first]);
    assert_eq!(find(text("A1")).await, [first]);
    assert_eq!(find(text("IPPB1")).await, [third]);
    assert_eq!(find(text("A*")).await, [second, first]);
    assert_eq!(find(text("A")).await, []);
    assert_eq!(find(state("refused")).await, [third]);
    assert_eq!(find(state("given_up")).await, [first]);
    assert_eq!(find(state("waiting")).await, [second]);
    assert_eq!(find(Query { before: Some(second), ..Query::default() }).await, [first]);
    assert_eq!(find(Query { channel: Some("other".to_owned()), ..Query::default() }).await, []);
    assert_eq!(find(Query { destination: Some("archive".to_owned()), ..Query::default() }).await, [second]);
    let elsewhere = Query { destination: Some("archive".to_owned()), ..state("given_up") };
    assert_eq!(find(elsewhere).await, []);
    assert!(store.find(&state("lost")).await.is_err(), "an unknown state is said, not found empty");

    let given_up = store.deliveries(&Query { limit: 10, ..state("given_up") }).await.unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].tally.why.as_deref(), Some("refused: 422"));
    assert_eq!(store.depths().await.unwrap(), [(CHANNEL.to_owned(), "archive".to_owned(), 1)]);
}

#[tokio::test]
async fn what_the_sender_was_told_stands_for_a_second_copy() {
    let folder = new_folder();
    let store = open(&folder);
    let message = keep(&store, "A1").await;
    let words = ReplyBody::From(b"MSA|AE"[..].to_vec().into());
    let reply = Reply { body: Some(words), ..Reply::because(Outcome::Refused, "record refused it") };
    store.told(message, Told { state: AnswerState::Told, reply });
    let reply = store.standing(message).await.unwrap().unwrap().reply.unwrap();
    assert_eq!(reply.outcome, Outcome::Refused);
    assert_eq!(reply.from.as_deref(), Some(&b"MSA|AE"[..]));
}

#[tokio::test]
async fn what_nobody_waits_for_is_written_when_the_store_is_let_go() {
    let folder = new_folder();
    let store = open(&folder);
    let message = keep(&store, "A1").await;
    store.told(message, Told { state: AnswerState::Untold, reply: Reply::of(Outcome::Accepted) });
    drop(store);
    let store = open(&folder);
    assert_eq!(store.show(message).await.unwrap().unwrap().row.answer, AnswerState::Untold);
}

#[tokio::test]
async fn a_copy_is_a_repeat_to_the_end_of_the_window_and_no_longer() {
    let folder = new_folder();
    let store = open(&folder);
    let mut first = arrival(store.next_message(), "A1", "body");
    first.message.received = stage::at(0);
    store.keep(vec![first]).await.unwrap();
    for (second, flags) in [(3600, vec!["repeat".to_owned()]), (7201, Vec::new())] {
        let mut copy = arrival(store.next_message(), "A1", "body");
        copy.message.received = stage::at(second);
        assert_eq!(store.keep(vec![copy]).await.unwrap(), [Kept::New(flags)]);
    }
}

#[tokio::test]
async fn a_batch_knows_its_own_repeats_and_is_kept_whole_or_not_at_all() {
    let folder = new_folder();
    let store = open(&folder);
    let (first, second) = (store.next_message(), store.next_message());
    let kept = store.keep(vec![arrival(first, "A1", "body"), arrival(second, "A1", "body")]).await.unwrap();
    assert_eq!(kept, [Kept::New(Vec::new()), Kept::New(vec!["repeat".to_owned()])]);
    let third = store.next_message();
    let refused = store.keep(vec![arrival(third, "A2", "body"), arrival(first, "A3", "body")]).await;
    assert!(refused.is_err());
    assert!(store.standing(third).await.unwrap().is_none());
}

#[tokio::test]
async fn forgetting_takes_old_content_and_leaves_what_waits_is_open_or_ended_badly() {
    let folder = new_folder();
    let store = open(&folder);
    let (done, id) = queue(&store, "A1", "record").await;
    store.settle(id, sent("AA")).await.unwrap();
    let (waits, _) = queue(&store, "A2", "record").await;
    let open_one = keep(&store, "A3").await;
    let (bad, id) = queue(&store, "A4", "record").await;
    store.settle(id, given_up("AE")).await.unwrap();
    let (now, later) = (Duration::ZERO, Duration::from_hours(1));

    let ages = Ages { content: now, errors: later, metadata: later };
    assert_eq!(store.forget(CHANNEL, ages).await.unwrap(), 1);
    assert_eq!(store.forget(CHANNEL, ages).await.unwrap(), 0);
    let shown = store.show(done).await.unwrap().unwrap();
    assert_eq!((shown.body, shown.keys.len(), shown.source.len()), (None, 0, 0));
    assert_eq!(shown.payloads[0].response, None);
    assert_eq!(shown.row.deliveries[0].state, DeliveryState::Sent);
    for kept in [waits, open_one, bad] {
        assert!(store.show(kept).await.unwrap().unwrap().body.is_some());
    }
    let by = |text: &str| Query { text: Some(text.to_owned()), limit: 10, ..Query::default() };
    assert_eq!(store.find(&by("IPPA1")).await.unwrap().len(), 0, "search keys go with the content");
    assert_eq!(store.find(&by("A1")).await.unwrap().len(), 1, "the control id stays");

    let all = Ages { content: now, errors: now, metadata: now };
    assert_eq!(store.forget(CHANNEL, all).await.unwrap(), 2);
    assert!(store.show(done).await.unwrap().is_none() && store.show(bad).await.unwrap().is_none());
    assert!(store.show(waits).await.unwrap().is_some() && store.show(open_one).await.unwrap().is_some());
    assert_eq!(store.find(&by("A1")).await.unwrap().len(), 0);
    let highest = (store.next_message(), store.next_delivery());
    drop(store);
    let store = open(&folder);
    assert!(store.next_message() >= highest.0 && store.next_delivery() >= highest.1, "no id is given twice");
}

#[tokio::test]
async fn forgetting_gives_the_space_back() {
    let folder = new_folder();
    let store = open(&folder);
    let mut noise = 1_u64;
    for number in 0..60 {
        // What packs badly.
        let mut body = String::new();
        while body.len() < 960_000 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            write!(body, "{:08x}", noise >> 32).unwrap();
        }
        let id = store.next_message();
        store.keep(vec![arrival(id, &format!("A{number}"), &body)]).await.unwrap();
        store.queue(processed(id, &format!("A{number}"), Vec::new())).await.unwrap();
    }
    drop(store);
    let store = open(&folder);
    let before = store.size();
    let age = Duration::ZERO;
    let forgotten = store.forget(CHANNEL, Ages { content: age, errors: age, metadata: age }).await.unwrap();
    assert_eq!(forgotten, 60);
    drop(store);
    let after = open(&folder).size();
    assert!(after < before / 2, "{before} bytes became {after}");
}

#[tokio::test]
async fn content_that_was_forgotten_is_not_sent_again_but_an_edited_one_is() {
    let folder = new_folder();
    let store = open(&folder);
    let (_, id) = queue(&store, "A1", "record").await;
    store.settle(id, sent("AA")).await.unwrap();
    let (now, later) = (Duration::ZERO, Duration::from_hours(1));
    store.forget(CHANNEL, Ages { content: now, errors: now, metadata: later }).await.unwrap();
    let resend = |body: Option<Content>| {
        let what = Act::Resend { to: None, body };
        store.intervene(Intervention { delivery: id, what, by: "ada".to_owned() })
    };
    let refused = resend(None).await.unwrap_err().to_string();
    assert!(refused.contains("no longer kept"), "{refused}");
    let again = resend(Some(Content::from("edited"))).await.unwrap().unwrap();
    let again = store.delivery(again.position.delivery).await.unwrap().unwrap();
    assert_eq!(again.body, Some(Content::from("edited")));
    let audit = store.audit(10).await.unwrap();
    assert_eq!(audit.len(), 1, "what was refused did not happen");
    assert_eq!((audit[0].by.as_str(), audit[0].what.as_str()), ("ada", "resend"));
}

#[tokio::test]
async fn a_version_is_kept_once_and_found_by_its_hash() {
    let folder = new_folder();
    let store = open(&folder);
    let hash = engine::Hash::of(&[b"version"]);
    keep(&store, "A1").await;
    assert_eq!(store.version(&hash.to_string()).await.unwrap(), None);
    store.remember(CHANNEL, hash, "name: lab").await.unwrap();
    store.remember(CHANNEL, hash, "another text").await.unwrap();
    assert_eq!(store.version(&hash.to_string()).await.unwrap().as_deref(), Some("name: lab"));
}

#[tokio::test]
async fn a_switch_stays_over_a_restart_and_stands_in_the_audit_log() {
    let folder = new_folder();
    let store = open(&folder);
    store.switch("hold lab/record", Some("held"), "ada").await.unwrap();
    store.switch("hold lab/archive", Some("held"), "ada").await.unwrap();
    store.switch("hold lab/archive", None, "bob").await.unwrap();
    drop(store);
    let store = open(&folder);
    assert_eq!(store.switches().await.unwrap(), [("hold lab/record".to_owned(), "held".to_owned())]);
    let audit = store.audit(10).await.unwrap();
    assert_eq!(
        (audit.len(), audit[0].by.as_str(), audit[0].subject.as_str()),
        (3, "bob", "hold lab/archive")
    );
}

#[tokio::test]
async fn a_filled_delivery_has_its_own_payload() {
    let folder = new_folder();
    let store = open(&folder);
    let message = keep(&store, "A1").await;
    let mut follower = delivery(store.next_delivery(), "record");
    follower.after = Some("archive".to_owned());
    let id = follower.id;
    store.queue(processed(message, "A1", vec![follower])).await.unwrap();
    assert_eq!(store.delivery(id).await.unwrap().unwrap().body, None);
    let texts = Texts::from([("name".to_owned(), "A1.hl7".to_owned())]);
    let filling = Filling { body: Some(Content::from("own")), texts: texts.clone(), inputs: None };
    store.fill(id, filling).await.unwrap();
    let filled = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((filled.body, filled.texts), (Some(Content::from("own")), texts));
}

#[tokio::test]
async fn late_answers_go_with_the_content_and_links_with_the_rest() {
    let folder = new_folder();
    let store = open(&folder);
    let (first, id) = queue(&store, "A1", "record").await;
    store.settle(id, sent("CA")).await.unwrap();
    let response = Response { body: Some("MSA|AE|A1".into()), ..Response::default() };
    store.answered_late(LateAnswer { delivery: id, response }).await.unwrap();
    let again = Again { message: first, by: "ada".to_owned() };
    let second = store.next_message();
    let arrival = Arrival { again: Some(again), ..arrival(second, "A1", "MSH|the body") };
    store.keep(vec![arrival]).await.unwrap();
    let shown = store.show(first).await.unwrap().unwrap();
    assert_eq!(shown.payloads[0].late[0].body.as_deref(), Some(b"MSA|AE|A1".as_slice()));
    assert_eq!((shown.row.state, shown.superseded_by), (MessageState::Superseded, Some(second)));
    assert_eq!(store.show(second).await.unwrap().unwrap().supersedes, [first]);

    let (now, later) = (Duration::ZERO, Duration::from_hours(1));
    store.forget(CHANNEL, Ages { content: now, errors: now, metadata: later }).await.unwrap();
    let shown = store.show(first).await.unwrap().unwrap();
    assert!(shown.payloads[0].late.is_empty(), "an answer may hold a patient");
    assert_eq!(shown.superseded_by, Some(second));
    store.forget(CHANNEL, Ages { content: now, errors: now, metadata: now }).await.unwrap();
    assert!(store.show(second).await.unwrap().unwrap().supersedes.is_empty());
}
