//! What is to be said of a mail server, and of the letters that it gets.

use std::path::Path;

use async_trait::async_trait;
use engine::{Checks, Destination, DestinationSettings, Doubt, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{letter, send::Sender};
use crate::{
    Examine,
    secret::Secret,
    setting::{Address, Period},
    tls::{Connector, Side, Tls},
    web::headers::Text,
};

/// Sends a letter for each message through a mail server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "server": "mail.example.org:587", "from": "relais@example.org", "to": ["lab@example.org"], "subject": "A result" }))]
pub(super) struct Settings {
    /// The mail server, with its port: 587 with `starttls`, 465 with `tls`, 25 between servers.
    pub(super) server: Address,

    /// How the way there is encrypted: `starttls` begins in the clear and asks for TLS before anything is said, `tls` begins
    /// with it, `none` has none.
    #[serde(default)]
    pub(super) encryption: Encryption,

    /// TLS: `authorities` to trust (the system's by default) and, where the server asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    pub(super) tls: Option<Tls>,

    /// Who we are to the server. Only over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Account")]
    pub(super) auth: Option<Account>,

    /// Whom the letter is from: `relais@example.org`, or `"Relais <relais@example.org>"`.
    #[schemars(with = "Text")]
    pub(super) from: Text,

    /// Whom it is for. All of them get it, or none.
    #[schemars(length(min = 1))]
    pub(super) to: Vec<Text>,

    /// Who gets a copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cc: Vec<Text>,

    /// Its subject.
    #[serde(default = "subject")]
    #[schemars(with = "Text")]
    pub(super) subject: Text,

    /// Its text; by default the message itself, where that is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text")]
    pub(super) body: Option<Text>,

    /// Puts the message beside the text, as a file of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text", example = "result.hl7")]
    pub(super) attach: Option<Text>,

    /// The name by which we greet the server (`relais.example.org`); our address by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9.\\-]+$", "examples" = ["relais.example.org"]))]
    pub(super) hello: Option<String>,

    /// How long one attempt may take, from connecting to the server's last word.
    #[serde(default = "timeout")]
    pub(super) timeout: Period,
}

/// How the way to the server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Encryption {
    #[default]
    Starttls,
    Tls,
    None,
}

/// A name and its password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Account {
    /// The name of the account.
    #[schemars(example = &"relais")]
    pub(super) user: String,
    /// Its password, best from a file.
    pub(super) password: Secret,
}

fn subject() -> Text {
    Text("A message of Relais".to_owned())
}

fn timeout() -> Period {
    Period::seconds(60)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.examine(Side::Connects, root, "tls", checks);
        }
    }
}

#[async_trait]
impl DestinationSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.check(Side::Connects, "tls", checks);
        }
        if self.encryption == Encryption::None {
            if self.auth.is_some() {
                let why = "without encryption anybody on the way could read the password";
                checks.error("conflicting-fields", "auth", why);
            }
            if self.tls.is_some() {
                checks.error("unused-field", "tls", "only means something with encryption");
            }
        }
        let addresses = [("from".to_owned(), &self.from)].into_iter();
        let places = |list: &'static str, texts| places(list, texts);
        for (at, text) in addresses.chain(places("to", &self.to)).chain(places("cc", &self.cc)) {
            if !text.0.contains("${") && letter::mailbox(&text.0).is_err() {
                checks.error("wrong-value", &at, format!("`{}` is no address of mail", text.0));
            }
        }
        if self.timeout.0.is_zero() {
            checks.error("period-too-short", "timeout", "no attempt could succeed");
        }
    }

    /// A second copy bears the same Message-ID: whoever gets it can tell.
    fn doubt(&self) -> Doubt {
        Doubt::Resend
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(self.sender(opening)?))
    }

    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        self.sender(opening)?.reach().await.map_err(OpenError::new)
    }
}

/// The texts of a list, each at its setting.
fn places<'t>(list: &'static str, texts: &'t [Text]) -> impl Iterator<Item = (String, &'t Text)> {
    texts.iter().enumerate().map(move |(number, text)| (format!("{list}.{number}"), text))
}

impl Settings {
    fn sender(&self, opening: &Opening) -> Result<Sender, OpenError> {
        let tls = (self.encryption != Encryption::None).then(|| self.tls.clone().unwrap_or_default());
        let tls = tls.map(|tls| Connector::new(&tls, &opening.root)).transpose();
        let tls = tls.map_err(|why| OpenError::new(format!("cannot send mail to {}: {why}", self.server)))?;
        Ok(Sender { settings: self.clone(), tls, shown: opening.connections.clone() })
    }
}
