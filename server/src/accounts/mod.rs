//! Who may do what: accounts of people with their sessions, and tokens of programs.

mod attempts;
mod kept;
mod open;
mod password;
mod people;
mod provider;
mod rights;
pub(crate) mod secret;
mod tokens;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

pub(crate) use kept::FILE;
pub(crate) use people::{AccountStatus, Position};
pub(crate) use provider::{Change, Gate, Identity, Misfit, Person};
pub(crate) use rights::{Right, Role, Sees};
pub(crate) use tokens::{TokenStatus, TokenWish};

use attempts::Attempts;
use kept::Kept;

/// A session ends this long after its sign-in, and when nobody used it for a while.
const SESSION: Duration = Duration::from_hours(12);
const IDLE: Duration = Duration::from_hours(2);

/// Sessions of one account at a time: the oldest ends.
const SESSIONS: usize = 20;

/// Passwords compared at once: each takes 19 MiB.
const AT_ONCE: usize = 2;

/// Who asks, and what he may.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// For the audit log: `ada`, `ada (key)`, `token monitor`.
    pub(crate) name: String,
    pub(crate) rights: Vec<Right>,
    pub(crate) sees: Sees,
    pub(crate) door: Door,
    pub(crate) from: Option<IpAddr>,
}

/// How a caller came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// The key in the store's folder.
    Key,
    /// A session of the console, by its digest.
    Session(String),
    /// A token, by its digest.
    Token(String),
}

impl Caller {
    pub(crate) fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    /// Whether he is let at the server as a whole.
    pub(crate) fn sees_everything(&self) -> bool {
        self.sees == Sees::Everything
    }
}

/// Why somebody was not let in, or something was not changed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Name or password is wrong; which one is not said.
    Wrong,
    /// Too many failures.
    Wait(Duration),
    /// The request makes no sense, in words.
    Unfit(String),
    /// There is none of that name.
    Unknown(String),
    /// It could not be kept.
    Broken(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

struct Session {
    account: String,
    begun: Instant,
    used: Instant,
}

/// Every account, token and session.
pub(crate) struct Accounts {
    folder: PathBuf,
    kept: Mutex<Kept>,
    sessions: Mutex<HashMap<String, Session>>,
    attempts: Attempts,
    hashing: Semaphore,
}

impl Accounts {
    /// What is kept in the store's folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            kept: Mutex::new(Kept::read(folder)?),
            sessions: Mutex::default(),
            attempts: Attempts::default(),
            hashing: Semaphore::new(AT_ONCE),
        })
    }

    /// Changes what is kept: on disk first, then in memory.
    fn change<T>(&self, edit: impl FnOnce(&mut Kept) -> Result<T, Refused>) -> Result<T, Refused> {
        let mut kept = self.kept.lock().expect("no holder of this lock panics");
        let mut edited = kept.clone();
        let came = edit(&mut edited)?;
        edited.write(&self.folder)?;
        *kept = edited;
        Ok(came)
    }

    fn read<T>(&self, look: impl FnOnce(&Kept) -> T) -> T {
        look(&self.kept.lock().expect("no holder of this lock panics"))
    }
}
