//! Groups: who joined them, and how far their runs reach.

use std::time::SystemTime;

use super::state::State;
use crate::{Gathered, Gathering, Gatherings, Hash, Joins, Member, MessageId, Ripe};

/// One group.
#[derive(Debug, Clone, Default)]
pub struct StoredGroup {
    pub key: String,
    pub members: Vec<StoredMember>,
    /// The members up to this place have been in a run.
    pub through: u64,
    pub runs: Vec<MessageId>,
    pub expected: Option<u64>,
}

/// One member.
#[derive(Debug, Clone)]
pub struct StoredMember {
    pub place: u64,
    pub message: MessageId,
    pub received: SystemTime,
    pub brings: String,
    /// What its sender calls it: one of the same name takes its place.
    name: Option<(String, String)>,
}

impl StoredGroup {
    /// When the first and the last member came that no run has had.
    pub fn waits(&self) -> Option<(SystemTime, SystemTime)> {
        let fresh = || self.members.iter().filter(|member| member.place > self.through);
        let first = fresh().map(|member| member.received).min()?;
        Some((first, fresh().map(|member| member.received).max()?))
    }

    fn is_ripe(&self, ripe: Ripe) -> bool {
        let Some((first, last)) = self.waits() else { return false };
        last <= ripe.last
            || ripe.first.is_some_and(|before| first <= before)
            || self.expected.is_some_and(|expected| self.members.len() as u64 >= expected)
    }
}

impl State {
    pub(super) fn join(&mut self, id: MessageId, joins: Option<Joins>) {
        let (Some(joins), Some(stored)) = (joins, self.messages.get(&id)) else { return };
        self.places += 1;
        let name = stored.reading.control_id.clone().map(|name| (stored.reading.sender.clone(), name));
        let member = StoredMember {
            place: self.places,
            message: id,
            received: stored.message.received,
            brings: joins.brings.clone(),
            name,
        };
        let messages = &self.messages;
        let stands_for = |other: &StoredMember| {
            messages.get(&other.message).is_some_and(|stored| stored.successor == Some(id))
        };
        let group = self.groups.entry((stored.channel.to_string(), joins.mark())).or_default();
        group
            .members
            .retain(|other| (other.name.is_none() || other.name != member.name) && !stands_for(other));
        group.key = joins.key;
        group.expected = joins.expected.or(group.expected);
        group.members.push(member);
    }

    pub(super) fn gathers(&mut self, channel: &str, id: MessageId, gathered: Option<Gathered>) {
        let Some(Gathered { mark, through }) = gathered else { return };
        if let Some(group) = self.groups.get_mut(&(channel.to_owned(), mark)) {
            group.through = group.through.max(through);
            group.runs.push(id);
        }
    }

    pub(super) fn gatherings(&self, channel: &str, ripe: Ripe, limit: usize) -> Gatherings {
        let mut found = Gatherings::default();
        for ((_, mark), group) in self.groups.iter().filter(|((of, _), _)| of == channel) {
            let Some((first, last)) = group.waits() else { continue };
            if group.is_ripe(ripe) {
                let key = group.key.clone();
                found.ripe.push(Gathering { mark: *mark, key, runs: group.runs.len() as u64, gone: 0 });
            } else {
                found.first = Some(found.first.map_or(first, |earliest| earliest.min(first)));
                found.last = Some(found.last.map_or(last, |earliest| earliest.min(last)));
            }
        }
        found.ripe.truncate(limit);
        found
    }

    pub(super) fn members(&self, channel: &str, mark: Hash, after: u64, limit: usize) -> Vec<Member> {
        let group = self.groups.get(&(channel.to_owned(), mark));
        let members = group.into_iter().flat_map(|group| &group.members);
        let member = |stored: &StoredMember| Member {
            place: stored.place,
            message: stored.message,
            received: "1970-01-01T00:00:00Z".to_owned(),
            brings: stored.brings.clone(),
        };
        members.filter(|stored| stored.place > after).map(member).take(limit).collect()
    }
}
