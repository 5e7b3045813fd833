//! `sign_in:` of the server's settings: a provider of accounts, and who of it may what here.

use std::path::Path as FilePath;

use connectors::oidc;
use engine::{Checks, Diagnostic, Path};
use schemars::JsonSchema;
use serde::Deserialize;

/// People may sign in through a provider of accounts, beside those who have a password here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The provider, and who we are there.
    pub oidc: oidc::Settings,
    /// What the provider says of a person that his account is called by here: 1 to 64 letters, digits or `.-_@`.
    #[serde(default = "account")]
    pub account: String,
    /// What it says of a person by which his role is told: one word or a list, a name or the way to it
    /// (`realm_access.roles`).
    #[serde(default = "claim")]
    pub claim: String,
    /// Who may what, by the words of `claim`: the first that fits counts. Whom none fits is not let in.
    #[schemars(length(min = 1))]
    pub roles: Vec<Mapped>,
}

/// Whoever has this word at the provider, and what he is here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapped {
    /// The word, whole and in the same letters.
    #[schemars(example = &"relais-operators")]
    pub value: String,
    pub role: RoleName,
    /// Limits them to channels with one of these tags; none: they see all.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RoleName {
    Viewer,
    Operator,
    Engineer,
    Administrator,
}

fn account() -> String {
    "preferred_username".to_owned()
}

fn claim() -> String {
    "groups".to_owned()
}

impl SignIn {
    /// What is wrong beyond what the schema says.
    pub(crate) fn check(&self, root: &FilePath, found: &mut Vec<Diagnostic>) {
        let mut checks = Checks::new(Path::parse("sign_in.oidc"), found);
        self.oidc.check(&mut checks);
        self.oidc.examine(root, &mut checks);
        let mut checks = Checks::new(Path::parse("sign_in"), found);
        for (name, text) in [("account", &self.account), ("claim", &self.claim)] {
            if text.trim().is_empty() {
                checks.error("missing-field", name, "nobody would be known");
            }
        }
        for (number, mapped) in self.roles.iter().enumerate() {
            let at = |field: &str| format!("roles.{number}.{field}");
            if mapped.role == RoleName::Administrator && !mapped.tags.is_empty() {
                checks.error("unused-field", &at("tags"), "an administrator is not limited to tags");
            }
            if self.roles[..number].iter().any(|before| before.value == mapped.value) {
                let why = format!("`{}` stands above already, and the first one counts", mapped.value);
                checks.error("wrong-value", &at("value"), why);
            }
            if mapped.value.is_empty() {
                checks.error("wrong-value", &at("value"), "is a word that somebody has at the provider");
            }
        }
    }
}
