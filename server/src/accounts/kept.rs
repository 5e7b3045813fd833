//! The file of accounts and tokens beside the store: small, whole at any moment, read by its owner only.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Identity, Right, Role, password::Password};
use crate::key::write_for_owner;

pub(crate) const FILE: &str = "accounts.json";

/// All that is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) tokens: BTreeMap<String, Token>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) role: Role,
    /// The channels it is limited to, by their tags; none: all.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    pub(super) password: Option<Password>,
    /// By which a password may be chosen, once.
    pub(super) link: Option<Link>,
    /// Of whom the provider says what he may, and who signs in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<Identity>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) digest: String,
    pub(super) until: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) digest: String,
    pub(super) rights: Vec<Right>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    pub(super) until: Timestamp,
    pub(super) by: String,
    /// The account whose owner made it: it may no more than that one does, and goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
}

impl Kept {
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        match fs::read_to_string(path(folder)) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                let file = path(folder);
                io::Error::other(format!(
                    "{} cannot be read ({error}); bring it back from a backup, or remove it to begin with no accounts",
                    file.display()
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Durable when this returns.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        write_for_owner(&path(folder), &text)?;
        fs::File::open(folder)?.sync_all()
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
