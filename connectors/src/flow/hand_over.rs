//! Hands the messages of a file to the engine, and says what became of the file.

use std::ops::Range;

use bytes::Bytes;
use engine::{
    Answer, Content, Cut, Facts, Hash, Inbound, Inlet, Outcome, Pending, Reply, ReplyBody, WhenFiltered,
};
use formats::hl7::batch;

use super::{
    claims::Claimed,
    place::{Stat, shown},
    settings::{Split, SplitWord},
};

/// So many messages of one file are kept in one write.
const TOGETHER: usize = 500;

/// What became of a file, by where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Done,
    Refused,
    Failed,
    /// It stays ours and is tried again.
    NotNow,
}

/// A file whose messages the engine answered for.
pub(super) struct Handed {
    pub(super) verdict: Verdict,
    /// Why it is not done, in words without content.
    pub(super) why: Option<String>,
    pub(super) answers: Vec<Answer>,
    /// Those of its messages that did not get through.
    pub(super) bad: Vec<u64>,
}

impl Handed {
    /// The words that a destination or a script chose for its sender.
    pub(super) fn words(&self) -> Option<Bytes> {
        let words = self.answers.iter().filter_map(|answer| match &answer.reply.body {
            Some(ReplyBody::From(words) | ReplyBody::Script(words)) => Some(words.clone()),
            None => None,
        });
        let mut words: Vec<Bytes> = words.collect();
        if words.len() > 1 { Some(words.concat().into()) } else { words.pop() }
    }

    /// Whether a destination that is to answer has not yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.answers.iter().any(|answer| answer.reply.why.as_deref() == Some(Reply::AWAITED))
    }
}

/// A file whose answer is awaited.
pub(super) enum Waiting {
    Here(Handed),
    Pending(Pending),
}

/// How files of one channel are handed over.
pub(super) struct HandOver<'a> {
    pub(super) inlet: &'a Inlet,
    pub(super) split: &'a Split,
    pub(super) filtered: WhenFiltered,
    /// What every file of this source has in common.
    pub(super) facts: &'a Facts,
}

impl HandOver<'_> {
    /// Makes the messages of a file durable. Files handed over one after the other are kept in that order.
    pub(super) async fn begin(&self, claimed: &Claimed, content: Content, stat: Stat) -> Waiting {
        let mark = mark(claimed, &content, stat);
        let facts = self.facts_of(claimed, stat);
        let messages = match self.parts(&content) {
            Ok(messages) => messages,
            Err(why) => {
                let inbound = Inbound { unreadable: Some(why), ..inbound(content, facts, mark, 0) };
                return self.begin_one(inbound).await;
            }
        };
        if let [_] = messages[..] {
            return self.begin_one(inbound(messages[0].clone(), facts, mark, 0)).await;
        }
        let mut answers = Vec::with_capacity(messages.len());
        let of = messages.len();
        for (group, several) in messages.chunks(TOGETHER).enumerate() {
            let inbounds = several.iter().enumerate().map(|(place, message)| {
                let place = group * TOGETHER + place;
                let mut facts = facts.clone();
                facts.insert("batch".to_owned(), serde_json::json!({ "place": place + 1, "of": of }));
                inbound(message.clone(), facts, mark, place)
            });
            let whole = Some((mark, (group * TOGETHER) as u32));
            answers.extend(self.inlet.receive_part_of(whole, inbounds.collect()).await);
        }
        Waiting::Here(self.judge(answers))
    }

    /// Makes it durable that a file came which cannot be had. It is counted and found, and holds nothing of the file.
    pub(super) async fn refuse_unread(&self, claimed: &Claimed, why: String) -> Handed {
        let nothing = Content::default();
        let mark = mark(claimed, &nothing, claimed.stat);
        let facts = self.facts_of(claimed, claimed.stat);
        let inbound = Inbound { unreadable: Some(why), ..inbound(nothing, facts, mark, 0) };
        let handed = self.end(self.begin_one(inbound).await).await;
        // To run its message again would be to run nothing: it is taken up again as a new file.
        Handed { bad: Vec::new(), ..handed }
    }

    async fn begin_one(&self, inbound: Inbound) -> Waiting {
        match self.inlet.accept(inbound).await {
            Ok(pending) => Waiting::Pending(pending),
            Err(answer) => Waiting::Here(self.judge(vec![answer])),
        }
    }

    /// Waits for what a file's sender would hear.
    pub(super) async fn end(&self, waiting: Waiting) -> Handed {
        match waiting {
            Waiting::Here(handed) => handed,
            Waiting::Pending(pending) => self.judge(vec![pending.answer().await]),
        }
    }

    /// The worst of its messages decides.
    fn judge(&self, answers: Vec<Answer>) -> Handed {
        let worst = answers
            .iter()
            .map(|answer| (self.verdict(&answer.reply), &answer.reply))
            .reduce(|worst, one| if one.0 > worst.0 { one } else { worst });
        let (verdict, why) =
            worst.map_or((Verdict::Done, None), |(verdict, reply)| (verdict, Some(reason(reply))));
        let is_bad = |answer: &&Answer| self.verdict(&answer.reply) != Verdict::Done;
        let bad = answers.iter().filter(is_bad).filter_map(Answer::message).map(|id| id.0).collect();
        Handed { verdict, why: why.filter(|_| verdict != Verdict::Done), answers, bad }
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        match reply.outcome {
            Outcome::Filtered | Outcome::Unrouted if self.filtered == WhenFiltered::Refuse => {
                Verdict::Refused
            }
            Outcome::Accepted | Outcome::Filtered | Outcome::Unrouted => Verdict::Done,
            Outcome::Unreadable | Outcome::Refused => Verdict::Refused,
            Outcome::Failed => Verdict::Failed,
            Outcome::Unavailable => Verdict::NotNow,
        }
    }

    /// The messages of a file, as its `split` says.
    fn parts(&self, content: &Content) -> Result<Vec<Content>, String> {
        let by = match self.split {
            Split::Word(SplitWord::None) => return Ok(vec![content.clone()]),
            Split::Word(SplitWord::Hl7) => {
                return batch_parts(&content.whole().map_err(|error| error.to_string())?);
            }
            Split::Word(SplitWord::Records) => Cut::Records,
            Split::Word(SplitWord::Hprim) => Cut::Messages,
            Split::Group(group) => Cut::Group(group.group.clone()),
        };
        let parts = self.inlet.cut(content, &by)?;
        if parts.is_empty() { Err("the file holds no record".to_owned()) } else { Ok(parts) }
    }

    fn facts_of(&self, claimed: &Claimed, stat: Stat) -> Facts {
        let mut facts = self.facts.clone();
        facts.insert("name".to_owned(), shown(claimed.from.name()).into());
        facts.insert("path".to_owned(), claimed.from.to_string().into());
        facts.insert("size".to_owned(), stat.size.into());
        if let Ok(modified) = jiff::Timestamp::from_nanosecond(i128::from(stat.modified)) {
            facts.insert("modified".to_owned(), modified.to_string().into());
        }
        facts
    }
}

fn batch_parts(bytes: &Bytes) -> Result<Vec<Content>, String> {
    let places = match batch::split(bytes) {
        Ok(Some(batch)) if batch.messages.is_empty() => return Err("the batch holds no message".to_owned()),
        Ok(Some(batch)) => batch.messages,
        Ok(None) => row(bytes),
        Err(error) => return Err(format!("the batch cannot be read: {error}")),
    };
    Ok(places.into_iter().map(|place| bytes.slice(place).into()).collect())
}

fn whole(bytes: &[u8]) -> Vec<Range<usize>> {
    std::iter::once(0..bytes.len()).collect()
}

/// Messages that follow one another without a batch around them: each begins with a line that begins with MSH.
fn row(bytes: &[u8]) -> Vec<Range<usize>> {
    let is_start = |at: usize| at == 0 || matches!(bytes[at - 1], b'\r' | b'\n');
    let starts: Vec<usize> = memchr::memmem::find_iter(bytes, b"MSH").filter(|at| is_start(*at)).collect();
    if starts.len() < 2 {
        return whole(bytes);
    }
    // What stands before the first message belongs to it: nothing of a file is passed over.
    let ends = starts[1..].iter().copied().chain([bytes.len()]);
    let begins = std::iter::once(0).chain(starts[1..].iter().copied());
    begins.zip(ends).map(|(begin, end)| begin..end).collect()
}

/// Names the file: the same when it is found again after a crash.
fn mark(claimed: &Claimed, content: &Content, stat: Stat) -> Hash {
    claimed.mark.unwrap_or_else(|| {
        let content = content.hash();
        let (size, modified) = (stat.size.to_be_bytes(), stat.modified.to_be_bytes());
        Hash::of(&[b"stays", claimed.from.base.as_bytes(), &claimed.from.trail, &size, &modified, &content.0])
    })
}

fn inbound(bytes: impl Into<Content>, facts: Facts, mark: Hash, place: usize) -> Inbound {
    let effect = Hash::of(&[b"file", &mark.0, &(place as u64).to_be_bytes()]);
    Inbound { facts: facts.into(), effect: Some(effect), ..Inbound::new(bytes) }
}

fn reason(reply: &Reply) -> String {
    let why = reply.why.clone().unwrap_or_else(|| reply.outcome.name().to_owned());
    match &reply.at {
        Some(at) => format!("{why} ({at})"),
        None => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_in_a_row_are_told_apart() {
        let text = b"MSH|a\rPID|1\r\rMSH|b\nOBX|MSH\nMSH|c";
        let messages: Vec<&[u8]> = row(text).into_iter().map(|place| &text[place]).collect();
        assert_eq!(messages, [b"MSH|a\rPID|1\r\r".as_slice(), b"MSH|b\nOBX|MSH\n", b"MSH|c"]);
        assert_eq!(row(b"xMSH|a").len(), 1);
        assert_eq!(row(b"\nMSH|a\r").len(), 1);
    }
}
