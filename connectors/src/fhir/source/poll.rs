//! One search after the other, each from where the last whole one began.

use std::collections::{HashMap, HashSet};

use engine::{Content, Hash, Inbound, Inlet, Outcome};
use hyper::{Method, StatusCode};
use jiff::Timestamp;

use super::{
    Settings,
    cursor::Cursor,
    page::{Found, Page},
};
use crate::{
    fhir::{
        capability::Asked,
        outcome::Outcome as Said,
        server::{FHIR, Server},
    },
    web::{AnswerBody, Client, Draft, Payload, meaning, meaning::Statuses},
};

/// So many resources are kept in one write.
const TOGETHER: usize = 100;

pub(super) struct Poll<'s> {
    settings: &'s Settings,
    server: &'s Server,
    inlet: &'s Inlet,
    cursor: Cursor,
    /// Versions that are durable, each with the search that found it last: a shorter way to what the store knows too.
    taken: HashMap<Hash, u64>,
    round: u64,
    knows_server: bool,
}

/// Why a page did not come.
enum Lost {
    /// The server does not know the page any more.
    Gone(String),
    Other(String),
}

/// How far one search has come through its pages.
struct Way {
    /// The changes before this time were not asked for.
    since: Option<Timestamp>,
    /// The last change that came.
    last: Option<Timestamp>,
    /// Whether every change came after those before it.
    is_sorted: bool,
    pages: HashSet<String>,
}

impl<'s> Poll<'s> {
    pub(super) fn new(settings: &'s Settings, server: &'s Server, cursor: Cursor, inlet: &'s Inlet) -> Self {
        Self { settings, server, inlet, cursor, taken: HashMap::new(), round: 0, knows_server: false }
    }

    /// Takes what has changed. The cursor moves once all of it is durable.
    pub(super) async fn once(&mut self) -> Result<(), String> {
        if self.settings.capabilities == Asked::Needed && !self.knows_server {
            self.settings.ask(self.server, self.server.client.deadline()).await?;
            self.knows_server = true;
        }
        self.round += 1;
        let mut way = Way::from(self.since());
        let mut begun = None;
        let mut next = None;
        loop {
            let page = match self.page(&way, next.as_deref()).await {
                Ok(page) => page,
                Err(Lost::Other(why)) => return Err(why),
                Err(Lost::Gone(why)) => {
                    // A link that has died: the search begins anew behind what it brought.
                    way = way.anew().ok_or(why)?;
                    next = None;
                    continue;
                }
            };
            begun = begun.or(page.date);
            way.went(&page);
            self.take(page.found).await?;
            next = match page.next {
                None => break,
                Some(url) if way.pages.insert(url.clone()) => Some(url),
                Some(_) => return Err("its pages go round in a circle".to_owned()),
            };
        }
        let begun = begun.ok_or("its answer has no `Date`, and the search cannot go on from it")?;
        self.cursor.to(begun).map_err(|error| format!("cannot keep how far it has come: {error}"))?;
        let round = self.round;
        self.taken.retain(|_, found| *found == round);
        Ok(())
    }

    /// From when on changes are asked for.
    fn since(&self) -> Option<Timestamp> {
        let overlap = self.settings.overlap.0;
        let back = self.cursor.since().map(|since| since.checked_sub(overlap).unwrap_or(Timestamp::MIN));
        back.max(self.settings.since)
    }

    async fn page(&self, way: &Way, next: Option<&str>) -> Result<Page, Lost> {
        let target = match next {
            Some(url) => self.server.whole(&self.absolute(url)),
            None => self.server.target(self.settings.name(), &self.query(way.since)),
        };
        let target = target.map_err(Lost::Other)?;
        let client = &self.server.client;
        let headers = Client::headers(FHIR);
        let draft = Draft { method: Method::GET, target, headers, body: Payload::default() };
        let asked = client.ask(draft, &[Statuses::SUCCESS], client.deadline()).await;
        let answer = asked.map_err(|error| Lost::Other(meaning::plain(&error)))?;
        let body = match &answer.body {
            AnswerBody::Whole(body) => body,
            AnswerBody::Long(_) => {
                return Err(Lost::Other("a page is longer than `max_size`: make `page` smaller".to_owned()));
            }
            AnswerBody::Cut(why) => return Err(Lost::Other(why.clone())),
        };
        if answer.status.is_success() {
            return Page::read(&answer, body).map_err(Lost::Other);
        }
        let said = Said::read(body).and_then(|said| said.words());
        let said = said.map(|words| format!(" ({words})")).unwrap_or_default();
        let why = format!("it answered {}{said}", answer.status.as_u16());
        let is_gone = next.is_some()
            && [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::GONE].contains(&answer.status);
        Err(if is_gone { Lost::Gone(format!("{why} for the next page")) } else { Lost::Other(why) })
    }

    /// A link may be written from the base on.
    fn absolute(&self, url: &str) -> String {
        let base = format!("{}/", self.server.base());
        let joined = url::Url::parse(&base).and_then(|base| base.join(url));
        joined.map_or_else(|_| url.to_owned(), |url| url.to_string())
    }

    fn query(&self, since: Option<Timestamp>) -> String {
        let own = Some(self.settings.query().to_owned()).filter(|own| !own.is_empty());
        let since = since.map(|since| format!("_lastUpdated=ge{since}"));
        let page = format!("_sort=_lastUpdated&_count={}", self.settings.page);
        own.into_iter().chain(since).chain([page]).collect::<Vec<String>>().join("&")
    }

    /// Hands over what was not taken before, in the server's order.
    async fn take(&mut self, found: Vec<Found>) -> Result<(), String> {
        let base = self.server.base().to_owned();
        let round = self.round;
        let mut fresh = Vec::new();
        for found in found {
            let identity = found.identity(&base);
            match self.taken.get_mut(&identity) {
                Some(last) => *last = round,
                None => fresh.push((identity, found)),
            }
        }
        for several in fresh.chunks(TOGETHER) {
            let inbounds = several.iter().map(|(identity, found)| Inbound {
                facts: found.facts(&base).into(),
                effect: Some(*identity),
                ..Inbound::new(Content::from(found.resource.to_string()))
            });
            let answers = self.inlet.receive_batch(inbounds.collect()).await;
            for ((identity, _), answer) in several.iter().zip(answers) {
                let refused = (answer.reply.outcome == Outcome::Unavailable)
                    .then(|| answer.reply.why.clone().unwrap_or_default());
                answer.told();
                if let Some(why) = refused {
                    return Err(format!("what it found cannot be taken now, and is asked for again: {why}"));
                }
                self.taken.insert(*identity, round);
            }
        }
        Ok(())
    }
}

impl Way {
    fn from(since: Option<Timestamp>) -> Self {
        Self { since, last: None, is_sorted: true, pages: HashSet::new() }
    }

    fn went(&mut self, page: &Page) {
        for found in page.found.iter().filter(|found| found.fits) {
            self.is_sorted &= found.changed.is_some() && self.last <= found.changed;
            self.last = self.last.max(found.changed);
        }
    }

    /// The same search behind what came, where the order of the pages says that nothing lies before it.
    fn anew(&self) -> Option<Self> {
        let is_further = self.is_sorted && self.last.is_some() && self.last > self.since;
        is_further.then(|| Self::from(self.last))
    }
}
