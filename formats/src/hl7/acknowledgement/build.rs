//! Builds the answer to a message; never fails, whatever the bytes.

use jiff::Zoned;

use super::{Code, reply::Reply};
use crate::{charset::Charset, hl7::Path};

/// What the sender shall hear.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// MSA-1.
    pub code: Code,
    /// MSA-3: a short text without content of the message.
    pub text: Option<&'a str>,
    /// ERR: what was wrong, and where.
    pub error: Option<ErrorPlace<'a>>,
    /// MSH-7.
    pub when: &'a Zoned,
    /// MSH-10 of the answer; must be unique.
    pub control_id: &'a str,
    /// What the message was read in, where that is known; only matters for texts beyond ASCII.
    pub charset: Option<Charset>,
}

/// What was wrong and where, for the ERR segment.
#[derive(Clone, Debug)]
pub struct ErrorPlace<'a> {
    /// Where, if it is one place.
    pub path: Option<Path>,
    /// What kind of error.
    pub condition: Condition,
    /// The words for a person, without content of the message.
    pub reason: &'a str,
}

/// The message error conditions of HL7 table 0357.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 100
    SegmentSequence,
    /// 101
    RequiredFieldMissing,
    /// 102
    DataType,
    /// 103
    TableValueNotFound,
    /// 200
    UnsupportedMessageType,
    /// 201
    UnsupportedEventCode,
    /// 202
    UnsupportedProcessingId,
    /// 203
    UnsupportedVersionId,
    /// 204
    UnknownKeyIdentifier,
    /// 205
    DuplicateKeyIdentifier,
    /// 206
    ApplicationRecordLocked,
    /// 207
    ApplicationInternalError,
}

impl Condition {
    /// The code of the table and its words.
    pub fn code_and_words(self) -> (&'static str, &'static str) {
        match self {
            Condition::SegmentSequence => ("100", "Segment sequence error"),
            Condition::RequiredFieldMissing => ("101", "Required field missing"),
            Condition::DataType => ("102", "Data type error"),
            Condition::TableValueNotFound => ("103", "Table value not found"),
            Condition::UnsupportedMessageType => ("200", "Unsupported message type"),
            Condition::UnsupportedEventCode => ("201", "Unsupported event code"),
            Condition::UnsupportedProcessingId => ("202", "Unsupported processing id"),
            Condition::UnsupportedVersionId => ("203", "Unsupported version id"),
            Condition::UnknownKeyIdentifier => ("204", "Unknown key identifier"),
            Condition::DuplicateKeyIdentifier => ("205", "Duplicate key identifier"),
            Condition::ApplicationRecordLocked => ("206", "Application record locked"),
            Condition::ApplicationInternalError => ("207", "Application internal error"),
        }
    }
}

/// The answer to a message, in its delimiters and charset.
///
/// Of what is not HL7 at all nothing is echoed: MSA-2 is empty then.
pub fn build(message: &[u8], answer: &Answer<'_>) -> Vec<u8> {
    let mut reply = Reply::to(message, answer.charset);
    reply.header("MSH", header(&reply, answer));
    reply.segment("MSA", judgement(&reply, answer));
    if let Some(error) = &answer.error {
        let fields = if reply.is_version(5) { fault(&reply, error) } else { old_fault(&reply, error) };
        reply.segment("ERR", fields);
    }
    [reply.mark(), &reply.finish()].concat()
}

/// The answer to a batch: one answer per message, in order, between the batch's own headers and trailers.
pub fn batch(original: &[u8], answers: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Reply::to_batch(original, "BHS").map_or(&[][..], |reply| reply.mark()).to_vec();
    for name in ["FHS", "BHS"] {
        if let Some(mut reply) = Reply::to_batch(original, name) {
            reply.header(name, batch_header(&reply));
            whole.extend(reply.finish());
        }
    }
    for answer in answers {
        let mark = Reply::to(answer, None).mark().len();
        whole.extend_from_slice(&answer[mark..]);
    }
    for (name, header, count) in [("BTS", "BHS", answers.len()), ("FTS", "FHS", 1)] {
        if let Some(mut reply) = Reply::to_batch(original, header) {
            reply.segment(name, vec![count.to_string().into()]);
            whole.extend(reply.finish());
        }
    }
    whole
}

/// MSH from its third field on.
fn header(reply: &Reply<'_>, answer: &Answer<'_>) -> Vec<Vec<u8>> {
    let mut fields = vec![
        reply.echo(5),
        reply.echo(6),
        reply.echo(3),
        reply.echo(4),
        reply.words(&answer.when.strftime("%Y%m%d%H%M%S%z").to_string()),
        Vec::new(),
        message_type(reply),
        reply.words(answer.control_id),
        reply.echo_or(11, "P"),
        reply.echo_or(12, "2.5"),
    ];
    // From MSH-13 to MSH-17 there is nothing to say.
    fields.extend(vec![Vec::new(); 5]);
    fields.push(reply.declared_charset());
    fields
}

fn message_type(reply: &Reply<'_>) -> Vec<u8> {
    match reply.trigger_event() {
        event if !event.is_empty() && reply.is_version(4) => {
            reply.components(&["ACK".into(), event.to_vec(), "ACK".into()])
        }
        _ => "ACK".into(),
    }
}

fn judgement(reply: &Reply<'_>, answer: &Answer<'_>) -> Vec<Vec<u8>> {
    vec![answer.code.as_str().into(), reply.echo(10), reply.words(answer.text.unwrap_or_default())]
}

/// ERR from version 2.5 on: location, code and severity, and the words in the eighth field.
fn fault(reply: &Reply<'_>, error: &ErrorPlace<'_>) -> Vec<Vec<u8>> {
    let (code, words) = error.condition.code_and_words();
    let mut fields = vec![
        Vec::new(),
        reply.components(&location(error.path.as_ref())),
        reply.components(&[code.into(), words.into(), "HL70357".into()]),
        "E".into(),
    ];
    fields.extend(vec![Vec::new(); 3]);
    fields.push(reply.words(error.reason));
    fields
}

/// ERR before version 2.5: segment, occurrence, field and a coded text, all in the first field.
fn old_fault(reply: &Reply<'_>, error: &ErrorPlace<'_>) -> Vec<Vec<u8>> {
    let (code, words) = error.condition.code_and_words();
    let words = if error.reason.is_empty() { words } else { error.reason };
    let mut parts = location(error.path.as_ref());
    parts.resize(3, Vec::new());
    parts.push(reply.subcomponents(&[code.into(), reply.words(words), "HL70357".into()]));
    vec![reply.components(&parts)]
}

/// Segment, occurrence, field, repetition, component, subcomponent, as far as the path says.
fn location(path: Option<&Path>) -> Vec<Vec<u8>> {
    let Some(path) = path else { return Vec::new() };
    let mut location = vec![path.segment().into(), path.occurrence().to_string().into()];
    let Some(place) = path.place() else { return location };
    location.push(place.field.to_string().into());
    if place.component.is_some() || place.repetition > 1 {
        location.push(place.repetition.to_string().into());
    }
    location.extend(
        [place.component, place.subcomponent].into_iter().flatten().map(|number| number.to_string().into()),
    );
    location
}

/// FHS or BHS from its third field on; the last one refers to the control id of the batch answered.
fn batch_header(reply: &Reply<'_>) -> Vec<Vec<u8>> {
    let mut fields = vec![reply.echo(5), reply.echo(6), reply.echo(3), reply.echo(4)];
    fields.extend(vec![Vec::new(); 5]);
    fields.push(reply.echo(11));
    fields
}
