//! A place where files lie: a folder of this machine, or one behind a server.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Content, Hindered, Spool, StoreError};

/// The longest name that file systems take, in bytes.
pub(super) const LONGEST: usize = 255;

/// A folder of the settings, and what lies beneath it. Names are bytes: nothing says that they are text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Location {
    /// As the settings write it.
    pub(crate) base: Arc<str>,
    /// From there on, parted by `/`; empty: the folder itself.
    pub(crate) trail: Vec<u8>,
}

impl Location {
    pub(crate) fn new(base: &str) -> Self {
        Self { base: base.into(), trail: Vec::new() }
    }

    /// What lies in this folder under `name`, which may lead into a folder below.
    #[must_use]
    pub(crate) fn join(&self, name: &[u8]) -> Self {
        let gap: &[u8] = if self.trail.is_empty() || name.is_empty() { b"" } else { b"/" };
        Self { base: Arc::clone(&self.base), trail: [self.trail.as_slice(), gap, name].concat() }
    }

    /// The folder it lies in.
    #[must_use]
    pub(crate) fn folder(&self) -> Self {
        let end = self.trail.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Self { base: Arc::clone(&self.base), trail: self.trail[..end].to_vec() }
    }

    /// The last part of its name.
    pub(crate) fn name(&self) -> &[u8] {
        self.parts().last().unwrap_or_default()
    }

    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.trail.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }
}

/// For people: what is no text stands as `\xE9`.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if self.trail.is_empty() || self.base.ends_with('/') { "" } else { "/" };
        write!(formatter, "{}{gap}{}", self.base, shown(&self.trail))
    }
}

/// A name for people, on one line: what is no text, or would break the line, stands as `\xE9`.
pub(crate) fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                character if character.is_control() => text.extend(character.escape_default()),
                character => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

/// What lies in a folder under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) stat: Stat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// A link, a device, a pipe: never taken, never followed.
    Other,
}

/// What a place says of a file without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) size: u64,
    /// Nanoseconds since 1970; a server may know whole seconds alone.
    pub(crate) modified: i64,
}

/// Says what could not be done, by what it means for the one who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it is not there")]
    Missing,
    #[error("the name is taken")]
    Taken,
    #[error("it changed while it was read")]
    Changed,
    /// This file cannot be read now; the others may.
    #[error("{0}")]
    Closed(String),
    /// This file cannot be had; the others may.
    #[error("{0}")]
    Unfit(String),
    /// Nothing can be had here now, in words that name no file.
    #[error("{0}")]
    Away(Hindered),
}

/// What comes cannot be kept now.
impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::away(error.to_string())
    }
}

impl Fault {
    pub(crate) fn away(why: impl Into<Hindered>) -> Self {
        Self::Away(why.into())
    }
}

impl From<Fault> for Hindered {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away(why) => why,
            fault => fault.to_string().into(),
        }
    }
}

pub(crate) type Done<T = ()> = Result<T, Fault>;

/// Where files lie. Everything it does is whole or not done, as far as the place can.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// Hands over what a folder holds, as it comes. Links are told as such, and not followed.
    async fn list(&self, folder: &Location, each: &mut (dyn FnMut(Entry) + Send)) -> Done;

    /// Looks at what stands under a name, without following it.
    async fn look(&self, at: &Location) -> Done<(Kind, Stat)>;

    /// Reads a whole file that is no longer than `longest`, with how it stood before and after: one that is long, into the
    /// spool as it comes.
    async fn read(&self, at: &Location, longest: u64, spool: Spool) -> Done<(Content, Stat)>;

    /// Writes a file under a name of ours and makes it durable, whatever stood there.
    async fn write(&self, at: &Location, bytes: &Bytes) -> Done;

    /// Gives a file another name, and never that of another file.
    async fn rename(&self, from: &Location, to: &Location) -> Done;

    /// Gives a file a name that nobody else draws, in one step.
    async fn rename_to_own(&self, from: &Location, to: &Location) -> Done {
        self.rename(from, to).await
    }

    async fn remove(&self, at: &Location) -> Done;

    /// Makes a folder and those above it. One that is there is as good.
    async fn make_folder(&self, at: &Location) -> Done;

    /// Removes a folder that is empty; says nothing of one that is not.
    async fn remove_folder(&self, at: &Location) -> Done;

    /// Makes names in these folders durable, where the place can.
    async fn settle(&self, folders: &[Location]) -> Done;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_taken_apart_as_it_was_put_together() {
        let folder = Location::new("in").join(b"a/b");
        let file = folder.join(b"c\xE9.hl7");
        assert_eq!((file.name(), file.folder()), (b"c\xE9.hl7".as_slice(), folder));
        assert_eq!(file.to_string(), r"in/a/b/c\xE9.hl7");
        assert_eq!(Location::new("in").join(b"x").folder(), Location::new("in"));
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        assert_eq!(shown(b"a\nb\x1b[2J\\.hl7"), r"a\nb\u{1b}[2J\\.hl7");
        assert_eq!(shown("é".as_bytes()), "é");
    }
}
