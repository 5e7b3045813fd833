//! Puts the engine's reply in HL7's words: the code, the text, the place of the error.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use engine::{Outcome, Reply, ReplyBody, ReplyWords, WhenFiltered};
use formats::{
    charset::Charset,
    hl7::{
        Path,
        acknowledgement::{self, Answer, Code, Condition, ErrorPlace},
        header::Header,
    },
};
use jiff::Zoned;

/// Whose judgement an answer is, in the standard's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// `AA`, `AE`, `AR`: the application has seen it.
    Application,
    /// `CA`, `CE`, `CR`: it is kept, or not.
    Commit,
}

/// Words the answers of one channel.
pub(super) struct Wording {
    words: ReplyWords,
    charset: Option<Charset>,
    /// Keeps the ids of two runs apart.
    run: u32,
    count: AtomicU32,
}

impl Wording {
    pub(super) fn new(words: ReplyWords, charset: Option<&str>) -> Self {
        Self {
            words,
            charset: charset.and_then(Charset::named),
            run: RandomState::new().hash_one("run") as u32,
            count: AtomicU32::new(0),
        }
    }

    pub(super) fn words(&self) -> &ReplyWords {
        &self.words
    }

    /// The bytes that answer a message.
    pub(super) fn answer(&self, message: &[u8], reply: &Reply, speaker: Speaker) -> Vec<u8> {
        match &reply.body {
            Some(ReplyBody::Script(bytes)) => return bytes.to_vec(),
            Some(ReplyBody::From(bytes)) => {
                if let Some(answer) = with_our_control_id(bytes, message) {
                    return answer;
                }
            }
            None => {}
        }
        self.build(message, reply, speaker)
    }

    pub(super) fn code(&self, reply: &Reply, speaker: Speaker) -> Code {
        code(&self.words, reply, speaker)
    }

    fn build(&self, message: &[u8], reply: &Reply, speaker: Speaker) -> Vec<u8> {
        let code = self.code(reply, speaker);
        let text = reply.why.as_deref().filter(|_| !code.is_positive());
        let wrong = text.filter(|_| reply.outcome == Outcome::Refused || reply.at.is_some());
        let error = wrong.map(|reason| ErrorPlace {
            path: reply.at.as_deref().and_then(|at| Path::parse(at).ok()),
            condition: condition(reply),
            reason,
        });
        let answer = Answer {
            code,
            text,
            error,
            when: &Zoned::now(),
            control_id: &self.next_control_id(),
            charset: self.charset,
        };
        acknowledgement::build(message, &answer)
    }

    /// Unique: 16 characters, short enough for every version's MSH-10.
    fn next_control_id(&self) -> String {
        format!("{:08X}{:08X}", self.run, self.count.fetch_add(1, Ordering::SeqCst))
    }
}

/// The code an outcome is told by.
pub(super) fn code(words: &ReplyWords, reply: &Reply, speaker: Speaker) -> Code {
    let wanted = words.codes.iter().find(|(outcome, _)| *outcome == reply.outcome);
    let written = wanted.map(|(_, code)| code.as_str()).or(reply.code.as_deref()).and_then(Code::parse);
    let code = written.unwrap_or_else(|| usual(words, reply.outcome, speaker));
    match speaker {
        Speaker::Application => code,
        Speaker::Commit => code.enhanced(),
    }
}

fn usual(words: &ReplyWords, outcome: Outcome, speaker: Speaker) -> Code {
    let mirth = words.filtered == WhenFiltered::Refuse;
    match outcome {
        Outcome::Filtered if mirth => Code::AR,
        Outcome::Unrouted if mirth => Code::AE,
        Outcome::Accepted | Outcome::Filtered | Outcome::Unrouted => Code::AA,
        Outcome::Unreadable => Code::AR,
        // AR may be sent again; a commit answer says that by CE.
        Outcome::Unavailable if speaker == Speaker::Application => Code::AR,
        Outcome::Refused | Outcome::Failed | Outcome::Unavailable => Code::AE,
    }
}

fn condition(reply: &Reply) -> Condition {
    match (reply.outcome, &reply.at) {
        (Outcome::Refused | Outcome::Unreadable, Some(_)) => Condition::RequiredFieldMissing,
        (Outcome::Unreadable, None) => Condition::SegmentSequence,
        _ => Condition::ApplicationInternalError,
    }
}

/// A destination's answer with the MSH-10 of this message in MSA-2; none if it is no acknowledgement.
fn with_our_control_id(answer: &Bytes, message: &[u8]) -> Option<Vec<u8>> {
    let field = *Header::read(answer).ok()?.delimiters();
    let ours = Header::read(message).map(|header| header.control_id().to_vec()).unwrap_or_default();
    let start = segment(answer, b"MSA")?;
    let end = answer[start..]
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))
        .map_or(answer.len(), |length| start + length);
    let mut fields: Vec<&[u8]> = answer[start..end].split(|byte| *byte == field.field).collect();
    fields.resize(fields.len().max(3), b"");
    fields[2] = &ours;
    let line = fields.join(&field.field);
    Some([&answer[..start], &line, &answer[end..]].concat())
}

/// Where the first segment of this name begins.
fn segment(message: &[u8], name: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(message, name).find(|at| *at == 0 || matches!(message[at - 1], b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"MSH|^~\\&|LAB|H|R|H|20260101||ORU^R01|M-1|P|2.5\rPID|1\r";

    fn wording() -> Wording {
        Wording::new(ReplyWords::default(), None)
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn each_outcome_has_its_code_in_both_modes() {
        let codes = |outcome| {
            let reply = Reply::of(outcome);
            let words = ReplyWords::default();
            (code(&words, &reply, Speaker::Application), code(&words, &reply, Speaker::Commit))
        };
        for outcome in [Outcome::Accepted, Outcome::Filtered, Outcome::Unrouted] {
            assert_eq!(codes(outcome), (Code::AA, Code::CA));
        }
        assert_eq!(codes(Outcome::Unreadable), (Code::AR, Code::CR));
        assert_eq!(codes(Outcome::Refused), (Code::AE, Code::CE));
        assert_eq!(codes(Outcome::Failed), (Code::AE, Code::CE));
        assert_eq!(codes(Outcome::Unavailable), (Code::AR, Code::CE));
    }

    #[test]
    fn a_channel_may_say_another_code_and_restore_mirths() {
        let words = ReplyWords {
            codes: vec![(Outcome::Failed, "AR".to_owned())],
            filtered: WhenFiltered::Refuse,
            ..ReplyWords::default()
        };
        let code = |outcome| code(&words, &Reply::of(outcome), Speaker::Application);
        assert_eq!(code(Outcome::Failed), Code::AR);
        assert_eq!(code(Outcome::Filtered), Code::AR);
        assert_eq!(code(Outcome::Unrouted), Code::AE);
    }

    #[test]
    fn a_refusal_names_its_place() {
        let reply = Reply { at: Some("PID-3".to_owned()), ..Reply::because(Outcome::Refused, "no number") };
        let answer = text(&wording().answer(MESSAGE, &reply, Speaker::Application));
        assert!(answer.contains("MSA|AE|M-1|no number"), "{answer}");
        assert!(answer.contains("\rERR||PID^1^3"), "{answer}");
    }

    #[test]
    fn a_destinations_answer_goes_back_with_this_messages_control_id() {
        let theirs =
            Bytes::from_static(b"MSH|^~\\&|A|B|C|D|1||ACK|9|P|2.5\rMSA|AE|THEIRS|no such ward\rERR|x\r");
        let reply = Reply { body: Some(ReplyBody::From(theirs)), ..Reply::of(Outcome::Refused) };
        let answer = text(&wording().answer(MESSAGE, &reply, Speaker::Application));
        assert_eq!(answer, "MSH|^~\\&|A|B|C|D|1||ACK|9|P|2.5\rMSA|AE|M-1|no such ward\rERR|x\r");
        let shorter = Bytes::from_static(b"MSH|^~\\&|A|B|C|D|1||ACK|9|P|2.5\nMSA|AA");
        let reply = Reply { body: Some(ReplyBody::From(shorter)), ..Reply::of(Outcome::Accepted) };
        assert!(text(&wording().answer(MESSAGE, &reply, Speaker::Application)).ends_with("MSA|AA|M-1"));
    }

    #[test]
    fn a_scripts_words_go_back_as_they_are() {
        let reply = Reply {
            body: Some(ReplyBody::Script(Bytes::from_static(b"OK"))),
            ..Reply::of(Outcome::Accepted)
        };
        assert_eq!(wording().answer(MESSAGE, &reply, Speaker::Application), b"OK");
    }
}
