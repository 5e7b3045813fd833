//! The acknowledgement code that a sender would hear.

use engine::{Outcome, Reply, ReplyBody, ReplyMode, ReplyWords, WhenFiltered};
use formats::hl7::{
    acknowledgement::{self, Code},
    header::Header,
};

pub(super) fn code(words: &ReplyWords, reply: &Reply, message: &[u8]) -> String {
    if let Some(ReplyBody::From(body) | ReplyBody::Script(body)) = &reply.body
        && let Ok(read) = acknowledgement::read(body)
    {
        return read.code.as_str().to_owned();
    }
    let wanted = words.codes.iter().find(|(outcome, _)| *outcome == reply.outcome).map(|(_, code)| code);
    let written = wanted.or(reply.code.as_ref());
    let commits = commits(words.mode, message);
    let Some(code) =
        written.map_or_else(|| Some(usual(words, reply.outcome, commits)), |code| Code::parse(code))
    else {
        // Other protocols have other codes: as written.
        return written.cloned().unwrap_or_default();
    };
    let code = if commits { code.enhanced() } else { code };
    code.as_str().to_owned()
}

fn usual(words: &ReplyWords, outcome: Outcome, commits: bool) -> Code {
    let as_mirth = words.filtered == WhenFiltered::Refuse;
    match outcome {
        Outcome::Filtered if as_mirth => Code::AR,
        Outcome::Unrouted if as_mirth => Code::AE,
        Outcome::Accepted | Outcome::Filtered | Outcome::Unrouted => Code::AA,
        Outcome::Unreadable => Code::AR,
        Outcome::Unavailable if !commits => Code::AR,
        Outcome::Refused | Outcome::Failed | Outcome::Unavailable => Code::AE,
    }
}

/// Whether the sender asks for a commit acknowledgement and for no other.
fn commits(mode: ReplyMode, message: &[u8]) -> bool {
    let Ok(header) = Header::read(message) else { return false };
    let wants_commit = [&b"AL"[..], b"ER", b"SU"].contains(&header.accept_acknowledgement());
    let wants_no_other = [&b""[..], b"NE"].contains(&header.application_acknowledgement());
    mode != ReplyMode::Original && wants_commit && wants_no_other
}
