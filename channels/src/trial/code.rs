//! The acknowledgement code, or the status, that a sender would hear.

use engine::{Content, Reply, ReplyBody, ReplyWords};
use formats::hl7::acknowledgement::{self, Code};

use super::Speech;

pub(super) fn code(speech: Speech, words: &ReplyWords, reply: &Reply, message: &Content) -> String {
    match speech {
        Speech::Hl7 => acknowledgement_code(words, reply, &message.whole().unwrap_or_default()),
        Speech::Dicom => connectors::dicom::status(words, reply),
        Speech::Http => connectors::http::status(words, reply).to_string(),
    }
}

fn acknowledgement_code(words: &ReplyWords, reply: &Reply, message: &[u8]) -> String {
    if let Some(ReplyBody::From(body) | ReplyBody::Script(body)) = &reply.body
        && let Ok(read) = acknowledgement::read(body)
    {
        return read.code.as_str().to_owned();
    }
    let wanted = words.codes.iter().find(|(outcome, _)| *outcome == reply.outcome).map(|(_, code)| code);
    match wanted.or(reply.code.as_ref()) {
        // Other protocols have other codes: as written.
        Some(written) if Code::parse(written).is_none() => written.clone(),
        _ => connectors::mllp::code(words, reply, message).as_str().to_owned(),
    }
}
