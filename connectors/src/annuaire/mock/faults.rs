//! What goes wrong, and when: every error that the real server and its gateway are known for.

use std::{str::FromStr, time::Duration};

use super::made::mix;

/// One call in so many fails where nothing else is said.
const USUALLY: u64 = 20;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The gateway knows no such key.
    Unauthorized,
    /// Too many calls.
    TooMany,
    BadGateway,
    Unavailable,
    Timeout,
    /// The gateway has lost its route: 404, in plain text.
    NoContext,
    /// The server's own 500.
    Unknown,
    /// A page link that is not known any more.
    LinkTooOld,
    /// A page of a portal, with status 200.
    Html,
    /// A text that ends in the middle, with status 200.
    Truncated,
    /// A connection that ends in the middle.
    Cut,
    /// A next page on another host.
    ForeignLink,
    /// A next page as version 1 writes it.
    OldLink,
    /// A next page that is the first again.
    Loop,
    /// Without `Date`.
    NoDate,
    /// Without `total`.
    NoTotal,
    /// One entry without an id.
    BadEntry,
    /// The first entry's resource without its id, which its address has still.
    LostId,
    /// The first entry twice.
    Double,
}

const NAMES: [(&str, Kind); 27] = [
    ("401", Kind::Unauthorized),
    ("429", Kind::TooMany),
    ("500", Kind::Unknown),
    ("502", Kind::BadGateway),
    ("503", Kind::Unavailable),
    ("504", Kind::Timeout),
    ("unauthorized", Kind::Unauthorized),
    ("too_many", Kind::TooMany),
    ("unknown", Kind::Unknown),
    ("no_context", Kind::NoContext),
    ("link_too_old", Kind::LinkTooOld),
    ("html", Kind::Html),
    ("truncated", Kind::Truncated),
    ("cut", Kind::Cut),
    ("foreign_link", Kind::ForeignLink),
    ("v1_link", Kind::OldLink),
    ("loop", Kind::Loop),
    ("no_date", Kind::NoDate),
    ("no_total", Kind::NoTotal),
    ("bad_entry", Kind::BadEntry),
    ("lost_id", Kind::LostId),
    ("double", Kind::Double),
    ("gateway-401", Kind::Unauthorized),
    ("gateway-429", Kind::TooMany),
    ("gateway-502", Kind::BadGateway),
    ("gateway-504", Kind::Timeout),
    ("gateway-404-no-context", Kind::NoContext),
];

/// A fault, and when it comes: `502`, `502:1/4`, `502:3`, `502:60s`, `502:page2`, `502:page2x3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    when: When,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    /// One call in so many, by the seed.
    OneIn(u64),
    /// The next so many calls.
    Next(u64),
    /// Until so long after it was made known.
    For(Duration),
    /// At a page of a search, the next so many times.
    Page(u64, u64),
}

impl Fault {
    /// At one page of each search, so many times.
    pub fn at_page(kind: Kind, page: u64, times: u64) -> Self {
        Self { kind, when: When::Page(page, times) }
    }

    /// At one call in so many.
    pub fn one_in(kind: Kind, calls: u64) -> Self {
        Self { kind, when: When::OneIn(calls.max(1)) }
    }

    /// For so long.
    pub fn lasting(kind: Kind, period: Duration) -> Self {
        Self { kind, when: When::For(period) }
    }
}

/// The faults that are to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    all: Vec<(Fault, i64)>,
    seed: u64,
    calls: u64,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { all: Vec::new(), seed, calls: 0 }
    }

    pub(super) fn add(&mut self, fault: Fault, now: i64) {
        self.all.push((fault, now));
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// What goes wrong with this call, if anything does. `page` counts from 1; a read is of none.
    pub(super) fn next(&mut self, page: Option<u64>, now: i64) -> Option<Kind> {
        self.calls += 1;
        let (calls, seed) = (self.calls, self.seed);
        let found = self.all.iter_mut().enumerate().find_map(|(place, (fault, since))| {
            let fits = fault.kind != Kind::LinkTooOld || page.is_some_and(|page| page > 1);
            (fits && fault.when.comes((page, calls, now - *since), mix(seed ^ (place as u64) << 40 ^ calls)))
                .then_some(fault.kind)
        });
        self.all.retain(|(fault, _)| !matches!(fault.when, When::Next(0) | When::Page(_, 0)));
        found
    }
}

impl When {
    fn comes(&mut self, (page, _, since): (Option<u64>, u64, i64), drawn: u64) -> bool {
        match self {
            Self::OneIn(calls) => drawn.is_multiple_of(*calls),
            Self::Next(left) => {
                *left -= 1;
                true
            }
            Self::For(period) => since < period.as_millis() as i64,
            Self::Page(at, left) if page == Some(*at) => {
                *left -= 1;
                true
            }
            Self::Page(..) => false,
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, when) = text.split_once(':').unwrap_or((text, ""));
        let kind =
            NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(|| {
                let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).take(22).collect();
                format!("`{name}` is no fault that is known here: {}", names.join(", "))
            })?;
        let when = parse_when(when).ok_or_else(|| {
            format!(
                "`{when}` does not say when: write 1/4 (one call in four), 3 (the next three), 60s or page2"
            )
        })?;
        Ok(Self { kind, when })
    }
}

fn parse_when(text: &str) -> Option<When> {
    if text.is_empty() {
        return Some(When::OneIn(USUALLY));
    }
    if let Some(calls) = text.strip_prefix("1/") {
        return Some(When::OneIn(calls.parse().ok().filter(|calls| *calls > 0)?));
    }
    if let Some(page) = text.strip_prefix("page") {
        let (page, times) = page.split_once('x').unwrap_or((page, "1"));
        return Some(When::Page(page.parse().ok()?, times.parse().ok().filter(|times| *times > 0)?));
    }
    if let Ok(times) = text.parse::<u64>() {
        return (times > 0).then_some(When::Next(times));
    }
    text.parse::<crate::setting::Period>().ok().map(|period| When::For(period.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_and_when() {
        let mut faults = Faults::new(1);
        for text in ["502:2", "truncated:page3", "401:1s"] {
            faults.add(text.parse().unwrap(), 0);
        }
        let came: Vec<_> = (1..=4).map(|page| faults.next(Some(page), 999)).collect();
        let (gateway, key) = (Some(Kind::BadGateway), Some(Kind::Unauthorized));
        assert_eq!(came, [gateway, gateway, Some(Kind::Truncated), key]);
        assert_eq!(faults.next(Some(3), 1000), None);
    }

    #[test]
    fn what_is_no_fault_is_told_with_what_there_is() {
        let wrong = "506".parse::<Fault>().unwrap_err();
        assert!(wrong.contains("502") && wrong.contains("truncated"), "{wrong}");
        for wrong in ["502:often", "502:0", "502:1/0", "502:page1x0"] {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
        }
    }
}
