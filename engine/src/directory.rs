//! Resources of other servers as they are kept here, with their versions: what may be read of them.

use bytes::Bytes;

use crate::StoreError;

/// Reads what is kept. Each call looks into files: keep it away from the async threads where much is asked.
pub trait Directory: Send + Sync {
    /// The current versions that fit, by their ids.
    fn find(&self, search: &Search) -> Result<Vec<Resource>, StoreError>;

    /// The current version of one; of one that was removed, its last.
    fn read(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError>;

    /// Every version that is kept of one, the newest first.
    fn versions(&self, kind: &str, id: &str) -> Result<Vec<Resource>, StoreError>;
}

/// One version of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its type: `Practitioner`.
    pub kind: String,
    pub id: String,
    /// Counted here, from 1.
    pub version: i64,
    /// When it was written here, in milliseconds since 1970: never before one that could be read already.
    pub updated: i64,
    pub state: Presence,
    /// The resource as its server gave it.
    pub body: Bytes,
}

/// Whether a resource is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    Active,
    /// It is there, and says that it is not active.
    Inactive,
    /// Its server has it no more.
    Removed,
}

/// What is looked for; everything given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The type.
    pub kind: String,
    pub terms: Vec<Term>,
    /// Written since, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Written before.
    pub before: Option<i64>,
    /// Behind this id: the next page.
    pub after: Option<String>,
    pub limit: usize,
}

/// Something that a resource says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    Id(String),
    /// A value, of any system where none is said.
    Identifier {
        system: Option<String>,
        value: String,
    },
    /// How a word of its name begins, whatever its case and accents.
    Name(String),
    /// How a word of its address begins.
    Address(String),
    /// A code of its role, its profession or its type.
    Role(String),
    /// What it refers to: `Organization/001-01-900002`.
    Refers(String),
}

/// A directory that holds nothing: where none is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyDirectory;

impl Directory for EmptyDirectory {
    fn find(&self, _search: &Search) -> Result<Vec<Resource>, StoreError> {
        Ok(Vec::new())
    }

    fn read(&self, _kind: &str, _id: &str) -> Result<Option<Resource>, StoreError> {
        Ok(None)
    }

    fn versions(&self, _kind: &str, _id: &str) -> Result<Vec<Resource>, StoreError> {
        Ok(Vec::new())
    }
}
