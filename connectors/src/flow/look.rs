//! Looks into a folder and says which files may be taken now, the first of them in order.

use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::{
    finish::not_noted,
    ledger::Ledger,
    place::{Done, Entry, Fault, Kind, Location, Place, Stat},
    settings::{Complete, Folders, Sort, Taking, is_unfinished},
};

/// So many files are looked at closely at once, however many a folder holds.
const WINDOW: usize = 10_000;
/// How deep folders may lie in one another.
const DEEPEST: usize = 32;
/// How long a file must have stayed the same.
pub(super) const STILL: Duration = Duration::from_secs(1);
/// How long a file that could not be read is left alone.
const REST: Duration = Duration::from_secs(10);
/// Where claimed files lie, in each folder that files are taken from.
pub(super) const CLAIMS: &[u8] = b".relais";

/// A file that may be taken. They are ordered as they go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    rank: i64,
    pub(super) at: Location,
    pub(super) companion: Option<Location>,
    pub(super) size: u64,
    pub(super) modified: i64,
}

impl Candidate {
    pub(super) fn stat(&self) -> Stat {
        Stat { size: self.size, modified: self.modified }
    }
}

/// What one look brought.
#[derive(Default)]
pub(super) struct Sight {
    /// Whole files, in order.
    pub(super) ready: Vec<Candidate>,
    /// How many may be whole at the next look.
    pub(super) unsettled: usize,
    /// Whether there are more than could be looked at closely.
    pub(super) has_more: bool,
    /// Folders in which claimed files lie.
    pub(super) claims: Vec<Location>,
    /// A folder below could not be looked into, or something that is wanted is no file.
    pub(super) trouble: Option<String>,
    /// Links, pipes and devices of names that are wanted: how many, and the first.
    odd: Option<(usize, Location)>,
}

impl Sight {
    /// What lies there and is never taken, for whoever looks for it.
    fn passed_over(&self) -> Option<String> {
        let (number, first) = self.odd.as_ref()?;
        let others = if *number > 1 { format!(", and {} more", number - 1) } else { String::new() };
        Some(format!(
            "`{first}` is a link, a pipe or a device, and never taken: put the file itself there{others}"
        ))
    }
}

/// Remembers from look to look what is needed to tell whether a file is whole.
#[derive(Default)]
pub(super) struct Lookout {
    seen: HashMap<Location, (Stat, Instant)>,
    /// Files that cannot be taken now, since when and why.
    stuck: HashMap<Location, (Instant, String)>,
    /// Files seen for the first time, with their sizes.
    news: Vec<(Location, u64)>,
}

/// One walk through the folders.
struct Walk<'a> {
    taking: &'a Taking,
    folders: &'a Folders,
    ledger: &'a mut Ledger,
    stuck: &'a HashMap<Location, (Instant, String)>,
    companions: HashSet<Location>,
    window: BinaryHeap<Candidate>,
    sight: Sight,
    now: i64,
}

impl Lookout {
    /// Leaves a file alone for a while.
    pub(super) fn let_rest(&mut self, at: Location, why: String) {
        self.stuck.insert(at, (Instant::now(), why));
    }

    /// The files that were seen for the first time, once.
    pub(super) fn take_news(&mut self) -> Vec<(Location, u64)> {
        std::mem::take(&mut self.news)
    }

    /// How many files are left alone since they cannot be taken, and why the first of them is.
    pub(super) fn resting(&self) -> Option<String> {
        let (_, (_, why)) = self.stuck.iter().min_by_key(|(at, _)| *at)?;
        Some(match self.stuck.len() {
            1 => format!("1 file cannot be taken now: {why}"),
            several => format!("{several} files cannot be taken now: {why}"),
        })
    }

    pub(super) async fn look(
        &mut self,
        place: &dyn Place,
        (taking, folders): (&Taking, &Folders),
        ledger: &mut Ledger,
    ) -> Done<Sight> {
        self.stuck.retain(|_, (since, _)| since.elapsed() < REST);
        ledger.begin_look();
        let mut walk = Walk {
            taking,
            folders,
            ledger,
            stuck: &self.stuck,
            companions: HashSet::new(),
            window: BinaryHeap::new(),
            sight: Sight::default(),
            now: now(),
        };
        if let Complete::Companion(_) = taking.complete {
            walk.each_folder(place, Walk::note_companion).await?;
            walk.sight = Sight::default();
        }
        walk.each_folder(place, Walk::consider).await?;
        let Walk { window, mut sight, ledger, .. } = walk;
        if sight.trouble.is_none() {
            ledger.end_look().map_err(not_noted)?;
            sight.trouble = sight.passed_over();
        }
        sight.ready = window.into_sorted_vec();
        if taking.complete == Complete::Stable {
            self.keep_settled(&mut sight);
        }
        Ok(sight)
    }

    /// Keeps those that stayed the same since an earlier look.
    fn keep_settled(&mut self, sight: &mut Sight) {
        let now = Instant::now();
        let before = std::mem::take(&mut self.seen);
        let (unsettled, seen, news) = (&mut sight.unsettled, &mut self.seen, &mut self.news);
        sight.ready.retain(|candidate| {
            let known = before.get(&candidate.at);
            if known.is_none() {
                news.push((candidate.at.clone(), candidate.size));
            }
            let since = known.filter(|(stat, _)| *stat == candidate.stat()).map(|(_, since)| *since);
            let is_settled = since.is_some_and(|since| now - since >= STILL);
            if !is_settled {
                seen.insert(candidate.at.clone(), (candidate.stat(), since.unwrap_or(now)));
                *unsettled += 1;
            }
            is_settled
        });
    }
}

impl Walk<'_> {
    /// Goes through the folder and, where asked, those below; what is not there any more is passed over.
    async fn each_folder(&mut self, place: &dyn Place, look: fn(&mut Self, &Location, &Entry)) -> Done {
        let mut below = vec![(self.folders.dir.clone(), 0)];
        while let Some((folder, depth)) = below.pop() {
            let mut found = Vec::new();
            let listed = place
                .list(&folder, &mut |entry| {
                    if entry.kind == Kind::Folder && entry.name == CLAIMS {
                        self.sight.claims.push(folder.join(&entry.name));
                    } else if entry.kind == Kind::Folder && self.enters(&folder, &entry) && depth < DEEPEST {
                        found.push((folder.join(&entry.name), depth + 1));
                    } else {
                        look(self, &folder, &entry);
                    }
                })
                .await;
            match listed {
                Ok(()) => below.append(&mut found),
                Err(Fault::Missing) if depth > 0 => {}
                Err(fault @ (Fault::Away(_) | Fault::Unfit(_) | Fault::Closed(_))) if depth > 0 => {
                    self.sight.trouble = Some(fault.to_string());
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn enters(&self, folder: &Location, entry: &Entry) -> bool {
        self.taking.is_recursive()
            && !is_unfinished(&entry.name)
            && !self.folders.are_put_away_in(&folder.join(&entry.name))
    }

    fn note_companion(&mut self, folder: &Location, entry: &Entry) {
        if entry.kind == Kind::File && self.taking.is_companion(&entry.name) {
            self.companions.insert(folder.join(&entry.name));
        }
    }

    fn consider(&mut self, folder: &Location, entry: &Entry) {
        let Entry { name, kind, stat } = entry;
        if *kind == Kind::Folder || !self.taking.wants_name(name) {
            return;
        }
        let at = folder.join(name);
        if *kind == Kind::Other {
            let (number, first) = self.sight.odd.take().unwrap_or((0, at.clone()));
            self.sight.odd = Some((number + 1, first.min(at)));
            return;
        }
        if self.ledger.knows(&at, *stat)
            || !self.taking.wants(stat.size, self.now.saturating_sub(stat.modified))
            || self.stuck.contains_key(&at)
        {
            return;
        }
        let companion = match &self.taking.complete {
            Complete::Companion(ending) => match self.companion(folder, name, ending) {
                None => return,
                companion => companion,
            },
            Complete::Stable | Complete::Renamed => None,
        };
        let rank = match self.taking.sort {
            Sort::Oldest => stat.modified,
            Sort::Newest => -stat.modified,
            Sort::Name => 0,
        };
        self.window.push(Candidate { rank, at, companion, size: stat.size, modified: stat.modified });
        if self.window.len() > WINDOW {
            self.window.pop();
            self.sight.has_more = true;
        }
    }

    /// `a.hl7.ok` or `a.ok`.
    fn companion(&self, folder: &Location, name: &[u8], ending: &str) -> Option<Location> {
        let stem = name.iter().rposition(|byte| *byte == b'.').map_or(name, |dot| &name[..dot]);
        [name, stem]
            .into_iter()
            .map(|before| folder.join(&[before, ending.as_bytes()].concat()))
            .find(|companion| self.companions.contains(companion))
    }
}

/// In nanoseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
