//! Accounts of people who sign in through a provider: made, and renewed each time they come.

use std::net::IpAddr;

use channels::{Mapped, RoleName, SignIn};
use connectors::oidc::{Claims, Provider, texts};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Accounts, Position, Refused, Role,
    kept::{Account, Kept},
    people::require_name,
};

/// Who somebody is at a provider, whatever he is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) issuer: String,
    pub(crate) subject: String,
}

/// Somebody of whom the provider has told.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) position: Position,
}

/// What is to be written down before somebody comes in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Made,
    Moved,
    None,
}

/// Why somebody whom the provider knows has no account here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Nothing that the provider says of him gives him a role.
    NoRole,
    /// What he is called at the provider is no name here.
    NoName,
}

/// The provider, and who of it may what here.
pub(crate) struct Gate {
    pub(crate) provider: Provider,
    account: String,
    claim: String,
    roles: Vec<Mapped>,
}

impl Gate {
    pub(crate) fn new(said: &SignIn, root: &std::path::Path) -> Self {
        let provider = Provider::new(said.oidc.clone(), root);
        let (account, claim) = (said.account.clone(), said.claim.clone());
        Self { provider, account, claim, roles: said.roles.clone() }
    }

    /// The claims without which nobody is known.
    pub(crate) fn needed(&self) -> [&str; 2] {
        [&self.account, &self.claim]
    }

    pub(crate) fn person(&self, claims: &Claims) -> Result<Person, Misfit> {
        let words = claims.find(&self.claim).map(texts).unwrap_or_default();
        let fits = |mapped: &&Mapped| words.contains(&mapped.value.as_str());
        let mapped = self.roles.iter().find(fits).ok_or(Misfit::NoRole)?;
        let name = claims.find(&self.account).and_then(Value::as_str).ok_or(Misfit::NoName)?;
        // An address that nobody has proven may be anybody's.
        let is_unproven =
            self.account == "email" && claims.find("email_verified") == Some(&Value::Bool(false));
        if is_unproven || require_name(name).is_err() {
            return Err(Misfit::NoName);
        }
        let identity =
            Identity { issuer: self.provider.issuer().to_owned(), subject: claims.subject().to_owned() };
        let position = Position { role: role(mapped.role), tags: mapped.tags.clone() };
        Ok(Person { name: name.to_owned(), identity, position })
    }
}

fn role(name: RoleName) -> Role {
    match name {
        RoleName::Viewer => Role::Viewer,
        RoleName::Operator => Role::Operator,
        RoleName::Engineer => Role::Engineer,
        RoleName::Administrator => Role::Administrator,
    }
}

impl Accounts {
    /// Counts a return from the provider at its address, until it is known to be a good one.
    pub(crate) fn begin_return(&self, from: IpAddr) -> Result<(), Refused> {
        self.attempts.begin_at(from).map_err(Refused::Wait)
    }

    /// What letting somebody in would change. Refused where his name is that of another account.
    pub(crate) fn planned(&self, person: &Person) -> Result<Change, Refused> {
        self.read(|kept| planned(kept, person))
    }

    /// Lets somebody in whom the provider has told of: his account is as the provider says from now on.
    pub(crate) fn enter(&self, person: &Person, from: IpAddr) -> Result<String, Refused> {
        let change = self.planned(person)?;
        if change != Change::None {
            self.change(|kept| {
                planned(kept, person)?;
                let account = Account::of_provider(person.position.clone(), person.identity.clone());
                kept.accounts.insert(person.name.clone(), account);
                Ok(())
            })?;
        }
        self.attempts.succeeded_at(from);
        Ok(self.begin_session(&person.name)?)
    }
}

fn planned(kept: &Kept, person: &Person) -> Result<Change, Refused> {
    let Some(account) = kept.accounts.get(&person.name) else { return Ok(Change::Made) };
    if account.provider.as_ref() != Some(&person.identity) {
        let whose = if account.provider.is_some() {
            "belongs to somebody else at the provider"
        } else {
            "is no account of the provider"
        };
        return Err(Refused::Unfit(format!("the account `{}` {whose}", person.name)));
    }
    let is_as_before = account.role == person.position.role && account.tags == person.position.tags;
    Ok(if is_as_before { Change::None } else { Change::Moved })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn person(name: &str, subject: &str, role: Role) -> Person {
        let identity =
            Identity { issuer: "https://login.example.org".to_owned(), subject: subject.to_owned() };
        Person { name: name.to_owned(), identity, position: Position { role, tags: Vec::new() } }
    }

    #[test]
    fn an_account_of_the_provider_is_made_renewed_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        assert_eq!(accounts.planned(&person("ada", "1", Role::Viewer)).unwrap(), Change::Made);
        let session = accounts.enter(&person("ada", "1", Role::Viewer), HERE).unwrap();
        assert_eq!(accounts.position("ada").unwrap().role, Role::Viewer);
        let promoted = person("ada", "1", Role::Engineer);
        assert_eq!(accounts.planned(&promoted).unwrap(), Change::Moved);
        accounts.enter(&promoted, HERE).unwrap();
        assert!(accounts.by_session(&session).unwrap().may(super::super::Right::Deploy));
        assert_eq!(accounts.planned(&promoted).unwrap(), Change::None);
        // Somebody else who was given the name at the provider, and a name that has a password here.
        assert!(matches!(accounts.enter(&person("ada", "2", Role::Viewer), HERE), Err(Refused::Unfit(_))));
        let ours = Position { role: Role::Viewer, tags: Vec::new() };
        accounts.add("bob", ours.clone()).unwrap();
        assert!(matches!(accounts.enter(&person("bob", "3", Role::Viewer), HERE), Err(Refused::Unfit(_))));
        // What the provider says is changed there, and no password stands beside it.
        assert!(matches!(accounts.new_link("ada"), Err(Refused::Unfit(_))));
        assert!(matches!(accounts.change_position("ada", ours), Err(Refused::Unfit(_))));
        let again = Accounts::open(folder.path()).unwrap();
        assert_eq!(again.planned(&promoted).unwrap(), Change::None);
    }

    #[test]
    fn whom_the_provider_calls_admin_does_not_become_the_first_administrator() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        accounts.enter(&person("admin", "1", Role::Viewer), HERE).unwrap();
        assert!(accounts.first_link().unwrap().is_none());
        assert_eq!(accounts.position("admin").unwrap().role, Role::Viewer);
    }
}
