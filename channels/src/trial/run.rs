//! Carries one message through the steps of a channel, with destinations that answer what the test says.

use std::{path::Path, sync::Arc, time::SystemTime};

use bytes::Bytes;
use engine::{
    Answered, CameBack, Content, Context, Ended, Expected, Facts, Goes, Halt, Inbound, Inputs, Judged,
    Message, MessageId, OnResponse, Outcome, Reply, ReplyWhen, Response, Route, RoutedPiece, SendError,
    routing,
};
use formats::hl7::batch;

use super::{Around, Batches, Trial, TrialOutlet, code, group};
use crate::tests_file::{ResponseFile, ResponseState, TestFile};

/// What became of a message.
#[derive(Default)]
pub(super) struct Ran {
    /// The name of its outcome, or `held`.
    pub(super) fared: &'static str,
    /// Why it is not accepted.
    pub(super) why: Option<String>,
    /// What the sender hears; `none` where nothing.
    pub(super) code: String,
    pub(super) left: Vec<Left>,
    /// What it asks, and whom it answers.
    pub(super) expected: Vec<Expected>,
}

impl Ran {
    /// How it fared and why, in one.
    pub(super) fn said(&self, why: &str) -> String {
        if why.starts_with(self.fared) { why.to_owned() } else { format!("{}: {why}", self.fared) }
    }
}

/// One payload that left for a destination.
pub(super) struct Left {
    pub(super) destination: String,
    pub(super) body: Content,
    /// The message it was made of, as it came.
    pub(super) of: Content,
    end: End,
}

/// How a delivery ended.
enum End {
    Sent(Response),
    Queued,
    GivenUp { code: Option<String>, response: Option<Response> },
}

/// Runs a test's message, or each message of its batch, in order. An error says why the test cannot run at all.
pub(super) fn run(trial: &Trial, test: &TestFile, around: &Around<'_>) -> Result<Vec<Ran>, String> {
    if trial.gathers {
        return group::run(trial, test, around).map(|ran| vec![ran]);
    }
    let bytes = Bytes::from(read(around.root, &test.message)?);
    let of_batch = match trial.batches {
        Batches::Whole => None,
        Batches::Split => batch::split(&bytes)
            .map_err(|error| format!("the batch in `{}` cannot be read: {error}", test.message))?,
    };
    let Some(batch) = of_batch else { return Ok(vec![run_one(trial, test, around, (0, bytes))?]) };
    if batch.messages.is_empty() {
        return Err(format!("the batch in `{}` holds no message", test.message));
    }
    let each = batch.messages.into_iter().map(|place| bytes.slice(place));
    (0..).zip(each).map(|one| run_one(trial, test, around, one)).collect()
}

fn run_one(
    trial: &Trial,
    test: &TestFile,
    around: &Around<'_>,
    (place, bytes): (u64, Bytes),
) -> Result<Ran, String> {
    match received(trial, test, &test.source, (place, bytes)) {
        Ok(message) => go(trial, test, around, (place, message)),
        Err(ran) => Ok(ran),
    }
}

/// Carries a message through the steps.
pub(super) fn go(
    trial: &Trial,
    test: &TestFile,
    around: &Around<'_>,
    (place, message): (u64, Message),
) -> Result<Ran, String> {
    Way { trial, test, around, message, place, context: None }.go()
}

/// The message as it is received; or what became of one that cannot be read.
pub(super) fn received(
    trial: &Trial,
    test: &TestFile,
    facts: &Facts,
    (place, bytes): (u64, Bytes),
) -> Result<Message, Ran> {
    let body = Content::from(bytes);
    let inbound = Inbound { body: body.clone(), facts: facts.clone().into(), ..Inbound::default() };
    let reading = match trial.script.read(&inbound) {
        Ok(reading) => reading,
        Err(unreadable) => {
            let reply = Reply::because(Outcome::Unreadable, unreadable.why.clone());
            let code = code::code(trial.speech, &trial.words, &reply, &body);
            let why = Some(unreadable.why);
            return Err(Ran { fared: Outcome::Unreadable.name(), why, code, ..Ran::default() });
        }
    };
    Ok(Message {
        id: MessageId(place + 1),
        identity: body.hash(),
        body,
        facts: Arc::new(facts.clone()),
        control_id: reading.control_id,
        received: test.at.map_or_else(SystemTime::now, |at| at.0.into()),
    })
}

/// One message on its way.
struct Way<'t> {
    trial: &'t Trial,
    test: &'t TestFile,
    around: &'t Around<'t>,
    message: Message,
    /// In its batch, from 0: no two messages have the same ids and random numbers.
    place: u64,
    context: Option<Context>,
}

impl Way<'_> {
    fn go(mut self) -> Result<Ran, String> {
        let context = self.new_context();
        let routed = self.route(&context);
        self.context = Some(context);
        match routed {
            Ok((routed, expected)) => {
                let (outcome, why) = self.outcome(&routed);
                let mut left = Vec::new();
                for part in &routed {
                    self.send(part, &mut left)?;
                }
                let reply = self.reply(outcome, &left)?;
                Ok(Ran { left, expected, ..self.ran(outcome.name(), why, &reply) })
            }
            Err(halt) => {
                let outcome = halt.outcome();
                let fared = if matches!(halt, Halt::Held(_)) { "held" } else { outcome.name() };
                let said = match &halt {
                    Halt::Held(_) => {
                        return Ok(self.ran(fared, Some(halt.to_string()), &Reply::of(outcome)));
                    }
                    Halt::Filtered { why } | Halt::Refused { why, .. } | Halt::Unavailable { why } => {
                        why.clone()
                    }
                    Halt::Failed { step, .. } => step.clone(),
                };
                let reply = Reply::because(outcome, said);
                Ok(self.ran(fared, Some(halt.to_string()), &reply))
            }
        }
    }

    fn ran(&self, fared: &'static str, why: Option<String>, reply: &Reply) -> Ran {
        let code = match self.trial.reply.when {
            ReplyWhen::Never => "none".to_owned(),
            ReplyWhen::Stored => {
                let accepted = Reply::of(Outcome::Accepted);
                code::code(self.trial.speech, &self.trial.words, &accepted, &self.message.body)
            }
            _ => code::code(self.trial.speech, &self.trial.words, reply, &self.message.body),
        };
        Ran { fared, why, code, ..Ran::default() }
    }

    /// With `at` everything a step may ask is pinned.
    fn new_context(&self) -> Context {
        let inputs = match self.test.at {
            Some(at) => Inputs::Pinned { at: at.0.into(), seed: self.place },
            None => Inputs::Live,
        };
        let facts = Arc::clone(&self.message.facts);
        let mut context = Context::new(Arc::clone(&self.trial.channel), self.message.id, facts, inputs);
        context.rows = Some(self.test.tables.clone());
        context
    }

    /// What goes where, and what the message asks and answers.
    fn route(&self, context: &Context) -> Result<(Vec<RoutedPiece>, Vec<Expected>), Halt> {
        let Trial { channel, script, expect, outlets, .. } = self.trial;
        let script = script.as_ref();
        let pieces = script.transform(&self.message, context)?;
        let route = |piece| routing::route(script, piece, outlets.len(), context);
        let routed: Vec<_> = pieces.into_iter().map(route).collect::<Result<_, _>>()?;
        if routing::outcome(&routed, outlets.len()) != Outcome::Accepted {
            return Ok((routed, Vec::new()));
        }
        let expectations = &self.around.expectations;
        let expected = expectations.expected((channel, script), expect.as_ref(), &routed, context)?;
        Ok((routed, expected))
    }

    fn outcome(&self, routed: &[RoutedPiece]) -> (Outcome, Option<String>) {
        let outcome = routing::outcome(routed, self.trial.outlets.len());
        let halts = routed.iter().filter_map(|part| part.piece.halt.as_ref());
        let why = halts.into_iter().find(|halt| halt.outcome() == outcome).map(ToString::to_string);
        (outcome, why)
    }

    /// Sends what goes at once, then what waited for it, for as long as something follows.
    fn send(&self, part: &RoutedPiece, left: &mut Vec<Left>) -> Result<(), String> {
        let first = left.len();
        let mut waiting = Vec::new();
        for Goes { outlet, leaving, .. } in &part.goes {
            match leaving {
                Some(leaving) => {
                    let body = leaving.body.as_ref().unwrap_or(&part.piece.body);
                    left.push(self.deliver(*outlet, body.clone())?);
                }
                None => waiting.push(*outlet),
            }
        }
        while let Some(place) = waiting.iter().position(|outlet| self.may_go(*outlet, &waiting)) {
            let outlet = waiting.remove(place);
            if let Some(body) = self.complete(part, outlet, &left[first..])? {
                left.push(self.deliver(outlet, body)?);
            }
        }
        Ok(())
    }

    /// Whether the one it waits for has had its turn.
    fn may_go(&self, outlet: usize, waiting: &[usize]) -> bool {
        let after = self.trial.outlets[outlet].after.as_deref();
        !waiting.iter().any(|other| Some(self.trial.outlets[*other].name.as_str()) == after)
    }

    /// What an outlet that waited sends; nothing if the other one was not sent, or its steps filter.
    fn complete(&self, part: &RoutedPiece, outlet: usize, left: &[Left]) -> Result<Option<Content>, String> {
        let after = self.trial.outlets[outlet].after.clone().unwrap_or_default();
        let chosen = part.goes.iter().any(|goes| self.trial.outlets[goes.outlet].name == after);
        let mut context = self.new_context();
        match left.iter().find(|left| left.destination == after).map(|left| &left.end) {
            Some(End::Sent(response)) => {
                context.responses.insert(after, answered(response));
            }
            Some(_) => return Ok(None),
            None if chosen => return Ok(None),
            None => {}
        }
        match self.trial.script.complete(&part.piece, outlet, &context) {
            Ok(Route::Goes(leaving)) => Ok(Some(leaving.body.unwrap_or_else(|| part.piece.body.clone()))),
            Ok(Route::Left | Route::Filtered | Route::Later(_)) => Ok(None),
            Err(halt) => Err(format!("`{}`: {halt}", self.trial.outlets[outlet].name)),
        }
    }

    /// The answer that the test gives in place of the destination, and what `on_response` makes of it.
    fn deliver(&self, outlet: usize, body: Content) -> Result<Left, String> {
        let TrialOutlet { name, on_response, .. } = &self.trial.outlets[outlet];
        let response = self.test.responses.get(name).cloned().unwrap_or_default();
        let result = came_back(&response, self.around.root)?;
        let end = end(&result);
        let end = if *on_response == OnResponse::Judges {
            let context = self.new_context();
            let came_back = CameBack { payload: &body, result: result.as_ref() };
            match self.trial.script.judge(&came_back, outlet, &context) {
                Ok(Some(judged)) => judge(judged, end),
                Ok(None) => end,
                Err(halt) => return Err(format!("`on_response` of `{name}`: {halt}")),
            }
        } else {
            end
        };
        Ok(Left { destination: name.clone(), body, of: self.message.body.clone(), end })
    }

    fn reply(&self, outcome: Outcome, left: &[Left]) -> Result<Reply, String> {
        if !outcome.is_positive() {
            return Ok(Reply::of(outcome));
        }
        match &self.trial.reply.when {
            ReplyWhen::Stored | ReplyWhen::Processed | ReplyWhen::Never => Ok(Reply::of(outcome)),
            ReplyWhen::Delivered => Ok(delivered(outcome, left)),
            ReplyWhen::From(name) => {
                let one = left.iter().find(|left| left.destination == *name);
                Ok(one.map_or_else(|| Reply::of(outcome), |left| from(outcome, left)))
            }
            ReplyWhen::Script => self.scripted(outcome, left),
        }
    }

    fn scripted(&self, outcome: Outcome, left: &[Left]) -> Result<Reply, String> {
        let ended: Vec<Ended> = left.iter().map(Left::ended).collect();
        let words = self.trial.script.reply(&self.message, &ended, &self.new_context());
        let words = words.map_err(|halt| format!("the reply: {halt}"))?;
        Ok(Reply { body: Some(engine::ReplyBody::Script(words)), ..delivered(outcome, left) })
    }
}

impl Left {
    fn ended(&self) -> Ended {
        let (state, response) = match &self.end {
            End::Sent(response) => ("sent", Some(response.clone())),
            End::Queued => ("queued", None),
            End::GivenUp { response, .. } => ("given_up", response.clone()),
        };
        Ended { destination: self.destination.clone(), state, response }
    }
}

pub(super) fn read(root: &Path, name: &str) -> Result<Vec<u8>, String> {
    std::fs::read(root.join(name)).map_err(|error| format!("cannot read `{name}`: {error}"))
}

fn came_back(file: &ResponseFile, root: &Path) -> Result<Result<Response, SendError>, String> {
    let body = match (&file.body, &file.file) {
        (Some(body), _) => Some(Bytes::from(body.clone())),
        (None, Some(name)) => Some(read(root, name)?.into()),
        (None, None) => None,
    };
    let why = file.why.clone().unwrap_or_else(|| "the test says so".into());
    Ok(match file.state {
        ResponseState::Sent => Ok(Response { body, facts: file.facts.clone() }),
        ResponseState::Refused => Err(SendError::Refused { why, code: file.code.clone(), response: body }),
        ResponseState::NotDelivered => Err(SendError::not_delivered(why)),
        ResponseState::Unknown => Err(SendError::unknown(why)),
    })
}

fn end(result: &Result<Response, SendError>) -> End {
    match result {
        Ok(response) => End::Sent(response.clone()),
        Err(SendError::Refused { code, response, .. }) => End::GivenUp {
            code: code.clone(),
            response: response.clone().map(|body| Response { body: Some(body), facts: Facts::new() }),
        },
        Err(SendError::NotDelivered { .. } | SendError::Unknown { .. }) => End::Queued,
    }
}

fn judge(judged: Judged, end: End) -> End {
    match (judged, end) {
        (Judged::Sent, End::Sent(response)) => End::Sent(response),
        (Judged::Sent, End::GivenUp { response, .. }) => End::Sent(response.unwrap_or_default()),
        (Judged::Sent, End::Queued) => End::Sent(Response::default()),
        (Judged::Retry(_), _) => End::Queued,
        (Judged::Refused(_), End::Sent(response)) => End::GivenUp { code: None, response: Some(response) },
        (Judged::Refused(_), End::GivenUp { code, response }) => End::GivenUp { code, response },
        (Judged::Refused(_), End::Queued) => End::GivenUp { code: None, response: None },
    }
}

fn answered(response: &Response) -> Answered {
    let body = response.body.as_ref().and_then(|body| String::from_utf8(body.to_vec()).ok());
    Answered { body, facts: response.facts.clone() }
}

fn delivered(outcome: Outcome, left: &[Left]) -> Reply {
    let refused = left.iter().find_map(|left| match &left.end {
        End::GivenUp { code, .. } => Some(code.clone()),
        End::Sent(_) | End::Queued => None,
    });
    match refused {
        Some(code) => given_up(code),
        None => Reply::of(outcome),
    }
}

fn from(outcome: Outcome, left: &Left) -> Reply {
    let body = |response: &Response| response.body.clone().map(engine::ReplyBody::From);
    match &left.end {
        End::Sent(response) => Reply { body: body(response), ..Reply::of(Outcome::Accepted) },
        End::Queued => Reply::of(outcome),
        End::GivenUp { code, response } => {
            Reply { body: response.as_ref().and_then(body), ..given_up(code.clone()) }
        }
    }
}

/// AR says "not for its content": where the receiver said so, so do we.
fn given_up(code: Option<String>) -> Reply {
    let code = code.filter(|code| matches!(code.as_str(), "AR" | "CR")).map(|_| "AR".to_owned());
    Reply { code, ..Reply::of(Outcome::Failed) }
}
