//! What a channel's destinations lose: order, the queue, attempts, and what waits.

use engine::Path;

use super::{
    Change, Note,
    words::{period, stay, those_that_wait},
};
use crate::promises::{Destination, Nack, Queue, Sequence, Unsure};

/// One destination before and after, with where it stands and what waits for it.
struct Turn<'d> {
    at: Path,
    name: &'d str,
    then: &'d Destination,
    now: &'d Destination,
    waiting: Option<u64>,
}

impl Change<'_> {
    pub(super) fn destinations(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        for then in &self.then.destinations {
            let waiting = self.before.waits_for(self.name, &then.name);
            match self.now.destinations.iter().position(|now| now.name == then.name) {
                Some(place) => {
                    let at = Path::parse("destinations").join(place);
                    let now = &self.now.destinations[place];
                    notes.extend(Turn { at, name: &then.name, then, now, waiting }.notes());
                }
                None if waiting != Some(0) => notes.push(self.detached(then, waiting)),
                None => {}
            }
        }
        notes
    }

    /// A destination the file no longer names, though deliveries wait for it.
    fn detached(&self, then: &Destination, waiting: Option<u64>) -> Note {
        let name = &then.name;
        let is_new = |now: &&Destination| !self.then.destinations.iter().any(|known| known.name == now.name);
        let mut come = self.now.destinations.iter().enumerate().filter(|(_, now)| is_new(now));
        let at = Path::parse("destinations");
        match come.find(|(_, now)| now.to == then.to) {
            Some((place, heir)) => Note::new(
                at.join(place).join("name"),
                format!(
                    "`{name}` is called `{}` now: {} under the old name, unsent",
                    heir.name,
                    stay(waiting)
                ),
                format!(
                    "`relais resend ID --to {}` moves one; or let it keep the name `{name}`, or rename it when nothing waits",
                    heir.name
                ),
            ),
            None => Note::new(
                at,
                format!("`{name}` is gone: {}, detached and unsent", stay(waiting)),
                format!(
                    "`relais resend ID --to NAME` moves one, `relais drop ID` drops it; a destination called `{name}` takes all up again"
                ),
            ),
        }
    }
}

impl Turn<'_> {
    fn notes(&self) -> Vec<Note> {
        let each = [
            self.order(),
            self.queue(),
            self.attempts(),
            self.lasting(),
            self.doubt(),
            self.answer(),
            self.after(),
            self.place(),
        ];
        each.into_iter().flatten().chain(self.nack()).collect()
    }

    fn note(&self, key: &str, lost: &str, advice: impl Into<String>) -> Note {
        Note::new(self.at.join(key), format!("`{}`: {lost}", self.name), advice)
    }

    fn order(&self) -> Option<Note> {
        let waiting = those_that_wait(self.waiting);
        let lost = match (&self.then.order, &self.now.order) {
            (then, now) if then == now => return None,
            (_, Sequence::Arrival) | (Sequence::None, Sequence::Key(_)) => return None,
            (_, Sequence::None) => "order is lost: a message may overtake an older one".to_owned(),
            (Sequence::Arrival, Sequence::Key(_)) => {
                "order holds within a key alone: a message may overtake an older one with another key"
                    .to_owned()
            }
            (Sequence::Key(before), Sequence::Key(_)) => {
                format!("order no longer holds within {}, but within the new key", before.join(", "))
            }
        };
        let lost = match (waiting, &self.now.order) {
            (Some(waiting), Sequence::Key(_)) => {
                format!("{lost}; {waiting} may be overtaken by newer ones of their key")
            }
            _ => lost,
        };
        let advice = match self.now.order {
            Sequence::None => {
                "a key keeps what belongs together in order: `order: { key: PID-3.1 }`".to_owned()
            }
            _ => "change it when nothing waits: `relais status`".to_owned(),
        };
        Some(self.note("order", &lost, advice))
    }

    fn queue(&self) -> Option<Note> {
        if self.now.queue == self.then.queue || self.now.queue == Queue::Waits {
            return None;
        }
        let lost = match those_that_wait(self.waiting) {
            Some(waiting) => format!(
                "nothing waits any more: what cannot be delivered at once is given up, {waiting} among it"
            ),
            None => "nothing waits any more: what cannot be delivered at once is given up".to_owned(),
        };
        let advice =
            "change it when nothing waits; `relais resend --state given_up` sends such a delivery again";
        Some(self.note("queue", &lost, advice))
    }

    fn attempts(&self) -> Option<Note> {
        let now = self.now.attempts?;
        if self.then.attempts.is_some_and(|then| then <= now) || self.now.queue == Queue::Never {
            return None;
        }
        let then = self.then.attempts.map_or_else(|| "unlimited".to_owned(), |then| then.to_string());
        let lost = format!("given up after {now} attempts (it was {then}){}", self.also_those());
        Some(self.note("retry", &lost, "`relais resend --state given_up` sends it again, when a person asks"))
    }

    fn lasting(&self) -> Option<Note> {
        let now = self.now.lasting?;
        if self.then.lasting.is_some_and(|then| then <= now) || self.now.queue == Queue::Never {
            return None;
        }
        let then = self.then.lasting.map_or_else(|| "unlimited".to_owned(), period);
        let lost = format!("given up after {} (it was {then}){}", period(now), self.also_those());
        Some(self.note("retry", &lost, "`relais resend --state given_up` sends it again, when a person asks"))
    }

    fn also_those(&self) -> String {
        those_that_wait(self.waiting).map(|waiting| format!(", {waiting} too")).unwrap_or_default()
    }

    fn doubt(&self) -> Option<Note> {
        let lost = match (self.then.when_unsure, self.now.when_unsure) {
            (Unsure::Hold | Unsure::Stop, Unsure::Resend) => {
                "what may have arrived is sent again: it may arrive twice"
            }
            (Unsure::Resend | Unsure::Stop, Unsure::Hold) => {
                "what may have arrived is set aside for a person, and those behind overtake it"
            }
            (Unsure::Resend | Unsure::Hold, Unsure::Stop) => {
                "what may have arrived stops the queue until a person decides"
            }
            _ => return None,
        };
        Some(self.note("when_unsure", lost, "`relais status` shows what waits for a person"))
    }

    fn answer(&self) -> Option<Note> {
        let rank = |answer: &Option<String>| match answer.as_deref() {
            Some("none") => 0,
            Some("any") => 1,
            _ => 2,
        };
        if rank(&self.now.answer) >= rank(&self.then.answer) {
            return None;
        }
        let lost = match self.now.answer.as_deref() {
            Some("none") => "a delivery counts as sent though nobody answered",
            _ => "an answer counts whatever message it names",
        };
        Some(self.note("to", lost, "keep `answer: required` if the receiver can answer"))
    }

    fn after(&self) -> Option<Note> {
        let then = self.then.after.as_ref().filter(|then| self.now.after.as_ref() != Some(*then))?;
        let lost = format!("it no longer waits for `{then}`, and may arrive before it");
        Some(self.note("after", &lost, "change it when nothing waits"))
    }

    /// What waits goes where the destination is now.
    fn place(&self) -> Option<Note> {
        if self.then.to == self.now.to {
            return None;
        }
        let waiting = those_that_wait(self.waiting)?;
        let lost = format!("{waiting} go to {} now, not to {}", self.now.to, self.then.to);
        let advice = "if they belong to the old place, let it have its own destination until they are sent";
        Some(self.note("to", &lost, advice))
    }

    fn nack(&self) -> Vec<Note> {
        let less = |code: &String, now: &Nack| *now == Nack::GiveUp && self.then.nack.get(code) != Some(now);
        let note = |code: &String| {
            let lost = format!("what the receiver answers {code} to is given up at once");
            self.note("nack", &lost, "`relais resend --state given_up` sends it again, when a person asks")
        };
        self.now.nack.iter().filter(|(code, now)| less(code, now)).map(|(code, _)| note(code)).collect()
    }
}
