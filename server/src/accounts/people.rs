//! Accounts of people: made, changed and removed.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Accounts, Identity, Refused, Role,
    kept::{Account, Kept, Link},
    secret::{digest, fresh},
};

/// How long a link works.
const LINK: SignedDuration = SignedDuration::from_hours(24);

/// Tags that an account or a token can be limited to.
const MOST_TAGS: usize = 100;

/// The first administrator.
const FIRST: &str = "admin";

/// What an account is, and for which channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) role: Role,
    /// None: all channels.
    pub(crate) tags: Vec<String>,
}

/// An account, as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AccountStatus {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// It sees channels with one of these tags; none: all.
    pub(crate) tags: Vec<String>,
    /// Whether a password was chosen.
    pub(crate) has_password: bool,
    /// Until when its link works, if one does.
    pub(crate) link_until: Option<String>,
    /// The issuer of the provider through which it signs in, if it does.
    pub(crate) provider: Option<String>,
}

impl Accounts {
    /// A new link for the first administrator, as long as nobody can sign in.
    pub(crate) fn first_link(&self) -> Result<Option<String>, Refused> {
        let is_known = |kept: &Kept| {
            let mut all = kept.accounts.values();
            let is_of_provider = |account: &Account| account.provider.is_some();
            let administers = |account: &Account| account.role == Role::Administrator;
            all.any(|one| one.password.is_some() || (is_of_provider(one) && administers(one)))
                || kept.accounts.get(FIRST).is_some_and(is_of_provider)
        };
        if self.read(is_known) {
            return Ok(None);
        }
        let (secret, link) = fresh_link()?;
        self.change(|kept| {
            let account = Account::new(Position { role: Role::Administrator, tags: Vec::new() }, link);
            kept.accounts.insert(FIRST.to_owned(), account);
            Ok(Some(secret))
        })
    }

    pub(crate) fn list(&self) -> Vec<AccountStatus> {
        let shown = |(name, account): (&String, &Account)| AccountStatus {
            name: name.clone(),
            role: account.role,
            tags: account.tags.clone(),
            has_password: account.password.is_some(),
            link_until: account.link.as_ref().map(|link| link.until.to_string()),
            provider: account.provider.as_ref().map(|identity| identity.issuer.clone()),
        };
        self.read(|kept| kept.accounts.iter().map(shown).collect())
    }

    /// A new account; its link is given once.
    pub(crate) fn add(&self, name: &str, position: Position) -> Result<String, Refused> {
        require_name(name)?;
        position.require_sense()?;
        let (secret, link) = fresh_link()?;
        self.change(|kept| {
            if kept.accounts.contains_key(name) {
                return Err(Refused::Unfit(format!("there is an account `{name}` already")));
            }
            let account = Account::new(position, link);
            kept.accounts.insert(name.to_owned(), account);
            Ok(secret)
        })
    }

    /// Another link for an account, for who forgot the password. The old one works until another is chosen.
    pub(crate) fn new_link(&self, name: &str) -> Result<String, Refused> {
        let (secret, link) = fresh_link()?;
        self.change(|kept| {
            own(kept, name)?.link = Some(link);
            Ok(secret)
        })
    }

    pub(crate) fn change_position(&self, name: &str, position: Position) -> Result<(), Refused> {
        position.require_sense()?;
        self.change(|kept| {
            let account = own(kept, name)?;
            (account.role, account.tags) = (position.role, position.tags);
            require_administrator(kept)
        })
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Refused> {
        self.change(|kept| {
            of(kept, name)?;
            kept.accounts.remove(name);
            kept.tokens.retain(|_, token| token.account.as_deref() != Some(name));
            require_administrator(kept)
        })?;
        self.end_sessions(name);
        Ok(())
    }

    pub(crate) fn position(&self, name: &str) -> Option<Position> {
        let position = |account: &Account| Position { role: account.role, tags: account.tags.clone() };
        self.read(|kept| kept.accounts.get(name).map(position))
    }
}

impl Account {
    fn new(position: Position, link: Link) -> Self {
        Self { role: position.role, tags: position.tags, password: None, link: Some(link), provider: None }
    }

    pub(super) fn of_provider(position: Position, identity: Identity) -> Self {
        let provider = Some(identity);
        Self { role: position.role, tags: position.tags, password: None, link: None, provider }
    }
}

impl Position {
    /// Accounts, tokens and backups are of the whole server.
    fn require_sense(&self) -> Result<(), Refused> {
        if self.role == Role::Administrator && !self.tags.is_empty() {
            return Err(Refused::Unfit("an administrator is not limited to tags".to_owned()));
        }
        require_tags(&self.tags)
    }
}

pub(super) fn require_tags(tags: &[String]) -> Result<(), Refused> {
    if tags.len() > MOST_TAGS || tags.iter().any(|tag| tag.is_empty() || tag.len() > 64) {
        return Err(Refused::Unfit(format!("at most {MOST_TAGS} tags, each of 1 to 64 letters")));
    }
    Ok(())
}

fn of<'a>(kept: &'a mut Kept, name: &str) -> Result<&'a mut Account, Refused> {
    let unknown = || Refused::Unknown(format!("there is no account `{name}`"));
    kept.accounts.get_mut(name).ok_or_else(unknown)
}

/// An account whose role and password are looked after here.
fn own<'a>(kept: &'a mut Kept, name: &str) -> Result<&'a mut Account, Refused> {
    let account = of(kept, name)?;
    if account.provider.is_some() {
        let words =
            format!("`{name}` signs in through the provider, which says what he may: change it there");
        return Err(Refused::Unfit(words));
    }
    Ok(account)
}

/// Somebody must be able to make accounts.
fn require_administrator(kept: &Kept) -> Result<(), Refused> {
    if kept.accounts.values().any(|account| account.role == Role::Administrator) {
        return Ok(());
    }
    Err(Refused::Unfit("the last administrator stays: make another one first".to_owned()))
}

/// What a name is made of: it stands in logs, tables and addresses.
pub(super) fn require_name(name: &str) -> Result<(), Refused> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ".-_@".contains(letter);
    if (1..=64).contains(&name.len()) && name.chars().all(is_letter) {
        return Ok(());
    }
    Err(Refused::Unfit("a name has 1 to 64 letters, digits or `.-_@`".to_owned()))
}

fn fresh_link() -> Result<(String, Link), Refused> {
    let secret = fresh()?;
    let link = Link { digest: digest(&secret), until: Timestamp::now() + LINK };
    Ok((secret, link))
}
