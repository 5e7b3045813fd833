//! Room on the disk: new messages are refused while there is some left for those that were taken.
//!
//! What was accepted still has to be settled, filed and forgotten, and that takes room too. So intake ends before the disk
//! is full, or where the store is as long as it may be, and begins again when there is room, with some distance between
//! the two. A thread looks once a second; whoever keeps a message asks what it saw.

mod growth;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use growth::{Growth, Size};

/// How often the disk is asked.
const EVERY: Duration = Duration::from_secs(1);
/// The files are measured for no more than this part of the time, where there are many.
const PART: u32 = 100;
/// The floor where none is said: so many bytes, or this part of a disk that is smaller than twenty times as many.
const FLOOR: (u64, u64) = (1_000_000_000, 20);
/// Intake begins again with this part of the floor more than it, or this part of the budget less than that.
const DISTANCE: u64 = 10;
/// The forecast is told when it falls below each of these numbers of days, and once a day.
const NEAR: [f64; 3] = [30.0, 7.0, 1.0];
const DAY: Duration = Duration::from_hours(24);

/// How much room the store has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Room {
    /// Bytes in the files of the store.
    pub used: u64,
    /// Bytes that are free on its disk.
    pub free: u64,
    /// With fewer free ones new messages are refused.
    pub floor: u64,
    /// With more used ones, too.
    pub budget: Option<u64>,
    /// Days until then at the pace of the last day. `None`: nothing grows, or it is too early to say.
    pub full_days: Option<f64>,
    /// Why new messages are refused, if they are.
    pub refused: Option<String>,
}

/// What the settings say; `None`: the usual floor, no budget.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) floor: Option<u64>,
    pub(crate) budget: Option<u64>,
}

/// Looks at the disk as long as the store is open.
pub(crate) struct Watch {
    seen: Arc<Mutex<Room>>,
    /// Dropped, it ends the thread.
    open: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn begin(folder: &Path, limits: Limits) -> io::Result<Self> {
        let seen = Arc::new(Mutex::default());
        let mut eye = Eye::new(folder, limits, Arc::clone(&seen));
        eye.look();
        let (open, closed) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("room".to_owned()).spawn(move || {
            while closed.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                eye.look();
            }
        })?;
        Ok(Self { seen, open: Some(open), thread: Some(thread) })
    }

    /// Why no new message can be taken.
    pub(crate) fn refuses(&self) -> Option<String> {
        lock(&self.seen).refused.clone()
    }

    pub(crate) fn seen(&self) -> Room {
        lock(&self.seen).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.open.take());
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic there could have broken.
            let _ = thread.join();
        }
    }
}

/// What the thread knows.
struct Eye {
    folder: PathBuf,
    limits: Limits,
    seen: Arc<Mutex<Room>>,
    growth: Growth,
    /// When the files are measured again.
    measured_next: Instant,
    used: u64,
    told: Option<(Instant, usize)>,
    is_blind: bool,
}

impl Eye {
    fn new(folder: &Path, limits: Limits, seen: Arc<Mutex<Room>>) -> Self {
        Self {
            folder: folder.to_owned(),
            limits,
            seen,
            growth: Growth::read(folder),
            measured_next: Instant::now(),
            used: 0,
            told: None,
            is_blind: false,
        }
    }

    fn look(&mut self) {
        let disk = match rustix::fs::statvfs(&self.folder) {
            Ok(disk) => disk,
            Err(error) => return self.is_blinded(error),
        };
        self.is_blind = false;
        let began = Instant::now();
        if began >= self.measured_next {
            self.used = size_of(&self.folder);
            self.measured_next = began + began.elapsed() * PART;
        }
        let usual = FLOOR.0.min(disk.f_blocks.saturating_mul(disk.f_frsize) / FLOOR.1);
        let mut room = Room {
            used: self.used,
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            floor: self.limits.floor.unwrap_or(usual),
            budget: self.limits.budget,
            ..Room::default()
        };
        self.growth.note(SystemTime::now(), Size { used: room.used, free: room.free });
        room.full_days = self.growth.days_until_full(room.floor, room.budget);
        let before = lock(&self.seen).refused.clone();
        room.refused = room.refuses(before.is_some());
        tell_of_change(before.as_deref(), room.refused.as_deref());
        self.tell_of_forecast(&room);
        *lock(&self.seen) = room;
    }

    /// What cannot be asked is said once, and refuses nothing: writing shows what the disk can do.
    fn is_blinded(&mut self, error: rustix::io::Errno) {
        if !self.is_blind {
            tracing::warn!(%error, "cannot ask the disk for its free room; new messages are taken without that");
        }
        self.is_blind = true;
        lock(&self.seen).refused = None;
    }

    /// At once where it comes nearer, else once a day.
    fn tell_of_forecast(&mut self, room: &Room) {
        let Some(days) = room.full_days else { return };
        let near = NEAR.iter().filter(|limit| days < **limit).count();
        let is_due = self.told.is_none_or(|(when, was)| near > was || when.elapsed() >= DAY);
        if !is_due {
            return;
        }
        self.told = Some((Instant::now(), near));
        let (days, free) = (format!("{days:.1}"), Bytes(room.free).to_string());
        if near > 0 {
            tracing::warn!(
                days,
                free,
                "new messages will be refused for want of room, at the pace of the last day"
            );
        } else {
            tracing::info!(
                days,
                free,
                "until new messages are refused for want of room, at the pace of the last day"
            );
        }
    }
}

impl Room {
    /// Why new messages are refused; `is_refused`: those before were.
    fn refuses(&self, is_refused: bool) -> Option<String> {
        let above = if is_refused { self.floor.saturating_add(self.floor / DISTANCE) } else { self.floor };
        if self.free < above {
            let (free, above) = (Bytes(self.free), Bytes(above));
            return Some(format!(
                "too little room: {free} are free on the disk, less than {above}; free some, and it goes on by itself (`store: {{ free: … }}`)"
            ));
        }
        let budget = self.budget?;
        let below = if is_refused { budget - budget / DISTANCE } else { budget };
        if self.used <= below {
            return None;
        }
        let (used, below) = (Bytes(self.used), Bytes(below));
        Some(format!(
            "too little room: the store takes {used}, more than {below}; shorten `keep`, or give it more, and it goes on by itself (`store: {{ budget: … }}`)"
        ))
    }
}

fn tell_of_change(before: Option<&str>, now: Option<&str>) {
    match (before, now) {
        (None, Some(why)) => {
            tracing::error!(why, "new messages are refused; what was taken goes on");
        }
        (Some(_), None) => tracing::info!("there is room again: new messages are taken"),
        _ => {}
    }
}

/// The bytes of all files in a folder and the folders in it.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().filter_map(|entry| {
        let kind = entry.file_type().ok()?;
        if kind.is_dir() { Some(size_of(&entry.path())) } else { Some(entry.metadata().ok()?.len()) }
    });
    sizes.sum()
}

/// `3.4 MB`: decimal, as disks are sold.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)];
        let bytes = self.0 as f64;
        match units.into_iter().find(|(_, each)| bytes >= *each) {
            Some((name, each)) => write!(formatter, "{:.1} {name}", bytes / each),
            None => write!(formatter, "{} bytes", self.0),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(free: u64, used: u64) -> Room {
        Room { used, free, floor: 1000, budget: Some(5000), ..Room::default() }
    }

    #[test]
    fn intake_ends_at_the_floor_and_begins_again_some_way_above_it() {
        assert_eq!(room(1000, 0).refuses(false), None);
        let why = room(999, 0).refuses(false).unwrap();
        assert!(why.contains("999 bytes are free") && why.contains("less than 1.0 KB"), "{why}");
        assert!(room(1099, 0).refuses(true).is_some_and(|why| why.contains("less than 1.1 KB")));
        assert_eq!(room(1100, 0).refuses(true), None);
    }

    #[test]
    fn and_at_the_budget_and_some_way_below_it() {
        assert_eq!(room(9000, 5000).refuses(false), None);
        assert!(room(9000, 5001).refuses(false).is_some_and(|why| why.contains("takes 5.0 KB")));
        assert!(room(9000, 4501).refuses(true).is_some());
        assert_eq!(room(9000, 4500).refuses(true), None);
        assert_eq!(Room { budget: None, ..room(9000, u64::MAX) }.refuses(false), None);
    }

    #[test]
    fn a_floor_of_nothing_never_refuses() {
        assert_eq!(Room { floor: 0, budget: None, ..room(0, 0) }.refuses(false), None);
    }

    #[test]
    fn a_disk_without_room_refuses_from_the_first_look_on() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::begin(folder.path(), Limits { floor: Some(u64::MAX), budget: None }).unwrap();
        assert!(watch.refuses().is_some_and(|why| why.contains("too little room")));
        assert!(watch.seen().free > 0);
        let watch = Watch::begin(folder.path(), Limits::default()).unwrap();
        assert!(watch.seen().floor <= FLOOR.0);
    }
}
