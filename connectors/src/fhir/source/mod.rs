//! Takes what changes on a FHIR server: a search that is asked again and again, each version of a resource once.

mod cursor;
mod page;
mod poll;

use std::path::Path;

use async_trait::async_trait;
use engine::{Checks, Inlet, OpenError, Opening, Source, SourceSettings, Stop, Trouble};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use self::{cursor::Cursor, poll::Poll};
use super::{
    capability::{Asked, Deed, Need, is_searched, parameters},
    server::{Server, lacking},
};
use crate::{
    Examine,
    setting::{Period, Size},
    tls::Tls,
    web::{Access, Auth, Proxy, TRY},
};

/// Parameters that are this source's own, and the setting that says them.
const OURS: [(&str, &str); 3] = [
    ("_lastUpdated", "what was changed since the last search is asked for by itself; begin with `since`"),
    ("_sort", "the oldest change comes first"),
    ("_count", "the length of a page stands under `page`"),
];

/// Takes the resources that a search finds, each version of each as a message.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "base": "https://record.example.org/fhir", "search": "Observation?status=final" }))]
pub(in crate::fhir) struct Settings {
    /// The server's base.
    #[schemars(extend("pattern" = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+(/[^?#\\s]*)?$", "examples" = ["https://record.example.org/fhir"]))]
    base: String,

    /// What is searched for: a type, and parameters. Resources that the search includes (`_include`) are taken too.
    #[schemars(extend("pattern" = "^[A-Z][A-Za-z]+(\\?[^\\s#]*)?$", "examples" = ["Observation?status=final"]))]
    search: String,

    /// The pause between the end of one search and the next.
    #[serde(default = "every")]
    every: Period,

    /// Each search looks back so far beyond the last one: a change that the server finished late, or with another clock, is
    /// seen all the same. What was taken is not taken again.
    #[serde(default = "overlap")]
    overlap: Period,

    /// Changes before this time are not taken (`2026-03-01T00:00:00Z`). By default the first search takes all that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})$", "examples" = ["2026-03-01T00:00:00Z"]))]
    since: Option<Timestamp>,

    /// How many resources the server is asked to put on a page.
    #[serde(default = "page")]
    #[schemars(range(min = 1, max = 10000))]
    page: u32,

    /// Whether the server must say in its CapabilityStatement that it knows the search's parameters. One that passes over a
    /// parameter answers with everything.
    #[serde(default)]
    capabilities: Asked,

    /// Who we are to the server. A client's certificate stands under `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Auth")]
    auth: Option<Auth>,

    /// How long one page may take, from connecting to its end.
    #[serde(default = "timeout")]
    timeout: Period,

    /// How long connecting may take, TLS included.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,

    /// The longest page taken, unpacked.
    #[serde(default = "max_size")]
    max_size: Size,

    /// TLS, where the base begins with `https://`: `authorities` to trust (the system's by default) and, where the server
    /// asks for it, `certificate` and `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// A proxy between us and the server. Without one none is used, whatever the environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Proxy")]
    proxy: Option<Proxy>,
}

fn every() -> Period {
    Period::seconds(10)
}

fn overlap() -> Period {
    Period::seconds(600)
}

fn page() -> u32 {
    100
}

fn timeout() -> Period {
    Period::seconds(60)
}

fn connect_timeout() -> Period {
    Period::seconds(10)
}

fn max_size() -> Size {
    Size(64_000_000)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        self.access().examine(root, checks);
    }
}

#[async_trait]
impl SourceSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        self.access().check(checks);
        if self.every.0.is_zero() {
            checks.error("period-too-short", "every", "the server would be asked without a pause");
        }
        for name in parameters(self.query()) {
            if let Some((_, why)) = OURS.iter().find(|(ours, _)| *ours == name) {
                checks.error("wrong-value", "search", format!("holds `{name}`: {why}"));
            }
        }
    }

    fn usual_format(&self) -> &'static str {
        "json"
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let server = self.server(opening)?;
        let cursor = Cursor::open(&opening.notes, &opening.channel, (&self.base, &self.search));
        let cursor =
            cursor.map_err(|error| OpenError::io("cannot read how far the search has come", error))?;
        let trouble = opening.trouble.clone();
        Ok(Box::new(Searching { settings: self.clone(), server, cursor, trouble }))
    }

    /// Connects, and reads whether the server knows the search.
    async fn reach(&self, opening: &Opening) -> Result<(), OpenError> {
        let server = self.server(opening)?;
        let deadline = Instant::now() + TRY;
        let asked = match self.capabilities {
            Asked::Needed => self.ask(&server, deadline).await,
            Asked::Ignored => server.client.reach(deadline).await,
        };
        asked.map_err(|why| OpenError::new(format!("cannot search the FHIR server: {why}")))
    }
}

impl Settings {
    fn access(&self) -> Access<'_> {
        Access {
            url: ("base", &self.base),
            auth: self.auth.as_ref(),
            tls: self.tls.as_ref(),
            proxy: self.proxy.as_ref(),
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            idle: Period::seconds(30),
            keep_alive: Period::seconds(60),
        }
    }

    fn server(&self, opening: &Opening) -> Result<Server, OpenError> {
        let client = self.access().client(&opening.root, self.max_size.0);
        let client = client.map_err(|why| OpenError::new(format!("cannot search the FHIR server: {why}")))?;
        Ok(Server::new(client.shown(&opening.connections), &self.base))
    }

    /// The type that is searched for.
    fn name(&self) -> &str {
        self.search.split('?').next().unwrap_or_default()
    }

    fn query(&self) -> &str {
        self.search.split_once('?').map_or("", |(_, query)| query)
    }

    /// Asks whether the server knows the search, with what is added to it.
    async fn ask(&self, server: &Server, deadline: Instant) -> Result<(), String> {
        let mut by = parameters(self.query());
        by.retain(|name| is_searched(name));
        by.push("_lastUpdated".to_owned());
        let need = Need::Of(self.name().to_owned(), Deed::Search(by));
        let said = server.capabilities(deadline).await?;
        said.lack(&need).map_or(Ok(()), |lack| Err(lacking(&lack)))
    }
}

/// Asks the server again and again.
struct Searching {
    settings: Settings,
    server: Server,
    cursor: Cursor,
    trouble: Trouble,
}

#[async_trait]
impl Source for Searching {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { settings, server, cursor, trouble } = *self;
        let mut poll = Poll::new(&settings, &server, cursor, &inlet);
        let searching = async {
            loop {
                let came = poll.once().await;
                let why = came.err().map(|why| format!("cannot search the FHIR server: {why}"));
                if let (true, Some(why)) = (trouble.say(why.clone()), &why) {
                    tracing::warn!(channel = inlet.channel(), why, "the search failed; will try again");
                }
                tokio::time::sleep(settings.every.0).await;
            }
        };
        // A search that is cut is asked again from where the last whole one began; what it brought is known by its versions.
        tokio::select! {
            () = stop.requested() => {}
            () = searching => {}
        }
        Ok(())
    }
}
