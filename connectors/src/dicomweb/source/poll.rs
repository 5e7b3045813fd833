//! One search after the other: studies, the instances in them, and of those the ones that were not taken yet.

use std::sync::Arc;

use bytes::Bytes;
use engine::{Content, Facts, Hash, Inbound, Inlet, Outcome};
use jiff::{ToSpan, Zoned};

use super::{
    found::{self, Study},
    ledger::Ledger,
    settings::{Settings, Take},
};
use crate::{
    dicomweb::{
        archive::{Archive, JSON, Place},
        fetched::Fetched,
    },
    web::AnswerBody,
};

/// So many studies, or instances, are asked for at a time.
const PAGE: usize = 500;

/// The longest list of so many.
const LONGEST_PAGE: usize = 64_000_000;

/// So many instances in a row that the server does not give end a search: something is wrong with all of it.
const MOST_FAILURES: usize = 10;

/// No search needs more pages: a server that passes over `offset` would give them for ever.
const MOST_PAGES: usize = 20_000;

pub(super) struct Poll<'s> {
    settings: &'s Settings,
    url: &'s str,
    archive: &'s Archive,
    ledger: Ledger,
    inlet: &'s Inlet,
    failures: Failures,
}

/// What the server did not give in this search.
#[derive(Default)]
struct Failures {
    in_a_row: usize,
    all: usize,
    first: Option<String>,
}

impl<'s> Poll<'s> {
    pub(super) fn new(
        settings: &'s Settings,
        url: &'s str,
        archive: &'s Archive,
        ledger: Ledger,
        inlet: &'s Inlet,
    ) -> Self {
        Self { settings, url, archive, ledger, inlet, failures: Failures::default() }
    }

    /// Takes what is new.
    pub(super) async fn once(&mut self) -> Result<(), String> {
        self.ledger.begin();
        self.failures = Failures::default();
        let query = self.query(&Zoned::now());
        let mut before = Vec::new();
        for page in 0..MOST_PAGES {
            let studies = found::studies(&self.page("studies", &query, page).await?)?;
            if studies.is_empty() || studies == before {
                break;
            }
            for study in &studies {
                self.study(study).await?;
            }
            before = studies;
            if before.len() < PAGE {
                break;
            }
        }
        self.ledger.end().map_err(|error| unwritten(&error))?;
        match self.failures.first.take() {
            None => Ok(()),
            Some(first) if self.failures.all == 1 => Err(first),
            Some(first) => Err(format!("{first}; {} instances were passed over", self.failures.all)),
        }
    }

    fn query(&self, now: &Zoned) -> String {
        let own = Some(self.settings.search().to_owned()).filter(|own| !own.is_empty());
        let days = self.settings.days.map(|days| {
            let last = now.date();
            let first = last.checked_sub(i64::from(days - 1).days()).unwrap_or(jiff::civil::Date::MIN);
            format!("StudyDate={}-{}", first.strftime("%Y%m%d"), last.strftime("%Y%m%d"))
        });
        own.into_iter().chain(days).collect::<Vec<String>>().join("&")
    }

    async fn page(&self, path: &str, query: &str, page: usize) -> Result<Bytes, String> {
        let and = if query.is_empty() { "" } else { "&" };
        let query = format!("{query}{and}limit={PAGE}&offset={}", page * PAGE);
        let deadline = self.archive.client.deadline();
        let answer = self.archive.get((path, &query), JSON, LONGEST_PAGE, deadline).await?;
        if !answer.status.is_success() {
            return Err(format!("it answered {} to a search", answer.status.as_u16()));
        }
        match answer.body {
            AnswerBody::Whole(body) => Ok(body),
            AnswerBody::Long(_) => Err("a page of a search is longer than 64 MB".to_owned()),
            AnswerBody::Cut(why) => Err(why),
        }
    }

    /// Takes the instances of a study that were not taken yet.
    async fn study(&mut self, study: &Study) -> Result<(), String> {
        if self.ledger.is_whole(&study.uid, study.instances) {
            return Ok(());
        }
        let path = format!("studies/{}/instances", study.uid);
        let (mut before, mut count) = (Vec::new(), 0);
        for page in 0..MOST_PAGES {
            let places = found::instances(&self.page(&path, "", page).await?, &study.uid)?;
            if places.is_empty() || places == before {
                break;
            }
            for place in &places {
                if self.ledger.knows(&place.study, &place.instance) || self.instance(place).await? {
                    count += 1;
                }
            }
            before = places;
            if before.len() < PAGE {
                break;
            }
        }
        match study.instances {
            Some(said) if said == count => {
                self.ledger.whole(&study.uid, said).map_err(|error| unwritten(&error))
            }
            _ => Ok(()),
        }
    }

    /// Takes one instance; says whether it was. That is noted once it is durable; found again before, it is known by its
    /// name. One that the server does not give is looked for again in the next search, and holds back none behind it.
    async fn instance(&mut self, place: &Place) -> Result<bool, String> {
        let body = match self.retrieve(place).await {
            Ok(Some(body)) => body,
            // One that has gone since is none of ours.
            Ok(None) => return Ok(false),
            Err(why) => return self.failures.add(why).map(|()| false),
        };
        self.failures.in_a_row = 0;
        let effect = Hash::of(&[b"dicomweb", self.url.as_bytes(), place.path().as_bytes()]);
        // The attributes of one instance may change without its being another.
        let name = Some(place.instance.clone()).filter(|_| self.take() == Take::Instances);
        let facts = self.facts(place);
        let inbound = Inbound { facts, name, effect: Some(effect), ..Inbound::new(body) };
        let answer = self.inlet.receive(inbound).await;
        if answer.reply.outcome == Outcome::Unavailable {
            let why = answer.reply.why.clone().unwrap_or_default();
            return Err(format!("an instance cannot be taken now: {why}"));
        }
        answer.told();
        self.ledger.taken(&place.study, &place.instance).map_err(|error| unwritten(&error))?;
        Ok(true)
    }

    fn take(&self) -> Take {
        self.settings.take.unwrap_or_default()
    }

    async fn retrieve(&self, place: &Place) -> Result<Option<Content>, String> {
        let deadline = self.archive.client.deadline();
        let most = self.settings.most();
        match self.take() {
            Take::Instances => {
                let mut fetched = Fetched::new(self.inlet.spool(), most);
                let is_there = self.archive.retrieve(place, &mut fetched, deadline).await?;
                if is_there { fetched.end().await.map(Some) } else { Ok(None) }
            }
            Take::Metadata => Ok(self.archive.metadata(place, most, deadline).await?.map(Content::from)),
        }
    }

    fn facts(&self, place: &Place) -> Arc<Facts> {
        let mut facts = Facts::new();
        let all = [
            ("connector", "dicomweb"),
            ("url", self.url),
            ("study", &place.study),
            ("series", &place.series),
            ("sop_instance", &place.instance),
        ];
        for (name, value) in all {
            facts.insert(name.to_owned(), value.into());
        }
        facts.into()
    }
}

impl Failures {
    /// Counts one; an error where they are too many.
    fn add(&mut self, why: String) -> Result<(), String> {
        self.all += 1;
        self.in_a_row += 1;
        if self.in_a_row >= MOST_FAILURES {
            return Err(why);
        }
        self.first.get_or_insert(why);
        Ok(())
    }
}

fn unwritten(error: &std::io::Error) -> String {
    format!("cannot keep which instances were taken: {error}")
}
