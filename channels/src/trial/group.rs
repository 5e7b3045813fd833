//! Tests of a channel with `group:`: its members join, and their group is run once.

use bytes::Bytes;
use engine::{Context, Inputs, Joins, Member, Message, MessageId, Outcome, Reply, RunBody, facts_of_run};

use super::{
    Around, Trial, code,
    run::{Ran, go, read, received},
};
use crate::tests_file::TestFile;

pub(super) fn run(trial: &Trial, test: &TestFile, around: &Around<'_>) -> Result<Ran, String> {
    let mut joined: Vec<(Message, Joins)> = Vec::new();
    for (place, file) in (0..).zip(std::iter::once(&test.message).chain(&test.members)) {
        let bytes = Bytes::from(read(around.root, file)?);
        let message = match received(trial, test, &test.source, (place, bytes)) {
            Ok(message) => message,
            Err(ran) => return Ok(ran),
        };
        let facts = std::sync::Arc::clone(&message.facts);
        let context = Context::new(std::sync::Arc::clone(&trial.channel), message.id, facts, Inputs::Live);
        match trial.script.joins(&message, &context) {
            Ok(joins) => joined.push((message, joins)),
            Err(halt) => {
                let reply = Reply::because(halt.outcome(), halt.to_string());
                let code = code::code(trial.speech, &trial.words, &reply, &message.body);
                let why = Some(halt.to_string());
                return Ok(Ran { fared: halt.outcome().name(), why, code, ..Ran::default() });
            }
        }
    }
    let (first, Joins { key, .. }) = &joined[0];
    if joined.iter().any(|(_, joins)| joins.key != *key) {
        return Err("its messages are of several groups; a test is of one".to_owned());
    }
    let accepted = code::code(trial.speech, &trial.words, &Reply::of(Outcome::Accepted), &first.body);
    let run = run_of(trial, test, &joined)?;
    let ran = go(trial, test, around, (joined.len() as u64, run))?;
    // Its members are answered before it is run.
    Ok(Ran { code: accepted, ..ran })
}

/// The message that the group is run with.
fn run_of(trial: &Trial, test: &TestFile, joined: &[(Message, Joins)]) -> Result<Message, String> {
    let key = &joined[0].1.key;
    let mut body = RunBody::new(key, 1, 0);
    for (message, joins) in joined {
        let received = jiff::Timestamp::try_from(message.received).map_err(|error| error.to_string())?;
        body.add(&Member {
            place: message.id.0,
            message: MessageId(message.id.0),
            received: format!("{received:.3}"),
            brings: joins.brings.clone(),
        });
    }
    let mut facts = test.source.clone();
    facts.extend(facts_of_run(key, joined.len()));
    received(trial, test, &facts, (joined.len() as u64, body.finish().into()))
        .map_err(|ran| ran.why.unwrap_or_default())
}
