//! What a flow has before it and what it did not get through, as a person sees it, and the way back into the flow.

use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Backlog, FileGroup, MessageId, OpenError, Origin, TakeUp, UnprocessedFile, WaitingFile};

use super::{
    away::{Lies, Note, Written},
    desk::{Desk, files},
    finish::rename_freely,
    ledger::{Ledger, Noted},
    look::CLAIMS,
    place::{Done, Entry, Fault, Kind, Location, Place, Stat, shown},
    settings::{Complete, Folders, Taking, is_unfinished},
};

/// How deep folders may lie in one another.
const DEEPEST: usize = 32;

/// The files of one channel, wherever they lie.
pub(crate) struct Shelf {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) taking: Taking,
    pub(crate) folders: Folders,
    pub(crate) notes: PathBuf,
    pub(crate) channel: Arc<str>,
    pub(crate) desk: Arc<Desk>,
    /// Where the files lie, for people.
    pub(crate) shown: String,
}

/// A group while it is counted: the oldest of it are kept.
struct Counting {
    most: usize,
    number: u64,
    bytes: u64,
    oldest: Option<i64>,
    /// The youngest of those kept is on top.
    kept: BinaryHeap<(i64, u64, String)>,
}

impl Counting {
    fn new(most: usize) -> Self {
        Self { most, number: 0, bytes: 0, oldest: None, kept: BinaryHeap::new() }
    }

    fn count(&mut self, name: String, stat: Stat) {
        self.number += 1;
        self.bytes += stat.size;
        self.oldest = Some(self.oldest.map_or(stat.modified, |oldest| oldest.min(stat.modified)));
        self.kept.push((stat.modified, stat.size, name));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
    }

    fn group(self, place: String, state: &str, why: Option<String>) -> Option<FileGroup> {
        let now = now();
        let age = |modified: i64| now.saturating_sub(modified).max(0) as f64 / 1e9;
        let file = |(modified, size, file)| WaitingFile { file, size, age_seconds: age(modified) };
        (self.number > 0).then(|| FileGroup {
            place,
            state: state.to_owned(),
            number: self.number,
            bytes: self.bytes,
            oldest_seconds: self.oldest.map(age),
            why,
            files: self.kept.into_sorted_vec().into_iter().map(file).collect(),
        })
    }
}

#[async_trait]
impl Backlog for Shelf {
    fn place(&self) -> String {
        self.shown.clone()
    }

    fn standing(&self) -> String {
        let words = self.desk.words();
        if words.is_empty() { self.shown.clone() } else { format!("{}, {words}", self.shown) }
    }

    async fn waiting(&self, most: usize) -> Result<Vec<FileGroup>, OpenError> {
        self.waits(most).await.map_err(|fault| OpenError::new(fault.to_string()))
    }

    async fn unprocessed(&self) -> Result<Vec<UnprocessedFile>, OpenError> {
        self.lies_there().await.map_err(|fault| OpenError::new(fault.to_string()))
    }

    async fn take_up(&self, file: &UnprocessedFile, manner: TakeUp) -> Result<String, OpenError> {
        self.brings_back(file, manner).await.map_err(|fault| OpenError::new(fault.to_string()))
    }
}

impl Shelf {
    async fn noted(&self) -> Noted {
        let (notes, channel) = (self.notes.clone(), Arc::clone(&self.channel));
        let reading = tokio::task::spawn_blocking(move || Ledger::peek(&notes, &channel));
        reading.await.unwrap_or_default()
    }

    async fn waits(&self, most: usize) -> Done<Vec<FileGroup>> {
        let noted = self.noted().await;
        let (mut there, mut claims) = (Counting::new(most), Vec::new());
        let now = now();
        self.each_folder(&mut |folder, entry| {
            if entry.kind == Kind::Folder && entry.name == CLAIMS {
                claims.push(folder.join(CLAIMS));
                return;
            }
            let at = folder.join(&entry.name);
            let fits = entry.kind == Kind::File
                && self.taking.wants_name(&entry.name)
                && self.taking.will_want(entry.stat.size, now.saturating_sub(entry.stat.modified));
            if fits && !noted.knows(&at, entry.stat) {
                there.count(shown(&at.trail), entry.stat);
            }
        })
        .await?;
        let (mut ours, mut others) = (Counting::new(most), Counting::new(most));
        for folder in claims {
            for sweep in self.folders_in(&folder).await? {
                let is_ours = !noted.owner.is_empty() && sweep.name().starts_with(noted.owner.as_bytes());
                let count = if is_ours { &mut ours } else { &mut others };
                self.count_sweep(&sweep, count).await?;
            }
        }
        let awaited = match self.desk.awaited() {
            0 => None,
            awaited => Some(format!("{} wait for answers", files(awaited))),
        };
        let another = Some("another engine has taken them".to_owned());
        let groups = [
            there.group(self.shown.clone(), "waiting", None),
            ours.group(self.shown.clone(), "taken", awaited),
            others.group(self.shown.clone(), "taken", another),
        ];
        Ok(groups.into_iter().flatten().collect())
    }

    async fn count_sweep(&self, sweep: &Location, count: &mut Counting) -> Done {
        let mut below = Vec::new();
        self.listed(sweep, &mut |entry| {
            if entry.kind == Kind::Folder {
                below.push(sweep.join(&entry.name));
            } else if !entry.name.starts_with(b".") && !self.taking.is_companion(&entry.name) {
                count.count(shown(&entry.name), entry.stat);
            }
        })
        .await?;
        for answered in below {
            self.listed(&answered, &mut |entry| {
                if !entry.name.starts_with(b".") {
                    count.count(shown(&entry.name), entry.stat);
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Goes through the folder that files are taken from and, where asked, those below.
    async fn each_folder(&self, each: &mut (dyn FnMut(&Location, Entry) + Send)) -> Done {
        let mut below = vec![(self.folders.dir.clone(), 0)];
        while let Some((folder, depth)) = below.pop() {
            let mut found = Vec::new();
            let listed = self
                .place
                .list(&folder, &mut |entry| {
                    let at = folder.join(&entry.name);
                    let is_entered = entry.kind == Kind::Folder
                        && self.taking.is_recursive()
                        && depth < DEEPEST
                        && !is_unfinished(&entry.name)
                        && !self.folders.are_put_away_in(&at);
                    if is_entered {
                        found.push((at, depth + 1));
                    } else {
                        each(&folder, entry);
                    }
                })
                .await;
            match listed {
                Ok(()) => below.append(&mut found),
                Err(_) if depth > 0 => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    async fn folders_in(&self, folder: &Location) -> Done<Vec<Location>> {
        let mut found = Vec::new();
        self.listed(folder, &mut |entry| {
            if entry.kind == Kind::Folder {
                found.push(folder.join(&entry.name));
            }
        })
        .await?;
        Ok(found)
    }

    /// One that is not there holds nothing.
    async fn listed(&self, folder: &Location, each: &mut (dyn FnMut(Entry) + Send)) -> Done {
        // A missing folder of the settings is a fault of its place: it is looked for first.
        match self.place.look(folder).await {
            Err(Fault::Missing) => return Ok(()),
            Ok((kind, _)) if kind != Kind::Folder => return Ok(()),
            _ => {}
        }
        match self.place.list(folder, each).await {
            Err(Fault::Missing) => Ok(()),
            listed => listed,
        }
    }

    async fn lies_there(&self) -> Done<Vec<UnprocessedFile>> {
        let away = |error| Fault::away(format!("cannot read the notes of what was put away: {error}"));
        let notes = self.desk.away.read().map_err(away)?;
        let folders: HashSet<Location> = notes.iter().map(|note| note.at.location().folder()).collect();
        let mut lying: HashMap<Location, Stat> = HashMap::new();
        for folder in folders {
            self.gather(&folder, &mut lying).await?;
        }
        let (mut found, mut gone) = (Vec::new(), HashSet::new());
        for note in notes {
            let at = note.at.location();
            match lying.remove(&at) {
                Some(stat) => found.push(known(&note, stat)),
                None => drop(gone.insert(note.at)),
            }
        }
        self.desk.away.forget(&gone).map_err(away)?;
        for (state, folder) in [(Lies::Refused, &self.folders.refused), (Lies::Failed, &self.folders.failed)]
        {
            let Some(folder) = folder else { continue };
            self.add_unknown(state, folder, &mut found).await?;
        }
        Ok(found)
    }

    async fn gather(&self, folder: &Location, lying: &mut HashMap<Location, Stat>) -> Done {
        self.listed(folder, &mut |entry| {
            if entry.kind == Kind::File {
                lying.insert(folder.join(&entry.name), entry.stat);
            }
        })
        .await
    }

    /// What lies in such a folder and nobody knows of: put there by hand, or noted by a store that is gone.
    async fn add_unknown(&self, state: Lies, folder: &Location, found: &mut Vec<UnprocessedFile>) -> Done {
        let mut all = HashMap::new();
        self.gather(folder, &mut all).await?;
        for below in self.folders_in(folder).await? {
            if is_date(below.name()) {
                self.gather(&below, &mut all).await?;
            }
        }
        let noted: HashSet<String> = found.iter().map(|file| file.at.clone()).collect();
        let mut unknown: Vec<(Location, Stat)> = all.into_iter().collect();
        unknown.retain(|(at, _)| self.taking.wants_name(at.name()) && !noted.contains(&at.to_string()));
        unknown.sort_by(|one, other| (one.1.modified, &one.0).cmp(&(other.1.modified, &other.0)));
        for (at, stat) in unknown {
            let note = Note {
                at: Written::of(&at),
                from: Written::of(&self.folders.dir.join(at.name())),
                sweep: None,
                state,
                size: stat.size,
                modified: stat.modified,
                messages: Vec::new(),
                why: None,
            };
            found.push(UnprocessedFile { origin: Origin::Unknown, ..known(&note, stat) });
        }
        Ok(())
    }

    async fn brings_back(&self, file: &UnprocessedFile, manner: TakeUp) -> Done<String> {
        let note: Note = serde_json::from_str(&file.key)
            .map_err(|_| Fault::Unfit("nothing is known of this file".to_owned()))?;
        let at = note.at.location();
        let (_, stat) = match self.place.look(&at).await {
            Err(Fault::Missing) => return Err(Fault::Unfit("it lies there no more".to_owned())),
            looked => looked?,
        };
        if stat != note.stat() {
            return Err(Fault::Unfit("it has just changed; try again".to_owned()));
        }
        match manner {
            TakeUp::Again => self.again(&note, &at).await,
            TakeUp::Anew => self.anew(&note, &at).await,
        }
    }

    /// Under its claim it is the file that it was.
    async fn again(&self, note: &Note, at: &Location) -> Done<String> {
        let from = note.from.location();
        let Some(sweep) = &note.sweep else {
            if *at != from {
                rename_freely(self.place.as_ref(), at, (&from.folder(), from.name())).await?;
                self.desk.bell.notify_one();
                return Ok("back in its folder".to_owned());
            }
            self.over(note);
            return Ok("stays where it is".to_owned());
        };
        let sweep = from.folder().join(CLAIMS).join(sweep.as_bytes());
        self.place.make_folder(&sweep).await?;
        self.place.rename(at, &sweep.join(from.name())).await?;
        self.place.settle(&[sweep, at.folder()]).await?;
        self.desk.recover();
        Ok("taken up again".to_owned())
    }

    async fn anew(&self, note: &Note, at: &Location) -> Done<String> {
        let from = note.from.location();
        let mut now = at.clone();
        if *at != from && note.state != Lies::Left {
            now = rename_freely(self.place.as_ref(), at, (&from.folder(), from.name())).await?;
            self.place.settle(&[from.folder(), at.folder()]).await?;
        }
        if let Complete::Companion(ending) = &self.taking.complete {
            let name = [now.name(), ending.as_bytes()].concat();
            self.place.write(&now.folder().join(&name), &Bytes::new()).await?;
        }
        if note.state == Lies::Left {
            self.over(note);
        }
        self.unnote(now).await?;
        Ok("back in its folder, as a new file".to_owned())
    }

    /// Whoever runs the flow has its notes; where nobody does, they are ours for a moment.
    async fn unnote(&self, at: Location) -> Done {
        if self.desk.runs() {
            self.desk.forget(at);
            return Ok(());
        }
        let (notes, channel) = (self.notes.clone(), Arc::clone(&self.channel));
        let forgetting = tokio::task::spawn_blocking(move || Ledger::forget_closed(&notes, &channel, &at));
        let forgotten = forgetting.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        forgotten.map_err(|error| Fault::away(format!("cannot write the notes of what was taken: {error}")))
    }

    fn over(&self, note: &Note) {
        // A note too many is found out at the next look at the file.
        let _ = self.desk.away.note(&Note { state: Lies::Over, ..note.clone() });
    }
}

fn known(note: &Note, stat: Stat) -> UnprocessedFile {
    let is_same = stat == note.stat();
    let now = Note { size: stat.size, modified: stat.modified, ..note.clone() };
    UnprocessedFile {
        name: shown(note.from.location().name()),
        at: note.at.location().to_string(),
        state: note.state.name(),
        why: note.why.clone(),
        messages: note.messages.iter().copied().map(MessageId).collect(),
        origin: if is_same { Origin::Known } else { Origin::Changed },
        key: serde_json::to_string(&now).expect("a note has text keys"),
    }
}

/// `2026-03-01` or `2026-03`: a folder of a day or of a month.
fn is_date(name: &[u8]) -> bool {
    let fits = |(place, byte): (usize, &u8)| {
        if matches!(place, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() }
    };
    matches!(name.len(), 7 | 10) && name.iter().enumerate().all(fits)
}

/// In nanoseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
