//! Writes the story of each file into the log of its flow: plain lines, to a file that people rotate as they like.
//!
//! A line never holds the flow up: where the log cannot be written, lines are counted and left out, and the flow goes on.

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use channels::Project;
use engine::{DeliveryOutcome, Facts, History as _, MessageId};
use jiff::{Timestamp, tz::TimeZone};
use rustix::fs::OFlags;
use store::Sqlite;
use tokio::sync::{mpsc, oneshot};

/// So many lines wait to be written; beyond, they are counted and left out.
const ROOM: usize = 65_536;
/// So many are written at once.
const TOGETHER: usize = 1000;
/// So many messages are known by the files they came in.
const KNOWN: usize = 20_000;
/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The logs of all flows.
#[derive(Default)]
pub(crate) struct FlowLogs {
    paths: RwLock<HashMap<String, Arc<Path>>>,
    /// Whether there is any: this is asked on the way of every message.
    is_any: AtomicBool,
    lost: Arc<AtomicU64>,
    lines: OnceLock<mpsc::Sender<Told>>,
}

/// Something to be written down.
enum Told {
    Line {
        when: Timestamp,
        channel: String,
        path: Arc<Path>,
        what: What,
    },
    /// Everything before it is written.
    End(oneshot::Sender<()>),
}

enum What {
    Kept { message: MessageId, file: String },
    Story { file: String, words: String },
    Delivery { message: MessageId, destination: String, came: DeliveryOutcome },
}

impl FlowLogs {
    /// Begins to write; `zone` is that of the times.
    pub(crate) fn begin(&self, store: Arc<Sqlite>, zone: TimeZone) {
        let (sender, receiver) = mpsc::channel(ROOM);
        if self.lines.set(sender).is_ok() {
            let lost = Arc::clone(&self.lost);
            let (names, sheets) = (Names::default(), HashMap::new());
            tokio::spawn(Writer { receiver, store, zone, lost, names, sheets }.run());
        }
    }

    /// Follows the files of a project, all of them or one channel's.
    pub(crate) fn follow(&self, project: &Project, only: Option<&str>) {
        let mut paths = self.paths.write().unwrap_or_else(PoisonError::into_inner);
        paths.retain(|name, _| only.is_some_and(|only| only != name));
        for channel in project.channels.iter().filter(|channel| only.is_none_or(|only| only == channel.name))
        {
            if let Some(path) = &channel.log_file {
                if let Some(folder) = path.parent().filter(|folder| folder.starts_with(&project.root)) {
                    // Where it cannot be made, the first line says so.
                    let _ = fs::create_dir_all(folder);
                }
                paths.insert(channel.name.clone(), path.as_path().into());
            }
        }
        self.is_any.store(!paths.is_empty(), Ordering::Relaxed);
    }

    pub(crate) fn kept(&self, channel: &str, message: MessageId, facts: &Facts) {
        self.tell(channel, || Some(What::Kept { message, file: file_in(facts)?.to_owned() }));
    }

    pub(crate) fn story(&self, channel: &str, file: &str, words: &str) {
        self.tell(channel, || Some(What::Story { file: file.to_owned(), words: words.to_owned() }));
    }

    pub(crate) fn attempted(
        &self,
        channel: &str,
        destination: &str,
        message: MessageId,
        came: DeliveryOutcome,
    ) {
        self.tell(channel, || Some(What::Delivery { message, destination: destination.to_owned(), came }));
    }

    /// Waits until what was told is written, and no longer than a moment.
    pub(crate) async fn end(&self) {
        let (tell, told) = oneshot::channel();
        let Some(lines) = self.lines.get() else { return };
        let ending = async {
            if lines.send(Told::End(tell)).await.is_ok() {
                let _ = told.await;
            }
        };
        let _ = tokio::time::timeout(LAST_LINES, ending).await;
    }

    fn tell(&self, channel: &str, what: impl FnOnce() -> Option<What>) {
        if !self.is_any.load(Ordering::Relaxed) {
            return;
        }
        let path = self.paths.read().unwrap_or_else(PoisonError::into_inner).get(channel).cloned();
        let (Some(path), Some(lines)) = (path, self.lines.get()) else { return };
        let Some(what) = what() else { return };
        let line = Told::Line { when: Timestamp::now(), channel: channel.to_owned(), path, what };
        if lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a file is called in its flow: its path from the folder on that files are taken from.
fn file_in(source: &Facts) -> Option<&str> {
    let fact = |name: &str| source.get(name).and_then(|fact| fact.as_str());
    let below = fact("path").zip(fact("dir")).and_then(|(path, dir)| path.strip_prefix(dir));
    below.map(|path| path.trim_start_matches('/')).or_else(|| fact("name"))
}

/// Writes the lines, some at a time.
struct Writer {
    receiver: mpsc::Receiver<Told>,
    store: Arc<Sqlite>,
    zone: TimeZone,
    lost: Arc<AtomicU64>,
    names: Names,
    sheets: HashMap<Arc<Path>, Sheet>,
}

/// The files that messages came in.
#[derive(Default)]
struct Names {
    known: HashMap<MessageId, String>,
    oldest: VecDeque<MessageId>,
}

impl Names {
    fn learn(&mut self, message: MessageId, file: String) {
        if self.known.insert(message, file).is_none() {
            self.oldest.push_back(message);
        }
        if self.oldest.len() > KNOWN
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Writer {
    async fn run(mut self) {
        let mut told = Vec::with_capacity(TOGETHER);
        while self.receiver.recv_many(&mut told, TOGETHER).await > 0 {
            let mut texts: Vec<(Arc<Path>, String, u64)> = Vec::new();
            let mut ends = Vec::new();
            for one in told.drain(..) {
                match one {
                    Told::End(tell) => ends.push(tell),
                    Told::Line { when, channel, path, what } => {
                        let Some((file, words)) = self.words(what).await else { continue };
                        let line = format!("{} {channel} {file}: {words}\n", self.time(when));
                        match texts.iter_mut().find(|(of, _, _)| *of == path) {
                            Some((_, text, lines)) => {
                                text.push_str(&line);
                                *lines += 1;
                            }
                            None => texts.push((path, line, 1)),
                        }
                    }
                }
            }
            self.write(texts).await;
            for tell in ends {
                // Whoever waited has gone.
                let _ = tell.send(());
            }
        }
    }

    fn time(&self, when: Timestamp) -> impl std::fmt::Display {
        when.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }

    /// The file that it is about, and what became of it.
    async fn words(&mut self, what: What) -> Option<(String, String)> {
        match what {
            What::Kept { message, file } => {
                self.names.learn(message, file.clone());
                Some((file, format!("stored as message {message}")))
            }
            What::Story { file, words } => Some((file, words)),
            What::Delivery { message, destination, came } => {
                let why = match came {
                    DeliveryOutcome::Sent => None,
                    _ => self.why(message, &destination).await,
                };
                let words = match came {
                    DeliveryOutcome::Sent => format!("delivered to {destination}"),
                    DeliveryOutcome::Retried => format!("not delivered to {destination}, to be tried again"),
                    DeliveryOutcome::Unsure => format!("perhaps delivered to {destination}"),
                    DeliveryOutcome::GivenUp => format!("given up for {destination}"),
                };
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                Some((self.file_of(message).await?, format!("{words}, message {message}{why}")))
            }
        }
    }

    /// The name of the file that a message came in, of an earlier run too.
    async fn file_of(&mut self, message: MessageId) -> Option<String> {
        if !self.names.known.contains_key(&message) {
            let shown = self.store.show(message).await.ok()??;
            let name = file_in(&shown.source).unwrap_or_default().to_owned();
            self.names.learn(message, name);
        }
        self.names.known.get(&message).filter(|name| !name.is_empty()).cloned()
    }

    async fn why(&self, message: MessageId, destination: &str) -> Option<String> {
        let shown = self.store.show(message).await.ok()??;
        let ours = shown.row.deliveries.into_iter().filter(|one| one.destination == destination);
        ours.max_by_key(|one| one.id).and_then(|one| one.tally.why).map(|why| why.words().to_owned())
    }

    async fn write(&mut self, texts: Vec<(Arc<Path>, String, u64)>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(
                lost,
                "lines of flows' logs were left out: they came quicker than they could be written"
            );
        }
        let now = self.time(Timestamp::now()).to_string();
        for (path, text, lines) in texts {
            let mut sheet = self.sheets.remove(&path).unwrap_or_default();
            let (at, now) = (Arc::clone(&path), now.clone());
            let writing = tokio::task::spawn_blocking(move || {
                sheet.write(&at, &text, (lines, &now));
                sheet
            });
            if let Ok(sheet) = writing.await {
                self.sheets.insert(path, sheet);
            }
        }
    }
}

/// One log, open.
#[derive(Default)]
struct Sheet {
    open: Option<(File, (u64, u64))>,
    /// Lines that could not be written.
    missing: u64,
    /// Whether the last line has no end.
    is_torn: bool,
}

impl Sheet {
    fn write(&mut self, path: &Path, text: &str, (lines, now): (u64, &str)) {
        let whole = if self.missing > 0 {
            let torn = if self.is_torn { "\n" } else { "" };
            format!("{torn}{now} {} lines are missing: this log could not be written\n{text}", self.missing)
        } else {
            text.to_owned()
        };
        match self.append(path, whole.as_bytes()) {
            Ok(()) => {
                if std::mem::take(&mut self.missing) > 0 {
                    tracing::info!(path = %path.display(), "the log of a flow is written again");
                }
                self.is_torn = false;
            }
            Err(error) => {
                if self.missing == 0 {
                    tracing::warn!(path = %path.display(), %error, "cannot write the log of a flow; the flow goes on without it");
                }
                self.missing += lines;
                self.open = None;
            }
        }
    }

    /// Appends at the end as it is now, of the file that has this name now.
    fn append(&mut self, path: &Path, mut bytes: &[u8]) -> io::Result<()> {
        let named = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let open = match self.open.take().filter(|(_, of)| Some(*of) == named) {
            Some(open) => open,
            None => open(path)?,
        };
        let (file, _) = self.open.insert(open);
        while !bytes.is_empty() {
            match file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.is_torn = bytes[written - 1] != b'\n';
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A pipe that nobody reads must not hold us.
fn open(path: &Path) -> io::Result<(File, (u64, u64))> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    Ok((file, (found.dev(), found.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sheet: &mut Sheet, path: &Path, text: &str) {
        sheet.write(path, text, (1, "now"));
    }

    #[test]
    fn files_of_one_name_in_several_folders_are_told_apart() {
        let facts = |path: &str, dir: &str| {
            let facts = serde_json::json!({ "name": "a.hl7", "path": path, "dir": dir });
            file_in(facts.as_object().unwrap()).map(str::to_owned)
        };
        assert_eq!(facts("in/sub/a.hl7", "in").as_deref(), Some("sub/a.hl7"));
        assert_eq!(facts("/srv/in/a.hl7", "/srv/in/").as_deref(), Some("a.hl7"));
        assert_eq!(facts("elsewhere", "in").as_deref(), Some("a.hl7"));
        assert_eq!(file_in(&Facts::new()), None);
    }

    #[test]
    fn a_log_that_is_renamed_or_truncated_goes_on_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("flow.log"), folder.path().join("flow.log.1"));
        let mut sheet = Sheet::default();
        write(&mut sheet, &path, "one\n");
        fs::rename(&path, &rotated).unwrap();
        write(&mut sheet, &path, "two\n");
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "one\n");
        // copytruncate: the same file, cut to nothing.
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        write(&mut sheet, &path, "three\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_counted_and_written_on_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/flow.log");
        let mut sheet = Sheet::default();
        write(&mut sheet, &path, "one\n");
        write(&mut sheet, &path, "two\n");
        assert!(!path.exists());
        fs::create_dir(folder.path().join("missing")).unwrap();
        write(&mut sheet, &path, "three\n");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "now 2 lines are missing: this log could not be written\nthree\n");
        // A full disk is an error like any other.
        let mut full = Sheet::default();
        write(&mut full, Path::new("/dev/full"), "one\n");
        assert_eq!(full.missing, 1);
    }
}
