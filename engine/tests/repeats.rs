//! The same message twice: what the second copy hears, and what it does.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod stage;

use std::{sync::Arc, time::Duration};

use engine::{
    Again, Answer, Hash, Inbound, MessageState, OtherBytes, Outcome, Plan, QueueMode, Repeats, ReplyBody,
    ReplyWhen, Why,
};
use stage::{News, Peer, Stage, When, answering_again, inbound, outlet, plan, replying};

/// `archive` and `record`, with a plan set up as the test needs it.
async fn two(set: impl FnOnce(Plan) -> Plan) -> (Stage, Arc<Peer>, Arc<Peer>) {
    let news = News::default();
    let [archive, record] = ["archive", "record"].map(|name| Peer::new(name, &news));
    let plan = set(plan(vec![outlet(&archive), outlet(&record)]));
    (Stage::start(&news, plan).await, archive, record)
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_processed_with_an_identity_of_its_own_and_flagged() {
    let (stage, archive, _record) = two(|plan| plan).await;
    stage.receive("A").await;
    stage.receive("A").await;
    stage.receive("A other").await;
    stage.quiet().await;
    let flags: Vec<Vec<String>> = stage.messages("A").into_iter().map(|stored| stored.flags).collect();
    assert_eq!(flags, [vec![], vec!["repeat".to_owned()], vec!["same-id-other-bytes".to_owned()]]);
    assert_eq!(archive.took(), ["A", "A", "A other"]);
    let effects: Vec<Hash> = archive.sends().iter().map(|sent| sent.effect).collect();
    assert_ne!(effects[0], effects[1]);
    assert_ne!(effects[1], effects[2]);
}

#[tokio::test(start_paused = true)]
async fn without_a_control_id_nothing_is_a_repeat() {
    let (stage, archive, _record) = two(answering_again).await;
    stage.receive("- A").await;
    stage.receive("- A").await;
    stage.quiet().await;
    assert_eq!(archive.took().len(), 2);
    assert!(stage.memory.snapshot().messages.iter().all(|stored| stored.flags.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_what_was_accepted_is_answered_again_with_no_second_effect() {
    let (mut stage, archive, _record) = two(answering_again).await;
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    stage.crash().await;
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(archive.tried(), ["A"]);
    assert_eq!(stage.messages("A").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_answer_a_crash_lost_sends_again_without_a_second_effect() {
    for write in ["queue", "nothing"] {
        let (mut stage, archive, _record) = two(|plan| plan).await;
        stage.store.fail_each(write, When::After);
        let answer = stage.channel.inlet().receive(inbound("A")).await;
        // A store that cannot write does not note what the sender heard.
        stage.store.die();
        answer.told();
        stage.crash().await;
        assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
        stage.quiet().await;
        assert_eq!(archive.took(), ["A"], "{write}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_words_a_destination_chose_are_told_again() {
    let from = ReplyWhen::From("record".to_owned());
    let (mut stage, _archive, record) = two(|plan| replying(from, answering_again(plan))).await;
    let first = stage.receive("A").await;
    assert_eq!(first.body, Some(ReplyBody::From("ok A".into())));
    assert_eq!(stage.receive("A").await, first);
    stage.restart().await;
    assert_eq!(stage.receive("A").await, first);
    assert_eq!(record.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn same_id_with_other_bytes_is_always_processed() {
    let (stage, archive, _record) = two(answering_again).await;
    stage.receive("A").await;
    assert_eq!(stage.receive("A other").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(archive.took(), ["A", "A other"]);
    assert_eq!(stage.messages("A")[1].flags, ["same-id-other-bytes"]);
}

#[tokio::test(start_paused = true)]
async fn other_bytes_under_a_known_name_are_kept_and_refused_until_a_person_runs_them() {
    for reply in [ReplyWhen::Processed, ReplyWhen::Stored] {
        let (stage, archive, _record) = two(|plan| {
            let repeats = Repeats { others: OtherBytes::Refuse, ..plan.repeats };
            replying(reply.clone(), Plan { repeats, ..plan })
        })
        .await;
        // What was refused takes no name.
        stage.receive("A refuse").await;
        stage.quiet().await;
        let heard = [stage.receive("A").await, stage.receive("A other").await, stage.receive("A").await];
        stage.quiet().await;
        assert_eq!(
            heard.map(|reply| reply.outcome),
            [Outcome::Accepted, Outcome::Refused, Outcome::Accepted],
            "{reply:?}"
        );
        assert_eq!(archive.took(), ["A", "A"]);
        let stored = &stage.messages("A")[2];
        assert_eq!(
            (stored.state, &*stored.flags),
            (MessageState::Refused, &["same-id-other-bytes".to_owned()][..])
        );
        let again = Again { message: stored.message.id, by: "ada".to_owned() };
        let inbound = Inbound { again: Some(again), ..inbound("A other") };
        let answer = stage.channel.inlet().receive(inbound).await;
        assert_eq!(answer.reply.outcome, Outcome::Accepted);
        answer.told();
        stage.quiet().await;
        assert_eq!(archive.took(), ["A", "A", "A other"]);
    }
}

#[tokio::test(start_paused = true)]
async fn another_patient_in_a_known_study_is_kept_and_refused_until_a_person_runs_one() {
    for reply in [ReplyWhen::Processed, ReplyWhen::Stored] {
        let (stage, archive, _record) = two(|plan| {
            let repeats = Repeats { others: OtherBytes::Refuse, ..plan.repeats };
            replying(reply.clone(), Plan { repeats, ..plan })
        })
        .await;
        // What was refused says nothing of whose a study is, nor does what names no patient.
        for (message, outcome) in [
            ("A study:1/eve refuse", Outcome::Refused),
            ("B", Outcome::Accepted),
            ("C study:1/anna", Outcome::Accepted),
            ("D study:2/eve", Outcome::Accepted),
            ("E study:1/eve", Outcome::Refused),
            ("F study:1/anna", Outcome::Accepted),
        ] {
            let heard = stage.receive(message).await.outcome;
            stage.quiet().await;
            let heard = if message.ends_with("refuse") { Outcome::Refused } else { heard };
            assert_eq!(heard, outcome, "{message}, {reply:?}");
        }
        let stored = &stage.messages("E")[0];
        let flags = ["same-study-other-patient".to_owned()];
        assert_eq!((stored.state, &*stored.flags), (MessageState::Refused, &flags[..]));
        let again = Again { message: stored.message.id, by: "ada".to_owned() };
        let inbound = Inbound { again: Some(again), ..inbound("E study:1/eve") };
        let answer = stage.channel.inlet().receive(inbound).await;
        assert_eq!(answer.reply.outcome, Outcome::Accepted);
        answer.told();
        // From here on the study is known as of both.
        for message in ["G study:1/eve", "H study:1/anna"] {
            assert_eq!(stage.receive(message).await.outcome, Outcome::Accepted, "{message}");
        }
        assert_eq!(stage.receive("I study:1/maria").await.outcome, Outcome::Refused);
        stage.quiet().await;
        assert_eq!(archive.took().len(), 7, "{:?}", archive.took());
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_refused_another_patient_is_flagged() {
    let (stage, archive, _record) = two(|plan| plan).await;
    for message in ["A study:1/anna", "B study:1/eve", "C study:1/eve"] {
        assert_eq!(stage.receive(message).await.outcome, Outcome::Accepted);
    }
    stage.quiet().await;
    assert_eq!(archive.took().len(), 3);
    let flags = ["A", "B", "C"].map(|name| stage.messages(name)[0].flags.len());
    assert_eq!(flags, [0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn outside_the_window_nothing_is_a_repeat() {
    let (stage, archive, _record) = two(|plan| {
        let plan = answering_again(plan);
        Plan { repeats: Repeats { window: Duration::ZERO, ..plan.repeats }, ..plan }
    })
    .await;
    stage.receive("A").await;
    stage.receive("A").await;
    stage.quiet().await;
    assert_eq!(archive.took(), ["A", "A"]);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_one_under_way_waits_for_its_answer() {
    let (stage, archive, record) = two(|plan| replying(ReplyWhen::Delivered, answering_again(plan))).await;
    record.answers([stage::Answer::Nack("AE")]);
    record.shut();
    let first = stage.send("A");
    stage.news.until("it is sent", || record.tried().len() == 1).await;
    let mut second = stage.send("A");
    let early = tokio::time::timeout(Duration::from_secs(1), &mut second).await;
    assert!(early.is_err(), "it was answered before the first: {early:?}");
    record.open();
    let first = first.await.unwrap();
    assert_eq!(first.outcome, Outcome::Failed);
    assert_eq!(second.await.unwrap(), first);
    assert_eq!((archive.tried().len(), record.tried().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_what_was_refused_is_processed_anew() {
    let (stage, _archive, _record) = two(answering_again).await;
    for message in ["A refuse", "B break"] {
        let first = stage.receive(message).await;
        let second = stage.receive(message).await;
        assert_eq!(first, second);
        assert_eq!(stage.messages(&message[..1]).len(), 2, "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_first_copy_did_deliver_is_not_sent_twice() {
    let (stage, archive, record) = two(|plan| replying(ReplyWhen::Delivered, answering_again(plan))).await;
    record.answers([stage::Answer::Nack("AE")]);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(record.tried(), ["A", "A"], "what was refused is tried again");
    assert_eq!(archive.tried(), ["A"], "what was delivered is not");
    let all = stage.memory.snapshot().deliveries;
    let archived: Vec<_> = all.iter().filter(|stored| stored.destination == "archive").collect();
    let why = format!(
        "its effect is that of delivery {} of message {}, an earlier copy",
        archived[0].id.0, archived[0].message
    );
    assert_eq!(archived[1].why, Some(Why::ours(why)), "and it is told why");
}

#[tokio::test(start_paused = true)]
async fn what_still_waits_of_the_first_copy_is_not_sent_twice() {
    let (stage, archive, record) = two(|plan| replying(ReplyWhen::Delivered, answering_again(plan))).await;
    archive.answers([stage::Answer::Nack("AE")]);
    stage.channel.hold("record", "anna").await.unwrap();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    stage.channel.release("record", "anna").await.unwrap();
    stage.quiet().await;
    assert_eq!(record.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_one_under_way_without_a_queue_is_not_told_that_it_is_safe() {
    let (stage, _archive, record) = two(|plan| {
        let mut plan = replying(ReplyWhen::Delivered, answering_again(plan));
        plan.outlets.iter_mut().for_each(|outlet| outlet.queue = QueueMode::Never);
        plan
    })
    .await;
    record.shut();
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    record.open();
    stage.quiet().await;
    assert_eq!(record.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_one_that_a_person_must_look_at_is_not_told_that_it_is_safe() {
    let (stage, _archive, record) = two(|plan| {
        let mut plan = replying(ReplyWhen::Delivered, answering_again(plan));
        plan.outlets.iter_mut().for_each(|outlet| outlet.when_unsure = Some(engine::WhenUnsure::Hold));
        plan
    })
    .await;
    record.answers([stage::Answer::Doubt]);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Failed);
    stage.quiet().await;
    assert_eq!(record.tried(), ["A"], "what may have arrived waits for a person");
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_takes_the_place_of_one_that_nobody_has_taken_up() {
    for again in [false, true] {
        let (stage, archive, _record) = two(|plan| if again { answering_again(plan) } else { plan }).await;
        stage.store.fail_each("queue", When::Before);
        assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
        assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
        stage.store.mend();
        stage.quiet().await;
        let states: Vec<MessageState> = stage.messages("A").iter().map(|stored| stored.state).collect();
        assert_eq!(states, [MessageState::Superseded, MessageState::Queued]);
        assert_eq!(archive.tried(), ["A"]);
        assert_eq!(stage.messages("A")[1].flags, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_of_one_taken_up_since_hears_its_outcome() {
    for again in [false, true] {
        let (stage, archive, _record) = two(|plan| if again { answering_again(plan) } else { plan }).await;
        stage.store.fail_each("queue", When::Before);
        assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
        stage.store.mend();
        stage.quiet().await;
        assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
        stage.quiet().await;
        assert_eq!(archive.tried(), ["A"]);
        assert_eq!(stage.messages("A").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_of_one_queued_by_a_write_that_seemed_to_fail_hears_its_outcome() {
    let (stage, archive, _record) = two(|plan| plan).await;
    stage.store.fail_each("queue", When::After);
    let first = stage.send("A");
    stage.until("the first is queued", |snapshot| !snapshot.deliveries.is_empty()).await;
    let second = stage.send("A");
    assert_eq!(first.await.unwrap().outcome, Outcome::Unavailable);
    assert_eq!(second.await.unwrap().outcome, Outcome::Accepted);
    assert_eq!(stage.receive("B").await.outcome, Outcome::Unavailable);
    stage.store.mend();
    stage.quiet().await;
    assert_eq!(archive.tried(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_takes_a_place_has_effects_of_its_own_where_an_older_one_was_accepted() {
    let (stage, archive, _record) = two(|plan| plan).await;
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    stage.store.fail_each("queue", When::Before);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
    stage.store.mend();
    stage.quiet().await;
    let effects: Vec<Hash> = archive.sends().iter().map(|sent| sent.effect).collect();
    assert_eq!(effects.len(), 2);
    assert_ne!(effects[0], effects[1]);
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_that_comes_while_the_first_is_taken_up_hears_its_outcome() {
    let (stage, archive, _record) = two(|plan| plan).await;
    stage.store.fail_each("queue", When::Before);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
    stage.store.mend();
    stage.store.catch("queue");
    stage.news.until("it is taken up", || stage.store.has_caught()).await;
    let mut second = stage.send("A");
    let early = tokio::time::timeout(Duration::from_secs(1), &mut second).await;
    assert!(early.is_err(), "it was answered before the first: {early:?}");
    stage.store.let_go();
    assert_eq!(second.await.unwrap().outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(archive.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_after_the_restart_hears_the_outcome_or_takes_its_place() {
    let (mut stage, archive, _record) = two(|plan| plan).await;
    stage.store.fail_each("queue", When::Before);
    assert_eq!(stage.receive("A").await.outcome, Outcome::Unavailable);
    stage.crash().await;
    assert_eq!(stage.receive("A").await.outcome, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(archive.tried(), ["A"]);
}

#[tokio::test(start_paused = true)]
async fn what_one_of_our_own_channels_sends_twice_is_taken_once() {
    let (stage, archive, _record) = two(|plan| plan).await;
    let send = async || {
        let mut fed = inbound("- A");
        fed.effect = Some(Hash::of(&[b"an effect"]));
        let answer: Answer = stage.channel.inlet().receive(fed).await;
        let outcome = answer.reply.outcome;
        answer.told();
        outcome
    };
    assert_eq!(send().await, Outcome::Accepted);
    assert_eq!(send().await, Outcome::Accepted);
    stage.quiet().await;
    assert_eq!(archive.tried(), ["- A"]);
}

#[tokio::test(start_paused = true)]
async fn many_copies_at_once_have_one_effect() {
    let (stage, archive, _record) = two(answering_again).await;
    let copies: Vec<_> = (0..20).map(|_| stage.send("A")).collect();
    for copy in copies {
        assert_eq!(copy.await.unwrap().outcome, Outcome::Accepted);
    }
    stage.quiet().await;
    assert_eq!(archive.tried(), ["A"]);
}
