//! What every connector needs that asks a server by HTTP: connections, credentials, proxies, and what an answer permits.

mod assertion;
pub(crate) mod auth;
mod client;
pub(crate) mod content;
mod draft;
pub(crate) mod headers;
mod link;
mod many;
pub(crate) mod meaning;
mod payload;
pub(crate) mod place;
mod proxy;
mod server;
mod taking;
mod tally;
mod token;

use std::time::Duration;

pub(crate) use auth::Auth;
pub(crate) use client::{Access, Client};
pub(crate) use draft::Draft;
pub(crate) use link::{Answer, AnswerBody};
pub(crate) use payload::Payload;
pub(crate) use proxy::Proxy;
pub(crate) use taking::{Sink, Taking};

/// How long a server that is only tried may take to pick up.
pub(crate) const TRY: Duration = Duration::from_secs(5);
