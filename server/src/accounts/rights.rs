//! What somebody may do: rights, the roles that bundle them, and the channels they hold for.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that a path of the API asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Right {
    /// See states, queues and lists: nothing of what messages hold.
    Look,
    /// See what messages hold, and search by it.
    Content,
    /// Start, stop, hold, release, send again, drop.
    Operate,
    /// Bring edited files into force.
    Deploy,
    /// Accounts, tokens, the whole audit log, backups.
    Administer,
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Sees states and lists.
    Viewer,
    /// Sees content too, starts, stops and sends again.
    Operator,
    /// Brings edited files into force too.
    Engineer,
    /// May everything.
    Administrator,
}

/// Which channels somebody sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sees {
    #[default]
    Everything,
    /// Those with one of these tags, and nothing of the server as a whole.
    Tagged(Vec<String>),
}

impl Right {
    pub(crate) const ALL: [Self; 5] =
        [Self::Look, Self::Content, Self::Operate, Self::Deploy, Self::Administer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Content => "content",
            Self::Operate => "operate",
            Self::Deploy => "deploy",
            Self::Administer => "administer",
        }
    }
}

impl Role {
    pub(crate) fn rights(self) -> &'static [Right] {
        let number = match self {
            Self::Viewer => 1,
            Self::Operator => 3,
            Self::Engineer => 4,
            Self::Administrator => 5,
        };
        const { &Right::ALL }.split_at(number).0
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Engineer => "engineer",
            Self::Administrator => "administrator",
        }
    }
}

impl Sees {
    /// No tags: everything.
    pub(crate) fn of(tags: &[String]) -> Self {
        if tags.is_empty() { Self::Everything } else { Self::Tagged(tags.to_vec()) }
    }

    /// What both see.
    pub(crate) fn within(self, other: &Self) -> Self {
        match (self, other) {
            (seen, Self::Everything) => seen,
            (Self::Everything, other) => other.clone(),
            (Self::Tagged(tags), Self::Tagged(others)) => {
                Self::Tagged(tags.into_iter().filter(|tag| others.contains(tag)).collect())
            }
        }
    }

    /// Whether a channel with these tags is among them.
    pub(crate) fn includes(&self, tags: &[String]) -> bool {
        match self {
            Self::Everything => true,
            Self::Tagged(seen) => tags.iter().any(|tag| seen.contains(tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_one_below_may_and_more() {
        assert_eq!(Role::Viewer.rights(), [Right::Look]);
        assert!(!Role::Viewer.rights().contains(&Right::Content));
        assert!(Role::Operator.rights().ends_with(&[Right::Operate]));
        assert!(!Role::Engineer.rights().contains(&Right::Administer));
        assert_eq!(Role::Administrator.rights(), Right::ALL);
    }

    #[test]
    fn who_is_limited_sees_channels_with_one_of_his_tags_and_none_without() {
        let tags = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let laboratory = Sees::of(&tags(&["lab", "blood"]));
        assert!(laboratory.includes(&tags(&["adt", "lab"])));
        assert!(!laboratory.includes(&tags(&["adt"])) && !laboratory.includes(&[]));
        assert!(Sees::of(&[]).includes(&[]));
    }
}
