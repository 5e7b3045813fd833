//! The answers that a channel waits for.

use std::sync::Arc;

use engine::{Expect, Path};
use scripts::{At, ExpectFile, KnownBy};

use super::reader::Reader;
use crate::{
    destination_file::KeyFile,
    file::{self, AnswersFile},
};

/// `expect:` as far as it could be read: its code, and what the engine needs.
pub(crate) struct ExpectRead {
    pub(crate) code: ExpectFile,
    pub(crate) plan: Expect,
    /// Where each answering channel is named.
    pub(crate) named: Vec<(String, Path)>,
}

pub(crate) fn expect(reader: &mut Reader<'_>) -> Option<ExpectRead> {
    let at = Path::parse("expect");
    let read: file::ExpectFile = reader.read(&at)?;
    if read.within.0.is_zero() {
        reader.error("wrong-value", &at.join("within"), "an answer that must be there at once is none");
    }
    let by = at.join("answered_by");
    let answers: Vec<(Path, file::AnswerFile)> = match read.answered_by {
        AnswersFile::One(one) => vec![(by, one)],
        AnswersFile::Several(several) => {
            several.into_iter().enumerate().map(|(place, one)| (by.join(place), one)).collect()
        }
    };
    let asks = known_by(&at, read.when, read.key);
    let named: Vec<_> = answers.iter().map(|(at, one)| (one.channel.clone(), at.join("channel"))).collect();
    let answered_by = answers.iter().map(|(_, one)| Arc::from(one.channel.as_str())).collect();
    let answers = answers.into_iter().map(|(at, one)| known_by(&at, one.when, one.key)).collect();
    Some(ExpectRead {
        code: ExpectFile { asks, answers },
        plan: Expect { within: read.within.0, answered_by },
        named,
    })
}

fn known_by(at: &Path, when: Option<String>, key: KeyFile) -> KnownBy {
    KnownBy { when: when.map(|code| At::new(at.join("when"), code)), key: key.at(&at.join("key")) }
}
