//! A proxy between us and a server.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{secret::Secret, setting::Address};

/// A proxy: asked for a tunnel to a server with TLS, and for the request itself where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Proxy {
    /// Where the proxy is.
    pub(crate) connect: Address,

    /// Who we are to the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) user: Option<String>,

    /// The password of `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Secret")]
    pub(crate) password: Option<Secret>,
}
