//! A server that behaves, and misbehaves, like the French Annuaire Santé: since that one has no sandbox.
//!
//! Everything it says is a function of its seed, of what was asked and of the time it is told: tests give it their own.

mod events;
mod faults;
mod made;
mod search;
mod world;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

pub use self::{
    events::{Deed, Event, Scenario},
    faults::{Fault, Kind as FaultKind},
    made::{Kind, rpps},
};
use self::{faults::Faults, search::Search, world::World};

/// Where it is served.
pub const PATH: &str = "/fhir/v2";

const FHIR: &str = "application/fhir+json;charset=UTF-8";
const TOO_OLD: &str = "The url can't be processed. Maybe it is too old or corrupted.";

/// How a mock is made.
#[derive(Debug, Clone)]
pub struct Settings {
    pub practitioners: u64,
    pub seed: u64,
    /// So many calls in so long.
    pub rate: Option<(u32, Duration)>,
    /// The only key that is taken.
    pub key: Option<String>,
    pub faults: Vec<Fault>,
    pub scenario: Scenario,
}

/// The server.
pub struct Annuaire {
    settings: Settings,
    world: World,
    faults: Faults,
    born: i64,
    /// Events of the scenario that have happened.
    happened: usize,
    /// When the current window of the quota began, and how many calls it has seen.
    window: (i64, u32),
    calls: u64,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    pub method: &'a str,
    /// From the server's root.
    pub path: &'a str,
    pub query: &'a str,
    /// `http://host:port`, as it was reached.
    pub host: &'a str,
    pub key: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// What it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// The connection ends within the body.
    pub is_cut: bool,
}

impl Annuaire {
    /// `now` in milliseconds since 1970, here and everywhere.
    pub fn new(settings: Settings, now: i64) -> Self {
        let world = World::new(settings.practitioners, settings.seed);
        let mut faults = Faults::new(settings.seed);
        for fault in &settings.faults {
            faults.add(fault.clone(), now);
        }
        Self { world, faults, born: now, happened: 0, window: (0, 0), calls: 0, settings }
    }

    /// Answers one call.
    pub fn answer(&mut self, request: &Request<'_>, now: i64) -> Reply {
        self.calls += 1;
        self.pass(now);
        let mut reply = self.turned_away(request, now).unwrap_or_else(|| self.served(request, now));
        if !reply.headers.iter().any(|(name, _)| *name == "date") {
            reply.headers.push(("date", date(now)));
        }
        reply.headers.retain(|(_, value)| !value.is_empty());
        reply
    }

    /// How many calls came.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Every resource of a type by its id, as it is now.
    pub fn truth(&self, kind: Kind) -> BTreeMap<String, String> {
        self.world.truth(kind)
    }

    /// Lets something go wrong from now on.
    pub fn fail(&mut self, fault: Fault, now: i64) {
        self.faults.add(fault, now);
    }

    /// Ends everything that goes wrong.
    pub fn mend(&mut self) {
        self.faults.clear();
        self.world.mend();
    }

    /// The gateway, which lets not everybody through.
    fn turned_away(&mut self, request: &Request<'_>, now: i64) -> Option<Reply> {
        if self.settings.key.as_deref().is_some_and(|key| request.key != Some(key)) {
            return Some(unauthorized());
        }
        let (most, per) = self.settings.rate?;
        let length = per.as_millis().max(1) as i64;
        let begun = now - now.rem_euclid(length);
        self.window = if self.window.0 == begun { (begun, self.window.1 + 1) } else { (begun, 1) };
        (self.window.1 > most).then(|| too_many(most, per, begun + length))
    }

    fn served(&mut self, request: &Request<'_>, now: i64) -> Reply {
        let Some(path) = request.path.strip_prefix(PATH) else { return no_context() };
        let path = path.trim_matches('/');
        let posted = request.method == "POST" && path.ends_with("/_search");
        if request.method != "GET"
            && !(posted && request.content_type == Some("application/x-www-form-urlencoded"))
        {
            return outcome(403, "Forbidden");
        }
        let query = if posted {
            String::from_utf8_lossy(request.body).into_owned()
        } else {
            request.query.to_owned()
        };
        let path = path.strip_suffix("/_search").unwrap_or(path);
        if path == "metadata" {
            return Reply {
                status: 200,
                headers: vec![("content-type", FHIR.into())],
                body: statement(),
                is_cut: false,
            };
        }
        if path == "_page" {
            return self.paged(request, now);
        }
        let (name, id) = path.split_once('/').map_or((path, None), |(name, id)| (name, Some(id)));
        let Some(kind) = Kind::of(name) else { return unknown_type() };
        if let Some(id) = id {
            return self.read(kind, id, now);
        }
        let (wanted, count, has_total) = match Search::read(kind, &query) {
            Ok(read) => read,
            Err(refused) => return outcome(500, &refused.0),
        };
        let total = has_total.then(|| self.world.count(kind, &wanted));
        let search = Search {
            kind: name.to_owned(),
            query,
            count,
            total,
            at: now,
            end: self.world.end(kind),
            page: 1,
            position: 0,
        };
        self.page(request, &search, now)
    }

    fn paged(&mut self, request: &Request<'_>, now: i64) -> Reply {
        let Some(token) = request.query.strip_prefix("id=") else {
            return outcome(400, "The parameter id is mandatory");
        };
        match Search::of_link(token, self.settings.seed) {
            Some(search) => self.page(request, &search, now),
            None => outcome(500, TOO_OLD),
        }
    }

    fn read(&mut self, kind: Kind, id: &str, now: i64) -> Reply {
        if let Some(reply) = self.faults.next(None, now).and_then(|fault| failed(fault, now)) {
            return reply;
        }
        match self.world.read(kind, id) {
            Some(body) => {
                Reply { status: 200, headers: vec![("content-type", FHIR.into())], body, is_cut: false }
            }
            None => outcome(404, &format!("Resource not found with id: {id}")),
        }
    }

    fn page(&mut self, request: &Request<'_>, search: &Search, now: i64) -> Reply {
        let fault = self.faults.next(Some(search.page), now);
        if let Some(reply) = fault.and_then(|fault| failed(fault, now)) {
            return reply;
        }
        let kind = Kind::of(&search.kind).expect("a link stands for a type that is served");
        let wanted = Search::read(kind, &search.query).map(|read| read.0).unwrap_or_default();
        let (found, next) =
            self.world.page(kind, (&wanted, search.end), (search.position, search.count as usize));
        let base = format!("{}{PATH}", request.host);
        let next = next.map(|position| {
            let next = Search { page: search.page + 1, position, ..search.clone() };
            format!("{base}/_page?id={}", next.link(self.settings.seed))
        });
        let question = if request.query.is_empty() { "" } else { "?" };
        let own = format!("{}{}{question}{}", request.host, request.path, request.query);
        let page = Page { base: &base, kind, found, total: search.total, next, own };
        let id = format!("{:08x}-0000-4000-8000-{:012x}", search.at & 0xffff_ffff, search.page);
        page.reply(&id, fault)
    }
}

/// One page of a search, as it is written.
struct Page<'a> {
    base: &'a str,
    kind: Kind,
    found: Vec<(String, String)>,
    total: Option<u64>,
    next: Option<String>,
    own: String,
}

impl Page<'_> {
    /// The page, or what a fault makes of it.
    fn reply(mut self, id: &str, fault: Option<FaultKind>) -> Reply {
        match fault {
            Some(FaultKind::NoTotal) => self.total = None,
            Some(FaultKind::Double) if !self.found.is_empty() => self.found.push(self.found[0].clone()),
            Some(FaultKind::BadEntry) => {
                self.found.insert(
                    0,
                    (String::new(), format!(r#"{{"resourceType":"{}","active":true}}"#, self.kind.name())),
                );
            }
            Some(FaultKind::LostId) if !self.found.is_empty() => {
                self.found[0].1 = world::garbled(&self.found[0].1);
            }
            Some(FaultKind::Loop) if self.next.is_some() => self.next = Some(self.own.clone()),
            Some(FaultKind::ForeignLink) => {
                let behind = |url: String| {
                    let (_, there) = url.split_once("://")?;
                    Some(format!("http://gateway.preprod.example/{}", there.split_once('/')?.1))
                };
                self.next = self.next.and_then(behind);
            }
            Some(FaultKind::OldLink) => {
                let base = self.base.replace(PATH, "/fhir/v1");
                self.next = self.next.map(|_| {
                    format!("{base}?_getpages=b1c9e2d4-8a58-4b41-9d8e-7c3e2f1a0b5c&_pageId=2&_bundletype=searchset")
                });
            }
            _ => {}
        }
        let mut body = self.text(id);
        let mut headers = vec![("content-type", FHIR.to_owned())];
        match fault {
            Some(FaultKind::Truncated | FaultKind::Cut) => cut(&mut body),
            Some(FaultKind::NoDate) => headers.push(("date", String::new())),
            _ => {}
        }
        Reply { status: 200, headers, body, is_cut: fault == Some(FaultKind::Cut) }
    }

    /// The exact shape of the real one: its blanks, the order of its keys, the links behind the entries.
    fn text(&self, id: &str) -> String {
        let mut text = String::with_capacity(256 + self.found.len() * 2600);
        let _ = write!(text, r#"{{"resourceType": "Bundle","type": "searchset","id": "{id}","#);
        if let Some(total) = self.total {
            let _ = write!(text, r#""total":{total},"#);
        }
        text.push_str(r#""entry": ["#);
        for (place, (id, resource)) in self.found.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let (base, kind) = (self.base, self.kind.name());
            let _ = write!(text, r#"{comma}{{"fullUrl": "{base}/{kind}/{id}","resource": {resource}}}"#);
        }
        text.push_str(r#"],"link": [ "#);
        if let Some(next) = &self.next {
            let _ = write!(text, r#"{{"relation": "next","url": "{next}"}}, "#);
        }
        let _ = write!(text, r#"{{"relation": "self","url": "{}"}}]}}"#, self.own);
        text
    }
}

/// Ends a text in its middle.
fn cut(body: &mut String) {
    let middle = (0..=body.len() / 2).rev().find(|byte| body.is_char_boundary(*byte)).unwrap_or(0);
    body.truncate(middle);
}

/// The answer to a call that fails whole.
fn failed(fault: FaultKind, now: i64) -> Option<Reply> {
    Some(match fault {
        FaultKind::Unauthorized => unauthorized(),
        FaultKind::TooMany => too_many(17, Duration::from_secs(1), now - now.rem_euclid(1000) + 1000),
        FaultKind::BadGateway => bare(502),
        FaultKind::Unavailable => bare(503),
        FaultKind::Timeout => bare(504),
        FaultKind::NoContext => no_context(),
        FaultKind::Unknown => outcome(500, "Unknown error"),
        FaultKind::LinkTooOld => outcome(500, TOO_OLD),
        FaultKind::Html => {
            let body =
                "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Maintenance</body></html>";
            Reply {
                status: 200,
                headers: vec![("content-type", "text/html".into())],
                body: body.into(),
                is_cut: false,
            }
        }
        _ => return None,
    })
}

fn bare(status: u16) -> Reply {
    Reply { status, ..Reply::default() }
}

fn gateway(status: u16, message: &str, mut headers: Vec<(&'static str, String)>) -> Reply {
    let body = format!("{{\n  \"message\": \"{message}\",\n  \"http_status_code\": {status}\n}}");
    headers.push(("content-type", "application/json".into()));
    Reply { status, headers, body, is_cut: false }
}

fn unauthorized() -> Reply {
    gateway(401, "Unauthorized", Vec::new())
}

fn too_many(most: u32, per: Duration, reset: i64) -> Reply {
    let message = format!(
        "Rate limit exceeded ! You reach the limit of {most} requests per {} seconds",
        per.as_secs().max(1)
    );
    let headers = vec![
        ("x-rate-limit-limit", most.to_string()),
        ("x-rate-limit-remaining", "0".into()),
        ("x-rate-limit-reset", reset.to_string()),
    ];
    gateway(429, &message, headers)
}

fn no_context() -> Reply {
    let body = "No context-path matches the request URI.".to_owned();
    Reply { status: 404, headers: vec![("content-type", "text/plain".into())], body, is_cut: false }
}

fn unknown_type() -> Reply {
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let names = names.join(", ");
    outcome(
        500,
        &format!(
            "Can't process the request. Resource type not supported. Server knows how to handle: [{names}]"
        ),
    )
}

fn outcome(status: u16, diagnostics: &str) -> Reply {
    let body = format!(
        "{{\n  \"resourceType\": \"OperationOutcome\",\n  \"issue\": [\n    {{\n      \"severity\": \"error\",\n      \"code\": \"exception\",\n      \"diagnostics\": \"{diagnostics}\"\n    }}\n  ]\n}}"
    );
    Reply { status, headers: vec![("content-type", FHIR.into())], body, is_cut: false }
}

fn statement() -> String {
    let resource = |kind: Kind| {
        let name = kind.name();
        format!(
            r#"{{"type":"{name}","interaction":[{{"code":"read"}},{{"code":"search-type"}}],"searchParam":[{{"name":"_id","type":"token"}},{{"name":"_lastUpdated","type":"date"}},{{"name":"identifier","type":"token"}}]}}"#
        )
    };
    let resources = Kind::ALL.map(resource).join(",");
    format!(
        r#"{{"resourceType":"CapabilityStatement","status":"active","kind":"instance","fhirVersion":"4.0.1","format":["application/fhir+json"],"software":{{"name":"relais mock annuaire"}},"rest":[{{"mode":"server","resource":[{resources}]}}]}}"#
    )
}

fn date(now: i64) -> String {
    let now = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default()
}
