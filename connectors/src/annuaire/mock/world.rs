//! What the mock holds: everything made from the seed, and the few versions that came later.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{Timestamp, tz::Offset};

use super::made::{Kind, Recipe, mix, profession, rpps};

/// When the first resource was changed last, in milliseconds: the others follow, one a millisecond.
const FIRST: i64 = 1_745_857_166_335;

/// So long an inactive resource stays in a reload.
const INACTIVE_STAYS: i64 = 30 * 86_400_000;

/// All resources of all types.
pub(super) struct World {
    pub(super) seed: u64,
    practitioners: u64,
    shelves: BTreeMap<Kind, Shelf>,
    drawn: u64,
    /// Those that nobody can use as they are given.
    garbled: HashSet<(Kind, u64)>,
}

/// The resources of one type.
struct Shelf {
    kind: Kind,
    /// So many are made from the seed.
    made: u64,
    /// Those of them that stand no more as they were made, since when.
    closed: HashMap<u64, i64>,
    /// In the order in which they came.
    later: Vec<Version>,
    /// Where in `later` the current version stands.
    current: HashMap<u64, usize>,
    /// Ids that are none of ours, by their place beyond the made ones.
    named: Vec<String>,
    /// When all of them were loaded anew.
    reloaded: Option<i64>,
}

/// A version that came later.
#[derive(Debug, Clone)]
struct Version {
    place: u64,
    edition: u32,
    is_active: bool,
    number: u32,
    has_plain_number: bool,
    updated: i64,
    from: i64,
    to: Option<i64>,
}

/// What a resource becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Becomes {
    /// `None`: the one after what it is.
    pub(super) edition: Option<u32>,
    pub(super) is_active: bool,
    /// When it was changed by its own word, in milliseconds.
    pub(super) updated: i64,
    /// Whether the number of its version is written as a number.
    pub(super) has_plain_number: bool,
}

/// Which resources are looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Not changed before.
    pub(super) from: Option<i64>,
    /// Changed before.
    pub(super) until: Option<i64>,
    pub(super) ids: Option<Vec<String>>,
    pub(super) identifiers: Option<Vec<String>>,
    pub(super) is_active: Option<bool>,
    pub(super) profession: Option<String>,
}

/// One version, as it is found.
struct Found {
    place: u64,
    edition: u32,
    is_active: bool,
    number: u32,
    has_plain_number: bool,
    updated: i64,
}

impl World {
    pub(super) fn new(practitioners: u64, seed: u64) -> Self {
        let empty = |kind: Kind| (kind, Shelf::new(kind, kind.count(practitioners)));
        Self { seed, practitioners, shelves: Kind::ALL.map(empty).into(), drawn: 0, garbled: HashSet::new() }
    }

    /// Some places whose resources are active, each once.
    pub(super) fn some(&mut self, kind: Kind, count: u64) -> Vec<u64> {
        let mut found = HashSet::new();
        let all = self.shelf(kind).places();
        for _ in 0..count.saturating_mul(20) {
            if found.len() as u64 == count.min(all) {
                break;
            }
            self.drawn += 1;
            let place = mix(self.seed ^ self.drawn.wrapping_mul(0x5851_F42D)) % all.max(1);
            if self.shelf(kind).head(place).is_some_and(|head| head.is_active) {
                found.insert(place);
            }
        }
        let mut found: Vec<u64> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    /// The place of an id; of one that is new, a new place.
    pub(super) fn place(&mut self, kind: Kind, id: &str) -> u64 {
        self.shelf_mut(kind).place(id)
    }

    /// A place that no resource has yet.
    pub(super) fn fresh(&mut self, kind: Kind) -> u64 {
        let held = self.shelf_mut(kind);
        let id = kind.id(held.places());
        held.place(&id)
    }

    pub(super) fn change(&mut self, kind: Kind, place: u64, becomes: Becomes, now: i64) {
        self.shelf_mut(kind).change(place, becomes, now);
    }

    /// Takes a resource away without a trace.
    pub(super) fn delete(&mut self, kind: Kind, place: u64, now: i64) {
        self.shelf_mut(kind).close(place, now);
    }

    /// Gives a resource so that nobody can use it.
    pub(super) fn garble(&mut self, kind: Kind, place: u64) {
        self.garbled.insert((kind, place));
    }

    /// Gives everything as it is again.
    pub(super) fn mend(&mut self) {
        self.garbled.clear();
    }

    /// Loads everything anew: the numbers of the versions begin at 1, and what was inactive for long is gone.
    pub(super) fn reload(&mut self, now: i64) {
        for held in self.shelves.values_mut() {
            held.reload(now);
        }
    }

    /// How many fit.
    pub(super) fn count(&self, kind: Kind, wanted: &Wanted) -> u64 {
        let held = self.shelf(kind);
        if wanted.is_everything() {
            return held.made - held.closed.len() as u64 + held.current.len() as u64;
        }
        self.walk(kind, (wanted, self.end(kind)), (0, usize::MAX), |_, _| {})
    }

    /// Where what comes from now on will stand: the end of a search that begins now.
    pub(super) fn end(&self, kind: Kind) -> u64 {
        let held = self.shelf(kind);
        held.made + held.later.len() as u64
    }

    /// Writes those that fit, before an end, from a position on; says where the next one would be.
    pub(super) fn page(
        &self,
        kind: Kind,
        (wanted, end): (&Wanted, u64),
        (position, most): (u64, usize),
    ) -> (Vec<(String, String)>, Option<u64>) {
        let mut found = Vec::new();
        let mut last = position;
        let held = self.shelf(kind);
        self.walk(kind, (wanted, end), (position, most), |at, version| {
            last = at + 1;
            found.push((held.id(version.place), self.given(kind, version)));
        });
        // A page that is full has a next one, which may be empty.
        let next = (found.len() == most && most > 0).then_some(last);
        (found, next)
    }

    /// The resource that goes by an id, as it is now.
    pub(super) fn read(&self, kind: Kind, id: &str) -> Option<String> {
        let held = self.shelf(kind);
        Some(self.given(kind, &held.head(held.known(id)?)?))
    }

    /// Every id with its text, as it is now.
    pub(super) fn truth(&self, kind: Kind) -> BTreeMap<String, String> {
        let held = self.shelf(kind);
        let current = (0..held.places()).filter_map(|place| held.head(place));
        current.map(|head| (held.id(head.place), self.text(kind, &head))).collect()
    }

    fn walk(
        &self,
        kind: Kind,
        (wanted, end): (&Wanted, u64),
        (from, most): (u64, usize),
        mut each: impl FnMut(u64, &Found),
    ) -> u64 {
        let held = self.shelf(kind);
        let mut count = 0;
        let made = held.made_from(from, wanted).chain(from.max(held.made)..end);
        for position in made {
            let Some(found) = held.at(position).filter(|found| self.fits(kind, found, wanted)) else {
                continue;
            };
            if count as usize == most {
                break;
            }
            count += 1;
            each(position, &found);
        }
        count
    }

    fn fits(&self, kind: Kind, found: &Found, wanted: &Wanted) -> bool {
        let place = found.place;
        wanted.from.is_none_or(|from| found.updated >= from)
            && wanted.until.is_none_or(|until| found.updated < until)
            && wanted.is_active.is_none_or(|is_active| found.is_active == is_active)
            && wanted.ids.as_ref().is_none_or(|ids| ids.contains(&self.shelf(kind).id(place)))
            && wanted.identifiers.as_ref().is_none_or(|all| identified(kind, place, all))
            && wanted
                .profession
                .as_ref()
                .is_none_or(|code| found.is_active && profession(self.seed, place) == code)
    }

    fn given(&self, kind: Kind, found: &Found) -> String {
        let text = self.text(kind, found);
        if self.garbled.contains(&(kind, found.place)) { garbled(&text) } else { text }
    }

    fn text(&self, kind: Kind, found: &Found) -> String {
        let number = found.number;
        let version = if found.has_plain_number { number.to_string() } else { format!("\"{number}\"") };
        let id = self.shelf(kind).id(found.place);
        let recipe = Recipe {
            kind,
            id: &id,
            place: found.place,
            edition: found.edition,
            is_active: found.is_active,
            version: &version,
            updated: &written(found.updated),
        };
        let mut text = String::with_capacity(2048);
        recipe.write(self.seed, |kind| kind.count(self.practitioners), &mut text);
        text
    }

    fn shelf(&self, kind: Kind) -> &Shelf {
        &self.shelves[&kind]
    }

    fn shelf_mut(&mut self, kind: Kind) -> &mut Shelf {
        self.shelves.get_mut(&kind).expect("there is one for every type")
    }
}

impl Shelf {
    fn new(kind: Kind, made: u64) -> Self {
        Self {
            kind,
            made,
            closed: HashMap::new(),
            later: Vec::new(),
            current: HashMap::new(),
            named: Vec::new(),
            reloaded: None,
        }
    }

    fn places(&self) -> u64 {
        self.made + self.named.len() as u64
    }

    fn id(&self, place: u64) -> String {
        let named = place.checked_sub(self.made).and_then(|beyond| self.named.get(beyond as usize));
        named.cloned().unwrap_or_else(|| self.kind.id(place))
    }

    fn known(&self, id: &str) -> Option<u64> {
        let named = || self.named.iter().position(|name| name == id).map(|beyond| self.made + beyond as u64);
        self.kind.place(id).filter(|place| *place < self.made).or_else(named)
    }

    fn place(&mut self, id: &str) -> u64 {
        if let Some(place) = self.known(id) {
            return place;
        }
        self.named.push(id.to_owned());
        self.places() - 1
    }

    /// The made ones from a position on; none of them where all were changed too early.
    fn made_from(&self, from: u64, wanted: &Wanted) -> std::ops::Range<u64> {
        let last = self.made_updated(self.made.saturating_sub(1));
        let none_fits = wanted.from.is_some_and(|wanted| last < wanted);
        if none_fits { self.made..self.made } else { from.min(self.made)..self.made }
    }

    fn made_updated(&self, place: u64) -> i64 {
        self.reloaded.unwrap_or(FIRST + place as i64)
    }

    /// What stands at a position, unless it was superseded.
    fn at(&self, position: u64) -> Option<Found> {
        let Some(beyond) = position.checked_sub(self.made) else {
            // What was superseded is purged at once.
            return (!self.closed.contains_key(&position)).then(|| self.as_made(position));
        };
        let version = self.later.get(beyond as usize)?;
        version.to.is_none().then(|| version.found())
    }

    fn as_made(&self, place: u64) -> Found {
        let updated = self.made_updated(place);
        Found { place, edition: 0, is_active: true, number: 1, has_plain_number: false, updated }
    }

    fn head(&self, place: u64) -> Option<Found> {
        if let Some(current) = self.current.get(&place) {
            return Some(self.later[*current].found());
        }
        (place < self.made && !self.closed.contains_key(&place)).then(|| self.as_made(place))
    }

    fn change(&mut self, place: u64, becomes: Becomes, now: i64) {
        let head = self.head(place);
        let before = head.as_ref().map_or((0, 0), |head| (head.edition, head.number));
        // A place whose resource was taken away begins anew.
        let after = if head.is_some() { before.0 + 1 } else { 0 };
        self.close(place, now);
        self.current.insert(place, self.later.len());
        self.later.push(Version {
            place,
            edition: becomes.edition.unwrap_or(after),
            is_active: becomes.is_active,
            number: before.1 + 1,
            has_plain_number: becomes.has_plain_number,
            updated: becomes.updated,
            from: now,
            to: None,
        });
    }

    fn close(&mut self, place: u64, now: i64) {
        if let Some(current) = self.current.remove(&place) {
            self.later[current].to = Some(now);
        } else if place < self.made {
            self.closed.entry(place).or_insert(now);
        }
    }

    fn reload(&mut self, now: i64) {
        self.reloaded = Some(now);
        let gone = |version: &Version| !version.is_active && version.from < now - INACTIVE_STAYS;
        self.current.retain(|_, at| !gone(&self.later[*at]));
        for (at, version) in self.later.iter_mut().enumerate() {
            if self.current.get(&version.place) == Some(&at) {
                (version.number, version.updated, version.has_plain_number) = (1, now, false);
            } else {
                version.to = version.to.or(Some(now));
            }
        }
    }
}

impl Version {
    fn found(&self) -> Found {
        Found {
            place: self.place,
            edition: self.edition,
            is_active: self.is_active,
            number: self.number,
            has_plain_number: self.has_plain_number,
            updated: self.updated,
        }
    }
}

impl Wanted {
    fn is_everything(&self) -> bool {
        self.from.is_none()
            && self.until.is_none()
            && self.ids.is_none()
            && self.identifiers.is_none()
            && self.is_active.is_none()
            && self.profession.is_none()
    }
}

/// A resource that has lost its id.
pub(super) fn garbled(text: &str) -> String {
    text.replacen("\"id\"", "\"was\"", 1)
}

fn identified(kind: Kind, place: u64, wanted: &[String]) -> bool {
    let own = match kind {
        Kind::Practitioner => rpps(place),
        Kind::PractitionerRole => (1_999_000_001 + place).to_string(),
        _ => return false,
    };
    wanted.iter().any(|one| {
        let value = one.rsplit_once('|').map_or(one.as_str(), |(_, value)| value);
        value == own || (kind == Kind::Practitioner && value.strip_prefix('8') == Some(own.as_str()))
    })
}

/// A time as the Annuaire writes it: with the offset of its country.
pub(super) fn written(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    let month = Offset::UTC.to_datetime(time).month();
    let hours = if (4..=10).contains(&month) { 2 } else { 1 };
    let local = Offset::constant(hours).to_datetime(time);
    format!("{}.{:03}+0{hours}:00", local.strftime("%Y-%m-%dT%H:%M:%S"), milliseconds.rem_euclid(1000))
}
