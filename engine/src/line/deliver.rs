//! Deliver: send, respond. Ends when the sender has its answer.

use std::sync::Arc;

use super::{
    Line,
    process::{Queued, Watched},
};
use crate::{
    Context, Ended, Inputs, Message, Outcome, QueueMode, Reply, ReplyBody, ReplyWhen, caller::Caller,
    outlet::Tried,
};

/// What the sender's wait brought.
pub(super) struct Sent {
    message: Message,
    outcome: Outcome,
    tried: Vec<(String, Tried)>,
}

impl Sent {
    /// As it stands by what is kept.
    pub(super) fn again(message: Message, outcome: Outcome, tried: Vec<(String, Tried)>) -> Self {
        Self { message, outcome, tried }
    }
}

impl Line {
    /// Waits for the outlets as long as the sender waits for us. They send whether or not somebody waits.
    pub(super) async fn send(&self, queued: Queued, caller: &Caller) -> Sent {
        caller.processed();
        let mut tried = Vec::with_capacity(queued.watched.len());
        for watched in queued.watched {
            let name = watched.outlet.name().to_owned();
            tried.push((name, self.first_try(watched, caller).await));
        }
        Sent { message: queued.message, outcome: queued.outcome, tried }
    }

    pub(super) fn respond(&self, sent: &Sent, caller: &mut Caller) {
        if caller.is_waiting() {
            caller.answer(self.choose(sent));
        }
    }

    async fn first_try(&self, watched: Watched, caller: &Caller) -> Tried {
        let Watched { outlet, position, mut tried } = watched;
        tokio::select! {
            biased;
            tried = &mut tried => return tried.unwrap_or(Tried::Queued),
            () = tokio::time::sleep_until(caller.deadline) => {}
        }
        if outlet.queue_mode() == QueueMode::Never {
            // The sender need not wait until that is written.
            self.tasks.spawn(async move { outlet.expire(position).await });
            return Tried::GivenUp { code: None, response: None };
        }
        Tried::Queued
    }

    /// The answer by what the channel promises its senders.
    pub(super) fn choose(&self, sent: &Sent) -> Reply {
        if !sent.outcome.is_positive() {
            return Reply::of(sent.outcome);
        }
        match &self.reply.when {
            ReplyWhen::From(name) => from(name, sent),
            ReplyWhen::Delivered => delivered(sent),
            ReplyWhen::Script => self.by_script(sent),
            ReplyWhen::Stored | ReplyWhen::Processed | ReplyWhen::Never => Reply::of(sent.outcome),
        }
    }

    fn by_script(&self, sent: &Sent) -> Reply {
        let ended: Vec<Ended> = sent.tried.iter().map(|(name, tried)| tried.ended(name)).collect();
        let facts = Arc::clone(&sent.message.facts);
        let context = Context::new(Arc::clone(&self.channel), sent.message.id, facts, Inputs::Live)
            .looking_into(Arc::clone(&self.directory));
        match self.pace.run(|| self.script.reply(&sent.message, &ended, &context)) {
            Ok(Ok(words)) => Reply { body: Some(ReplyBody::Script(words)), ..delivered(sent) },
            Ok(Err(_)) | Err(_) => Reply::because(Outcome::Failed, "the reply script failed"),
        }
    }
}

/// One destination's own answer; without one, that of `processed`.
fn from(name: &str, sent: &Sent) -> Reply {
    let Some((_, tried)) = sent.tried.iter().find(|(destination, _)| destination == name) else {
        return Reply::of(sent.outcome);
    };
    match tried {
        Tried::Sent(response) => {
            Reply { body: response.body.clone().map(ReplyBody::From), ..Reply::of(Outcome::Accepted) }
        }
        Tried::GivenUp { response: Some(response), code } if response.body.is_some() => Reply {
            body: response.body.clone().map(ReplyBody::From),
            code: code.clone(),
            ..Reply::because(Outcome::Refused, format!("{name} refused it"))
        },
        Tried::GivenUp { code, .. } => given_up(name, code.as_deref()),
        Tried::Queued | Tried::Dropped => Reply::of(sent.outcome),
    }
}

/// Refused if one was refused or given up; queued counts as accepted.
fn delivered(sent: &Sent) -> Reply {
    let refused = || {
        sent.tried.iter().filter_map(|(name, tried)| match tried {
            Tried::GivenUp { code, .. } => Some((name, code.as_deref())),
            Tried::Sent(_) | Tried::Queued | Tried::Dropped => None,
        })
    };
    // One that gave a code says more than one that followed it and was set aside.
    let telling = refused().find(|(_, code)| code.is_some()).or_else(|| refused().next());
    match telling {
        Some((name, code)) => given_up(name, code),
        None => Reply::of(sent.outcome),
    }
}

fn given_up(name: &str, code: Option<&str>) -> Reply {
    let why = match code {
        Some(code) => format!("{name} answered {code}"),
        None => format!("{name} did not take it"),
    };
    // AR says "not for its content": where the receiver said so, so do we.
    let code = code.filter(|code| matches!(*code, "AR" | "CR")).map(|_| "AR".to_owned());
    Reply { code, ..Reply::because(Outcome::Failed, why) }
}
