//! Tables whose rows a server holds: what a step may ask of one, though it never sees a socket.

use std::{collections::BTreeMap, fmt};

/// A table on a server. Whoever asks waits for the answer where waiting harms nobody.
pub trait Register: Send + Sync {
    /// The names by which a row is found; a lookup says all of them.
    fn keys(&self) -> &[String];

    /// What a row can be asked for; `None` where only the server knows.
    fn columns(&self) -> Option<&[String]>;

    /// Where its rows come from, for the record.
    fn source(&self) -> &str;

    /// What the row that holds all of `keys` has in the column `wanted`; nothing where there is no such row.
    fn look_up(&self, keys: &[(String, String)], wanted: &str) -> Result<Option<String>, LookupError>;

    /// Asks whether the server is there and knows the table.
    fn reach(&self) -> Result<(), String>;
}

/// Why nobody can say what a row holds. No content of messages in the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The server cannot answer now: the message waits for it.
    #[error("{0}")]
    NotNow(String),
    /// It will not answer this at another time either.
    #[error("{0}")]
    Wrong(String),
}

/// What tables of servers hold in a channel's test, by table, by key (of several, with ` / ` between) and by column.
pub type GivenRows = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

/// A question to a table of a server.
pub struct Question<'a> {
    pub table: &'a str,
    pub keys: Vec<(String, String)>,
    pub wanted: &'a str,
}

impl Question<'_> {
    /// What the row is to hold, in one text.
    pub fn key(&self) -> String {
        self.keys.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(BETWEEN)
    }
}

/// What stands between the keys of a lookup by several columns.
pub const BETWEEN: &str = " / ";

impl fmt::Debug for dyn Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Register")
    }
}
