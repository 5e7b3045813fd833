//! The user that a program runs as.

use std::fs;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
    /// What `USER` and `HOME` say; unknown of an account that was written in numbers.
    pub(super) name: Option<(String, String)>,
}

impl Account {
    /// Looks an account up: a name, or `UID:GID`.
    pub(super) fn find(written: &str) -> Result<Self, String> {
        if let Some(account) = Self::numbers(written) {
            return Ok(account);
        }
        let listed = fs::read_to_string("/etc/passwd")
            .map_err(|error| format!("cannot read /etc/passwd to find the user `{written}`: {error}"))?;
        listed.lines().find_map(|line| Self::named(line, written)).ok_or_else(|| {
            format!("there is no user `{written}` in /etc/passwd (one from elsewhere is written `UID:GID`)")
        })
    }

    /// Whether a program may be started as this user.
    pub(super) fn allowed(&self) -> Result<(), String> {
        let ours = rustix::process::geteuid().as_raw();
        if ours == 0 || ours == self.user {
            return Ok(());
        }
        let who = self.name.as_ref().map_or_else(|| self.user.to_string(), |(name, _)| name.clone());
        Err(format!("cannot run a program as `{who}`: only an engine that runs as root can"))
    }

    /// Whether it is another one than the engine's own.
    pub(super) fn is_another(&self) -> bool {
        rustix::process::geteuid().as_raw() != self.user
    }

    fn numbers(written: &str) -> Option<Self> {
        let (user, group) = written.split_once(':')?;
        Some(Self { user: user.parse().ok()?, group: group.parse().ok()?, name: None })
    }

    fn named(line: &str, name: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [of, _, user, group, _, home, ..] = fields[..] else { return None };
        if of != name {
            return None;
        }
        let name = Some((of.to_owned(), home.to_owned()));
        Some(Self { user: user.parse().ok()?, group: group.parse().ok()?, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_name_or_written_in_numbers() {
        let root = Account::find("root").unwrap();
        assert_eq!((root.user, root.name.unwrap().1.as_str()), (0, "/root"));
        assert_eq!(Account::find("12:34").unwrap(), Account { user: 12, group: 34, name: None });
        for wrong in ["no-such-user", "", "12:", "root:root", "-1:0"] {
            assert!(Account::find(wrong).is_err(), "{wrong}");
        }
    }
}
