//! Tokens of programs: what they may, for which channels, and until when.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Accounts, Caller, Door, Refused, Right,
    kept::{Kept, Token},
    people::{require_name, require_tags},
    secret::{digest, fresh},
};

/// A token lasts no longer than two years.
const MOST_DAYS: u32 = 730;

/// What a token begins with: a scanner of files finds it.
const BEGINS: &str = "relais_";

/// As many as there may be.
const MOST: usize = 1000;

/// A token, as it is shown: not its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TokenStatus {
    pub(crate) name: String,
    pub(crate) rights: Vec<Right>,
    /// It sees channels with one of these tags; none: all.
    pub(crate) tags: Vec<String>,
    pub(crate) until: String,
    pub(crate) expired: bool,
    /// Who made it.
    pub(crate) by: String,
    /// The account that it goes with; none: it was made with the key of the machine, and stays until it is revoked.
    #[serde(default)]
    pub(crate) account: Option<String>,
}

/// What a token is for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenWish {
    pub(crate) name: String,
    pub(crate) rights: Vec<Right>,
    /// Limits it to channels with one of these tags.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// How long it lasts: 1 to 730.
    pub(crate) days: u32,
}

impl Accounts {
    pub(crate) fn tokens(&self) -> Vec<TokenStatus> {
        let now = Timestamp::now();
        let shown = |(name, token): (&String, &Token)| TokenStatus {
            name: name.clone(),
            rights: token.rights.clone(),
            tags: token.tags.clone(),
            until: token.until.to_string(),
            expired: token.until <= now,
            by: token.by.clone(),
            account: token.account.clone(),
        };
        self.read(|kept| kept.tokens.iter().map(shown).collect())
    }

    /// A new token; its secret is given once. It may nothing that its maker may not.
    pub(crate) fn make_token(&self, wish: &TokenWish, by: &Caller) -> Result<String, Refused> {
        require_name(&wish.name)?;
        require_tags(&wish.tags)?;
        require_rights(wish, by)?;
        if !(1..=MOST_DAYS).contains(&wish.days) {
            return Err(Refused::Unfit(format!("a token lasts 1 to {MOST_DAYS} days")));
        }
        let secret = format!("{BEGINS}{}", fresh()?);
        let until = Timestamp::now() + SignedDuration::from_hours(24 * i64::from(wish.days));
        let (rights, tags) = (wish.rights.clone(), wish.tags.clone());
        self.change(|kept| {
            let account = account_of(kept, by)?;
            let token = Token { digest: digest(&secret), rights, tags, until, by: by.name.clone(), account };
            if kept.tokens.contains_key(&wish.name) {
                let words = format!("there is a token `{}` already: revoke it first", wish.name);
                return Err(Refused::Unfit(words));
            }
            if kept.tokens.len() >= MOST {
                return Err(Refused::Unfit(format!("there are {MOST} tokens: revoke some first")));
            }
            kept.tokens.insert(wish.name.clone(), token);
            Ok(secret)
        })
    }

    pub(crate) fn revoke_token(&self, name: &str) -> Result<(), Refused> {
        self.change(|kept| match kept.tokens.remove(name) {
            Some(_) => Ok(()),
            None => Err(Refused::Unknown(format!("there is no token `{name}`"))),
        })
    }
}

/// The account of who makes a token, by himself or with a token of his.
fn account_of(kept: &Kept, by: &Caller) -> Result<Option<String>, Refused> {
    match &by.door {
        Door::Key => Ok(None),
        // He may have been removed since he was let in.
        Door::Session(_) if kept.accounts.contains_key(&by.name) => Ok(Some(by.name.clone())),
        Door::Session(_) => Err(Refused::Unknown(format!("there is no account `{}`", by.name))),
        Door::Token(digest) => {
            let his = kept.tokens.values().find(|token| token.digest == *digest);
            let his = his.ok_or_else(|| Refused::Unknown("your own token was revoked".to_owned()))?;
            Ok(his.account.clone())
        }
    }
}

fn require_rights(wish: &TokenWish, by: &Caller) -> Result<(), Refused> {
    if wish.rights.is_empty() {
        return Err(Refused::Unfit("a token has at least one right".to_owned()));
    }
    if wish.rights.contains(&Right::Administer) && !wish.tags.is_empty() {
        return Err(Refused::Unfit("what administers is not limited to tags".to_owned()));
    }
    match wish.rights.iter().find(|right| !by.may(**right)) {
        Some(right) => Err(Refused::Unfit(format!("you cannot give `{}`: you have it not", right.name()))),
        None => Ok(()),
    }
}
