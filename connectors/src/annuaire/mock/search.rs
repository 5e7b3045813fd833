//! How the mock is searched: the parameters it knows, and the links from page to page.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    made::{Kind, mix},
    world::Wanted,
};

/// How many a page holds where nobody says.
const USUAL: u64 = 50;

/// A search, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Search {
    pub(super) kind: String,
    /// Its parameters, as they were asked.
    pub(super) query: String,
    pub(super) count: u64,
    pub(super) total: Option<u64>,
    /// When the first page was asked for.
    pub(super) at: i64,
    /// What came later is not seen.
    pub(super) end: u64,
    /// Which page this is, from 1.
    pub(super) page: u64,
    pub(super) position: u64,
}

/// What a search says that the server cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

impl Search {
    /// The search that a link stands for.
    pub(super) fn of_link(token: &str, seed: u64) -> Option<Self> {
        let token = token.strip_prefix('u')?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (sum, text) = bytes.split_at_checked(8)?;
        (sum == checksum(text, seed)).then(|| serde_json::from_slice(text).ok()).flatten()
    }

    /// The link to it.
    pub(super) fn link(&self, seed: u64) -> String {
        let text = serde_json::to_vec(self).expect("a search has text keys");
        let mut bytes = checksum(&text, seed).to_vec();
        bytes.extend(text);
        format!("u{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the parameters: what is wanted, and in which pages.
    pub(super) fn read(kind: Kind, query: &str) -> Result<(Wanted, u64, bool), Refused> {
        let mut wanted = Wanted::default();
        let (mut count, mut total) = (USUAL, true);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "_count" => count = value.parse().map_err(|_| bad_count())?,
                "_total" => match &*value {
                    "none" => total = false,
                    "accurate" | "estimate" => total = true,
                    _ => return Err(Refused(
                        "Bad value for the _total parameter. Allowed values are : accurate, none, estimate"
                            .into(),
                    )),
                },
                "_format" | "_pretty" => {}
                "_lastUpdated" => changed(&mut wanted, &value)?,
                "_id" => wanted.ids = Some(each(&value)),
                "identifier" if kind != Kind::Device => wanted.identifiers = Some(each(&value)),
                "active" if kind != Kind::Device => wanted.is_active = Some(value == "true"),
                "qualification-code" if kind == Kind::Practitioner => wanted.profession = Some(code(&value)),
                _ => return Err(Refused(format!("Parameter {name} not found for resource {}", kind.name()))),
            }
        }
        Ok((wanted, count, total))
    }
}

fn bad_count() -> Refused {
    Refused("Bad value for the _count parameter. The value must be a positive integer".into())
}

fn each(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

fn code(value: &str) -> String {
    value.rsplit_once('|').map_or(value, |(_, code)| code).to_owned()
}

fn changed(wanted: &mut Wanted, value: &str) -> Result<(), Refused> {
    let (how, when) = value.split_at(value.find(|letter: char| letter.is_ascii_digit()).unwrap_or(0));
    let when = instant(when).ok_or_else(|| Refused("Bad value for the parameter _lastUpdated".into()))?;
    match how {
        "ge" => wanted.from = Some(when),
        "gt" => wanted.from = Some(when + 1),
        "lt" => wanted.until = Some(when),
        "le" => wanted.until = Some(when + 1),
        "" | "eq" => (wanted.from, wanted.until) = (Some(when), Some(when + 1)),
        _ => return Err(Refused(format!("Prefix {how} not supported"))),
    }
    Ok(())
}

/// Without an offset it is GMT.
fn instant(text: &str) -> Option<i64> {
    let whole = text.parse::<Timestamp>();
    let naive = || Some(text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    whole.ok().or_else(naive).map(Timestamp::as_millisecond)
}

fn checksum(text: &[u8], seed: u64) -> [u8; 8] {
    text.iter().fold(mix(seed), |sum, byte| mix(sum ^ u64::from(*byte))).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stands_for_its_search_and_another_server_s_for_none() {
        let search = Search {
            kind: "Practitioner".into(),
            query: "_lastUpdated=ge2026-01-01".into(),
            count: 200,
            total: Some(7),
            at: 1,
            end: 9,
            page: 2,
            position: 200,
        };
        let link = search.link(7);
        assert_eq!(Search::of_link(&link, 7), Some(search));
        assert_eq!(Search::of_link(&link, 8), None);
        assert_eq!(Search::of_link("uCONSTRUCTED-PAGE-2", 7), None);
    }

    #[test]
    fn what_the_server_does_not_know_it_refuses() {
        for query in ["_sort=x", "_count=many", "_total=maybe", "_lastUpdated=sa2026-01-01", "nom=x"] {
            assert!(Search::read(Kind::Practitioner, query).is_err(), "{query}");
        }
        let (wanted, count, _) =
            Search::read(Kind::Device, "_count=2&_lastUpdated=ge2026-03-01T00:00:00Z").unwrap();
        assert_eq!((wanted.from, count), (Some(1_772_323_200_000), 2));
    }
}
