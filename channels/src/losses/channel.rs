//! What a channel's source, its answers and what is kept of it lose.

use std::time::Duration;

use engine::Path;

use super::{
    Change, Note,
    words::{period, those_that_wait},
};
use crate::promises::Reply;

impl Change<'_> {
    /// What is less than before, of everything but the destinations.
    pub(super) fn channel(&self) -> Vec<Note> {
        if self.then.enabled && !self.now.enabled {
            return vec![self.disabled()];
        }
        let mut notes = self.source();
        notes.extend(self.reply());
        notes.extend(self.repeats());
        notes.extend(self.keep());
        notes.extend(self.index());
        notes.extend(self.group());
        notes
    }

    fn disabled(&self) -> Note {
        let waiting = those_that_wait(self.before.waits_in(self.name));
        let lost = match waiting {
            Some(waiting) => format!("it takes nothing any more, and {waiting} stay unsent"),
            None => "it takes nothing any more".to_owned(),
        };
        let advice = format!("`relais pause {}` takes nothing and sends what waits", self.name);
        Note::new(Path::parse("enabled"), lost, advice)
    }

    /// Ports nobody listens on any more, and folders nobody reads.
    fn source(&self) -> Vec<Note> {
        let (then, now) = (self.then, self.now);
        let at = Path::parse("source").join(&now.source);
        if then.source != now.source {
            let lost = format!("it takes messages by `{}` now, and none by `{}`", now.source, then.source);
            return vec![Note::new(at, lost, "whoever sends must send the new way")];
        }
        let gone = then.claims.iter().filter(|claim| !now.claims.contains(claim));
        let note = |claim: &String| match now.source.as_str() {
            "file" | "sftp" => Note::new(
                at.join("dir"),
                format!("files in `{claim}` are not read any more"),
                "change over when the folder is empty, or move what lies there",
            ),
            _ => Note::new(
                at.join("listen"),
                format!("nobody listens on {claim} any more: its senders cannot connect"),
                format!("let them send to {}, or keep the address", now.claims.join(", ")),
            ),
        };
        gone.map(note).collect()
    }

    fn reply(&self) -> Option<Note> {
        let (then, now) = (&self.then.reply, &self.now.reply);
        let lost = match (then, now) {
            (Reply::From(before), Reply::From(name)) if before != name => {
                format!("the sender hears the answer of `{name}`, and that of `{before}` no longer")
            }
            (Reply::From(name), Reply::Delivered | Reply::Script) => {
                format!("the sender no longer hears what `{name}` answers")
            }
            _ if rank(now) >= rank(then) => return None,
            (_, Reply::Never) => "the sender hears nothing any more: it cannot know what was lost".to_owned(),
            (Reply::Processed, _) => {
                "the sender hears yes before the steps have run, also of what they then refuse or fail"
                    .to_owned()
            }
            (_, Reply::Stored) => {
                "the sender hears yes before the steps have run, also of what is refused, fails or is given up"
                    .to_owned()
            }
            _ => "the sender hears yes before a delivery is tried, also of what a receiver then refuses"
                .to_owned(),
        };
        let advice =
            "look at `relais find --state failed`, `refused` and `given_up`: the sender will not ask";
        Some(Note::new(Path::parse("reply"), lost, advice))
    }

    fn repeats(&self) -> Option<Note> {
        let (then, now) = (self.then.repeats, self.now.repeats);
        if now >= then {
            return None;
        }
        let lost = if now.is_zero() {
            "a second copy of a message is processed, and has a second effect".to_owned()
        } else {
            format!("a copy that comes after {} (it was {}) has a second effect", period(now), period(then))
        };
        Some(Note::new(Path::parse("repeats"), lost, "keep it while senders repeat what they were not told"))
    }

    fn keep(&self) -> Vec<Note> {
        let (then, now) = (self.then, self.now);
        let kept = [
            ("content", then.content, now.content, "messages, payloads and search keys"),
            ("errors", then.errors, now.errors, "what failed or was given up"),
            ("metadata", then.metadata, now.metadata, "that there was a message"),
        ];
        let shorter = kept.into_iter().filter(|(_, then, now, _)| now < then);
        let note = |(key, then, now, what): (&str, Duration, Duration, &str)| {
            let lost = format!(
                "{what}: forgotten after {}, no longer after {}; what is older goes within a day",
                period(now),
                period(then)
            );
            let advice = "what is forgotten can neither be shown nor sent again";
            Note::new(Path::parse("keep").join(key), lost, advice)
        };
        shorter.map(note).collect()
    }

    /// Groups that are known by something else now, or by nothing.
    fn group(&self) -> Vec<Note> {
        let (then, now) = (&self.then.group, &self.now.group);
        let note = |lost: &str, advice: &str| vec![Note::new(Path::parse("group"), lost.to_owned(), advice)];
        match (then, now) {
            (Some(_), None) => note(
                "groups that wait for quiet are not run any more",
                "change over when `relais pending` shows none of this channel",
            ),
            (Some(then), Some(now)) if then != now => note(
                "members that come from now on do not join the groups that were there",
                "a group that waits is run with the members that it has",
            ),
            _ => Vec::new(),
        }
    }

    fn index(&self) -> Vec<Note> {
        let gone = self.then.index.iter().filter(|key| !self.now.index.contains(key));
        let note = |key: &String| {
            let lost = format!("messages that come from now on are not found by `{key}`");
            Note::new(Path::parse("index"), lost, format!("keep `{key}` while people look for it"))
        };
        gone.map(note).collect()
    }
}

/// How much a sender learns.
fn rank(reply: &Reply) -> u8 {
    match reply {
        Reply::Never => 0,
        Reply::Stored => 1,
        Reply::Processed => 2,
        Reply::Delivered | Reply::Script | Reply::From(_) => 3,
    }
}
