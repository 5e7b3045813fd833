//! From `reply:` and `repeats:` to what the engine and the source are told.

use std::time::Duration;

use engine::{
    OtherBytes, Outcome, Path, Promise, RepeatPolicy, Repeats, ReplyMode, ReplyPolicy, ReplyWhen, ReplyWords,
    Silence, WhenFiltered,
};

use super::reader::Reader;
use crate::file::{
    CodesFile, FilteredFile, LongRepeats, LongReply, ModeFile, RepeatsFile, RepeatsWord, ReplyFile, ReplyWord,
};

const USUAL_WAIT: Duration = Duration::from_secs(30);
const USUAL_WINDOW: Duration = Duration::from_hours(24);

/// What stands under `reply:`.
pub(crate) struct ReplyRead {
    pub(crate) policy: ReplyPolicy,
    pub(crate) words: ReplyWords,
    /// The code of `reply: { script: … }`.
    pub(crate) script: Option<String>,
}

pub(crate) fn reply(reader: &mut Reader<'_>) -> ReplyRead {
    let at = Path::parse("reply");
    let long = match reader.read::<ReplyFile>(&at) {
        Some(ReplyFile::Long(long)) => *long,
        Some(ReplyFile::Short(when)) => LongReply { when: Some(when), ..LongReply::default() },
        None => LongReply::default(),
    };
    one_of_three(reader, &long, &at);
    safe_codes(reader, &long.codes, &at);
    let when = match &long {
        LongReply { from: Some(name), .. } => ReplyWhen::From(name.clone()),
        LongReply { script: Some(_), .. } => ReplyWhen::Script,
        LongReply { when, .. } => when_of(when.unwrap_or(ReplyWord::Processed)),
    };
    let words = ReplyWords {
        mode: match long.mode {
            ModeFile::Auto => ReplyMode::Auto,
            ModeFile::Enhanced => ReplyMode::Enhanced,
            ModeFile::Original => ReplyMode::Original,
        },
        codes: codes(&long.codes),
        filtered: match long.filtered {
            FilteredFile::Accept => WhenFiltered::Accept,
            FilteredFile::Refuse => WhenFiltered::Refuse,
        },
        promise: match when {
            ReplyWhen::Stored | ReplyWhen::Never => Promise::Stored,
            _ => Promise::Processed,
        },
        silent: if when == ReplyWhen::Never { Silence::Never } else { Silence::Answers },
    };
    let within = long.within.map_or(USUAL_WAIT, |within| within.0);
    if within.is_zero() {
        reader.error("wrong-value", &at.join("within"), "a sender cannot be answered within no time");
    }
    ReplyRead { policy: ReplyPolicy { when, within }, words, script: long.script }
}

fn when_of(word: ReplyWord) -> ReplyWhen {
    match word {
        ReplyWord::Stored => ReplyWhen::Stored,
        ReplyWord::Processed => ReplyWhen::Processed,
        ReplyWord::Delivered => ReplyWhen::Delivered,
        ReplyWord::Never => ReplyWhen::Never,
    }
}

/// `from` and `script` stand in place of `when`.
fn one_of_three(reader: &mut Reader<'_>, long: &LongReply, at: &Path) {
    let given =
        [("when", long.when.is_some()), ("from", long.from.is_some()), ("script", long.script.is_some())];
    let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    let Some(first) = given.next() else { return };
    for second in given {
        let message =
            format!("`{second}` and `{first}` exclude each other: each says what the answer is made of");
        reader.error("conflicting-fields", &at.join(second), message);
    }
}

fn by_outcome(codes: &CodesFile) -> [(Outcome, &Option<String>); 7] {
    [
        (Outcome::Accepted, &codes.accepted),
        (Outcome::Filtered, &codes.filtered),
        (Outcome::Unrouted, &codes.unrouted),
        (Outcome::Unreadable, &codes.unreadable),
        (Outcome::Refused, &codes.refused),
        (Outcome::Failed, &codes.failed),
        (Outcome::Unavailable, &codes.unavailable),
    ]
}

fn codes(codes: &CodesFile) -> Vec<(Outcome, String)> {
    by_outcome(codes).into_iter().filter_map(|(outcome, code)| Some((outcome, code.clone()?))).collect()
}

/// A message that is not kept is never answered positively.
fn safe_codes(reader: &mut Reader<'_>, codes: &CodesFile, at: &Path) {
    let Some(code) = &codes.unavailable else { return };
    let positive =
        ["AA", "CA", "0000"].contains(&code.as_str()) || (code.len() == 3 && code.starts_with('2'));
    if positive {
        let message = format!("`{code}` would tell the sender that we have a message that we could not keep");
        reader.error("unsafe-reply", &at.join("codes").join("unavailable"), message).help =
            Some("leave it out: the sender keeps the message and sends it again".into());
    }
}

/// `others` is what the source does; names that it lets nobody take twice are known as long as messages are (`known`).
pub(crate) fn repeats(reader: &mut Reader<'_>, others: OtherBytes, known: Duration) -> Repeats {
    let long = match reader.read::<RepeatsFile>(&Path::parse("repeats")) {
        Some(RepeatsFile::Long(long)) => long,
        Some(RepeatsFile::Short(what)) => LongRepeats { what, window: None },
        None => LongRepeats { what: RepeatsWord::Accept, window: None },
    };
    let policy = match long.what {
        RepeatsWord::Accept => RepeatPolicy::Accept,
        RepeatsWord::AnswerAgain => RepeatPolicy::AnswerAgain,
    };
    let usual = if others == OtherBytes::Refuse { known } else { USUAL_WINDOW };
    Repeats { policy, window: long.window.map_or(usual, |window| window.0), others }
}
