//! What the two ends of MLLP have in common in their settings: which way to connect, and the frame's bytes.

use engine::{Checks, Claim, OpenError, Opening};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    setting::{Address, Hexadecimal, Listen},
    tls::{self, Side, Tls},
};

/// The bytes around each message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Framing {
    /// The byte before a message.
    pub start: Hexadecimal,
    /// The bytes after a message.
    pub end: Hexadecimal,
}

impl Default for Framing {
    fn default() -> Self {
        Self { start: Hexadecimal(vec![0x0b]), end: Hexadecimal(vec![0x1c, 0x0d]) }
    }
}

impl Framing {
    pub(super) fn check(&self, checks: &mut Checks<'_>) {
        let start = &self.start.0;
        if start.len() != 1 {
            checks.error("framing", "framing.start", "a frame begins with exactly one byte");
        }
        if self.end.0.len() > 4 {
            checks.error("framing", "framing.end", "a frame ends with four bytes at most");
        }
        if self.end.0.first() == start.first() {
            checks.error("framing", "framing.end", "a frame cannot end with the byte that begins one");
        }
    }
}

/// Who calls whom: exactly one of `listen` and `connect` is given.
pub(super) struct Way<'a> {
    pub(super) listen: Option<Listen>,
    pub(super) connect: Option<&'a Address>,
    pub(super) tls: Option<&'a Tls>,
}

impl Way<'_> {
    pub(super) fn check(&self, checks: &mut Checks<'_>) {
        match (self.listen, self.connect) {
            (None, None) => checks.error("listen-or-connect", "", "needs `listen` or `connect`"),
            (Some(_), Some(_)) => {
                checks.error("listen-or-connect", "connect", "takes `listen` or `connect`, not both");
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        if let Some(tls) = self.tls {
            tls.check(self.side(), "tls", checks);
        }
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        self.listen.iter().filter(|listen| listen.0.port() != 0).map(|listen| Claim::Port(listen.0)).collect()
    }

    pub(super) fn examine(&self, root: &std::path::Path, checks: &mut Checks<'_>) {
        if let Some(tls) = self.tls {
            tls.examine(self.side(), root, "tls", checks);
        }
    }

    /// What greets the peer at `address`, where TLS is asked for.
    pub(super) fn connector(
        &self,
        address: &Address,
        opening: &Opening,
    ) -> Result<Option<tls::Connector>, OpenError> {
        let connector = self.tls.map(|tls| tls::Connector::new(tls, &opening.root)).transpose();
        connector.map_err(|why| OpenError::new(format!("cannot connect to {address}: {why}")))
    }

    fn side(&self) -> Side {
        if self.listen.is_some() { Side::Listens } else { Side::Connects }
    }
}
