//! Runs groups that are quiet: keeps a message of what their members brought, and carries it through the steps.
//!
//! It is the work of the task that takes up what a crash left. What is kept goes on as any message that was found open,
//! so a crash between two writes leaves nothing that is not known.

use std::{sync::Arc, time::SystemTime};

use super::Line;
use crate::{
    Closed, Gathered, Gathering, Inbound, Kept, Message, MessageState, Outcome, RunBody, Stop, StoreError,
    Why, WhyKind,
    caller::Caller,
    group::is_run,
    outlet::Outlet,
    recovery::{IsKept, Stranded},
};

/// How many groups, and how many of their members, are read at once.
const PAGE: usize = 500;

/// What the members of one group bring may be so much together.
const MOST: usize = 16 << 20;

/// A run about to be kept.
struct Run {
    inbound: Inbound,
    gathers: Gathered,
    /// Why it cannot be carried.
    too_much: Option<String>,
}

impl Line {
    /// Whether a message is a member of a group, and not the run of one.
    pub(super) fn is_member(&self, message: &Message) -> bool {
        self.group.is_some() && !is_run(&message.facts)
    }

    /// Runs the groups that are ripe, the oldest first, and says when to look again.
    pub(super) async fn run_ripe(&self, outlets: &[Arc<Outlet>], stop: &Stop) -> Result<(), StoreError> {
        let Some(group) = &self.group else { return Ok(()) };
        let now = SystemTime::now();
        let found = self.store.gatherings(&self.channel, group.ripe(now), PAGE).await?;
        for gathering in &found.ripe {
            // A message that is stranded goes first.
            if stop.is_requested() || self.recovery.is_shut() {
                break;
            }
            self.run_group(gathering, outlets).await?;
        }
        if !found.ripe.is_empty() {
            self.waking.joined();
        } else if let Some(next) = group.next(&found, SystemTime::now()) {
            self.waking.again(next);
        }
        Ok(())
    }

    async fn run_group(&self, gathering: &Gathering, outlets: &[Arc<Outlet>]) -> Result<(), StoreError> {
        let Run { inbound, gathers, too_much } = self.gather_members(gathering).await?;
        self.observer.received(&self.channel);
        let (mut arrival, unreadable) = self.enter(self.receive(inbound), None, &Caller::nobody());
        let id = arrival.message.id;
        arrival.gathers = Some(gathers);
        arrival.reading.keys.push(("group".to_owned(), gathering.key.clone()));
        arrival.answer = crate::Owed::NotOwed;
        let unreadable = unreadable.map(|why| Why::new(WhyKind::Unreadable, why));
        let closed = too_much.map(Why::ours).or(unreadable).map(failed);
        arrival.closed.clone_from(&closed);
        let message = arrival.message.clone();
        let kept = self.store.keep(vec![*arrival]).await.map(|mut kept| kept.remove(0));
        match (kept, closed) {
            (Ok(Kept::New(_)), Some(closed)) => {
                self.says_kept(&message);
                self.recovery.end(id, None);
                self.has_closed(id, &closed);
            }
            (Ok(Kept::New(_)), None) => {
                self.says_kept(&message);
                let kept = IsKept::Yes;
                self.take_up(Stranded { message, starts: 0, marks: 0, kept }, outlets).await;
            }
            (Ok(Kept::Again(_) | Kept::Other(_)), _) => {
                self.recovery.end(id, None);
                self.arrivals.leave(id);
            }
            (Err(error), _) => {
                self.recovery.end(id, None);
                self.recovery.strand(Stranded { message, starts: 0, marks: 0, kept: IsKept::Perhaps });
                return Err(error);
            }
        }
        Ok(())
    }

    /// Puts together what the members bring.
    async fn gather_members(&self, gathering: &Gathering) -> Result<Run, StoreError> {
        let Gathering { mark, key, runs, gone } = gathering;
        let mut body = RunBody::new(key, runs + 1, *gone);
        let (mut through, mut members, mut too_much) = (0, 0, None);
        loop {
            let page = self.store.members(&self.channel, *mark, through, PAGE).await?;
            let Some(last) = page.last() else { break };
            through = last.place;
            members += page.len();
            for member in &page {
                if body.len() + member.brings.len() > MOST {
                    too_much = Some(format!("more than {} MB", MOST >> 20));
                    break;
                }
                body.add(member);
            }
        }
        let too_much = too_much.map(|much| {
            format!("its {members} members bring {much} together: take less of each (`group.member`)")
        });
        let facts = Arc::new(gathering.facts(members));
        let inbound = Inbound { facts, ..Inbound::new(body.finish()) };
        Ok(Run { inbound, gathers: Gathered { mark: *mark, through }, too_much })
    }
}

fn failed(why: Why) -> Closed {
    Closed::new(MessageState::Failed, Outcome::Failed, why)
}
