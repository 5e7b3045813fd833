//! Messages that are run together, in groups.

use engine::{Group, Path, ReplyWhen};
use scripts::{At, GroupFile};

use super::{reader::Reader, reply::ReplyRead};
use crate::file::{self, CountFile};

/// `group:` as far as it could be read: its code, and what the engine needs.
pub(crate) struct GroupRead {
    pub(crate) code: GroupFile,
    pub(crate) plan: Group,
}

pub(crate) fn group(reader: &mut Reader<'_>, reply: &ReplyRead) -> Option<GroupRead> {
    let at = Path::parse("group");
    let read: file::GroupFile = reader.read(&at)?;
    if read.quiet.0.is_zero() {
        reader.error("wrong-value", &at.join("quiet"), "a group that need not be quiet is none");
    }
    let at_most = read.at_most.map(|period| period.0);
    if at_most.is_some_and(|at_most| at_most < read.quiet.0) {
        let message = "`at_most` is shorter than `quiet`, which would never come to bear";
        reader.error("wrong-value", &at.join("at_most"), message);
    }
    if matches!(reply.policy.when, ReplyWhen::Delivered | ReplyWhen::From(_) | ReplyWhen::Script) {
        let message = "a member of a group is answered before there is a delivery: `stored` or `processed`";
        reader.error("conflicting-fields", &Path::parse("reply"), message);
    }
    let count = match read.count {
        None => Vec::new(),
        Some(CountFile::Number(number)) => vec![At::new(at.join("count"), number.to_string())],
        Some(CountFile::Read(key)) => key.at(&at.join("count")),
    };
    let code = GroupFile {
        by: read.by.at(&at.join("by")),
        member: read.member.map(|key| key.at(&at.join("member"))).unwrap_or_default(),
        count,
    };
    Some(GroupRead { code, plan: Group { quiet: read.quiet.0, at_most } })
}
