//! Takes files out of the sight of others before they are read, and finds those that a crash left so.
//!
//! A file is claimed by a new name: `.relais/<engine>-<sweep>/NAME` in its own folder. The sweep is drawn anew each time,
//! so two files that come under one name are two, and a file that is found again after a crash is the same.

use engine::Hash;

use super::{
    ledger::random,
    look::{CLAIMS, Candidate},
    place::{Done, Fault, Kind, Location, Place, Stat},
    settings::Taking,
};

/// The folder of files whose answers are written, in that of their sweep.
pub(super) const ANSWERED: &[u8] = b"answered";

/// A file that is ours until it is put away.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    /// Where it lay when it was seen.
    pub(super) from: Location,
    /// Where it lies now.
    pub(super) at: Location,
    pub(super) companion: Option<Location>,
    pub(super) stat: Stat,
    /// What makes it this file and no other; `None` where it was not claimed by a name: then its path, time and bytes do.
    pub(super) mark: Option<Hash>,
    /// How far it has come, as this run knows.
    pub(super) way: Way,
}

/// How far a claimed file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nobody has read it.
    Fresh,
    /// It may have been handed over, in this run or an earlier one: under another mark it would be another file.
    Known,
    /// Its answer was asked for again.
    AskedAgain,
}

/// So many files that cannot be claimed, and none that can, are the place's doing.
const ENOUGH: usize = 3;

/// What one sweep brought.
#[derive(Default)]
pub(super) struct Sweep {
    pub(super) claimed: Vec<Claimed>,
    /// Files that cannot be claimed now, and why.
    pub(super) refused: Vec<(Location, String)>,
    /// What ended it early: one more may be ours than is known.
    pub(super) trouble: Option<Fault>,
}

/// Claims and gives back.
pub(super) struct Claims<'a> {
    pub(super) place: &'a dyn Place,
    pub(super) taking: &'a Taking,
    pub(super) owner: &'a str,
}

impl Claimed {
    /// The folder of the sweep that it was claimed in.
    pub(super) fn sweep(&self) -> Location {
        let folder = self.at.folder();
        if self.is_answered() { folder.folder() } else { folder }
    }

    /// Notes that it was handed over.
    pub(super) fn note_known(&mut self) {
        if self.way == Way::Fresh {
            self.way = Way::Known;
        }
    }

    /// Whether its answer is written down.
    pub(super) fn is_answered(&self) -> bool {
        self.mark.is_some() && self.at.folder().name() == ANSWERED
    }
}

impl Claims<'_> {
    /// Claims files; those that somebody else took first are left out.
    pub(super) async fn claim(&self, candidates: Vec<Candidate>) -> Done<Sweep> {
        let mut sweep = Sweep::default();
        if self.taking.leaves() {
            sweep.claimed = candidates.into_iter().map(stays).collect();
            return Ok(sweep);
        }
        let name = format!("{}-{}", self.owner, random());
        let mut touched: Vec<Location> = Vec::new();
        for candidate in candidates {
            let folder = candidate.at.folder();
            let claims = folder.join(CLAIMS).join(name.as_bytes());
            if !touched.contains(&claims) {
                self.place.make_folder(&claims).await.map_err(|fault| without(&name, fault))?;
                touched.extend([folder.clone(), folder.join(CLAIMS), claims.clone()]);
            }
            match self.take(&candidate, &claims).await {
                Ok(one) => sweep.claimed.push(one),
                // Somebody else was first, or it has gone.
                Err(Fault::Missing) => {}
                Err(Fault::Closed(why)) if !sweep.claimed.is_empty() || sweep.refused.len() + 1 < ENOUGH => {
                    sweep.refused.push((candidate.at, told(&name, &why)));
                }
                Err(fault) => {
                    sweep.trouble = Some(without(&name, fault));
                    break;
                }
            }
        }
        // A name that a power cut undoes would let the file be taken for another one.
        if let Err(fault) = self.place.settle(&touched).await {
            sweep.trouble.get_or_insert(without(&name, fault));
        }
        if sweep.claimed.is_empty() {
            for claims in touched.iter().filter(|folder| folder.name() == name.as_bytes()) {
                // One that stays is found at the next start.
                let _ = self.place.remove_folder(claims).await;
            }
        }
        Ok(sweep)
    }

    /// The companion goes first: one without its file is put back, a file without its companion would never be whole.
    async fn take(&self, candidate: &Candidate, sweep: &Location) -> Done<Claimed> {
        let mut companion = None;
        if let Some(from) = &candidate.companion {
            let to = sweep.join(from.name());
            self.place.rename_to_own(from, &to).await?;
            companion = Some(to);
        }
        let to = sweep.join(candidate.at.name());
        if let Err(fault) = self.place.rename_to_own(&candidate.at, &to).await {
            if let (Some(from), Some(to)) = (&candidate.companion, &companion) {
                // If that fails too, it is found at the next start.
                let _ = self.place.rename(to, from).await;
            }
            return Err(fault);
        }
        Ok(Claimed {
            mark: Some(mark(sweep, &candidate.at)),
            from: candidate.at.clone(),
            at: to,
            companion,
            stat: candidate.stat(),
            way: Way::Fresh,
        })
    }

    /// Finds what an earlier run of this engine had claimed, the oldest first.
    pub(super) async fn recover(&self, folders: &[Location]) -> Done<Vec<Claimed>> {
        let mut found = Vec::new();
        for folder in folders {
            let mut sweeps = Vec::new();
            self.place
                .list(folder, &mut |entry| {
                    if entry.kind == Kind::Folder && entry.name.starts_with(self.owner.as_bytes()) {
                        sweeps.push(folder.join(&entry.name));
                    }
                })
                .await?;
            for sweep in sweeps {
                found.extend(self.recover_sweep(&folder.folder(), &sweep).await?);
            }
        }
        found.sort_by(|one, other| (one.stat.modified, &one.from).cmp(&(other.stat.modified, &other.from)));
        Ok(found)
    }

    async fn recover_sweep(&self, folder: &Location, sweep: &Location) -> Done<Vec<Claimed>> {
        let (mut files, mut companions) = (Vec::new(), Vec::new());
        let mut has_answered = false;
        self.place
            .list(sweep, &mut |entry| {
                if entry.kind == Kind::Folder {
                    has_answered |= entry.name == ANSWERED;
                } else if self.taking.is_companion(&entry.name) {
                    companions.push(entry.name);
                } else if !entry.name.starts_with(b".") {
                    files.push((sweep.join(&entry.name), entry.stat));
                }
            })
            .await?;
        if has_answered {
            let answered = sweep.join(ANSWERED);
            self.place
                .list(&answered, &mut |entry| {
                    if !entry.name.starts_with(b".") {
                        files.push((answered.join(&entry.name), entry.stat));
                    }
                })
                .await?;
        }
        let mut claimed = Vec::with_capacity(files.len());
        for (at, stat) in files {
            let its = companions.iter().position(|companion| belongs(companion, at.name()));
            let companion = its.map(|place| sweep.join(&companions.swap_remove(place)));
            let from = folder.join(at.name());
            claimed.push(Claimed {
                mark: Some(mark(sweep, &from)),
                at,
                from,
                companion,
                stat,
                way: Way::Known,
            });
        }
        for name in companions {
            match self.place.rename(&sweep.join(&name), &folder.join(&name)).await {
                Ok(()) | Err(Fault::Missing) => {}
                // The same companion has come again: one is enough.
                Err(Fault::Taken) => self.place.remove(&sweep.join(&name)).await?,
                Err(fault) => return Err(fault),
            }
        }
        if claimed.is_empty() {
            self.place.remove_folder(&sweep.join(ANSWERED)).await?;
            self.place.remove_folder(sweep).await?;
        }
        Ok(claimed)
    }

    /// Puts files back where they lay, as if they had not been claimed. What cannot be put back is found at the next start.
    pub(super) async fn give_back(&self, claimed: &[Claimed]) {
        for one in claimed.iter().filter(|one| one.mark.is_some() && one.way == Way::Fresh) {
            if self.place.rename(&one.at, &one.from).await.is_ok()
                && let Some(companion) = &one.companion
            {
                let _ = self.place.rename(companion, &one.from.folder().join(companion.name())).await;
            }
            let _ = self.place.remove_folder(&one.at.folder()).await;
        }
    }
}

/// Whether this companion is that of a file: `a.hl7.ok` or `a.ok` of `a.hl7`.
fn belongs(companion: &[u8], file: &[u8]) -> bool {
    let stem = file.iter().rposition(|byte| *byte == b'.').map_or(file, |dot| &file[..dot]);
    let after =
        |beginning: &[u8]| companion.strip_prefix(beginning).is_some_and(|rest| rest.starts_with(b"."));
    after(file) || after(stem)
}

/// A sweep has another name each time: with it, one state would be other words at each try.
fn without(sweep: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Away(why) => Fault::Away(why.worded(|why| told(sweep, why))),
        Fault::Closed(why) => Fault::Closed(told(sweep, &why)),
        Fault::Unfit(why) => Fault::Unfit(told(sweep, &why)),
        fault => fault,
    }
}

fn told(sweep: &str, why: &str) -> String {
    why.replace(&format!("/{sweep}"), "")
}

fn stays(candidate: Candidate) -> Claimed {
    let stat = candidate.stat();
    Claimed {
        from: candidate.at.clone(),
        at: candidate.at,
        companion: candidate.companion,
        stat,
        mark: None,
        way: Way::Fresh,
    }
}

fn mark(sweep: &Location, from: &Location) -> Hash {
    Hash::of(&[b"claimed", sweep.name(), from.base.as_bytes(), &from.trail])
}
