//! One connection to a server, opened when it is needed, kept, and opened again when it was cut.

use std::{path::PathBuf, sync::Arc, time::Duration};

use engine::{Hindered, Hindrance};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    server::Server,
    session::{Lost, Session},
    ssh::{self, Closed, Connection},
};
use crate::audience::Audience;

/// A server that could not be reached is not tried again by the next one who asks at once.
const REST: Duration = Duration::from_secs(1);
/// One that refuses our sign-in is asked this seldom: many lock an account, or shut us out, after some attempts.
const REFUSED: Duration = Duration::from_mins(5);
/// How long to wait for somebody else who opens the connection.
const QUEUE: Duration = Duration::from_secs(90);

/// A connection that several folders share.
pub(super) struct Link {
    server: Server,
    root: PathBuf,
    state: Mutex<State>,
    /// The channels that use it.
    pub(super) audience: Arc<Audience>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// Why it could not be opened, and when.
    failed: Option<(Instant, Closed)>,
}

/// Why there is no connection, and when the next try is where that is late.
fn told(closed: &Closed) -> Hindered {
    match closed {
        Closed::Now(why) => why.clone(),
        Closed::ToUs(why) => {
            let why = format!("{why}; it is asked again every five minutes, lest it lock us out");
            Hindered::by(Hindrance::SignedOut, why)
        }
    }
}

/// How long a server is not asked again that was closed like this.
fn rest(closed: &Closed) -> Duration {
    match closed {
        Closed::Now(_) => REST,
        Closed::ToUs(_) => REFUSED,
    }
}

struct Open {
    session: Arc<Session>,
    /// Keeps the connection under the session.
    _handle: russh::client::Handle<super::proof::Judge>,
}

impl Link {
    pub(super) fn new(server: Server, root: PathBuf) -> Self {
        Self { server, root, state: Mutex::default(), audience: Arc::default() }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The open conversation, or a new one; or why there is none, in words.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Hindered> {
        let locked = timeout(QUEUE, self.state.lock()).await;
        let Ok(mut state) = locked else {
            let why = format!("{} does not answer", self.server.address());
            return Err(Hindered::by(Hindrance::NoAnswer, why));
        };
        if let Some(open) = state.open.as_ref().filter(|open| !open.session.is_over()) {
            return Ok(Arc::clone(&open.session));
        }
        let failed = state.failed.as_ref().filter(|(since, closed)| since.elapsed() < rest(closed));
        if let Some((_, closed)) = failed {
            return Err(told(closed));
        }
        state.open = None;
        match self.open().await {
            Ok(open) => {
                let session = Arc::clone(&open.session);
                *state = State { open: Some(open), failed: None };
                Ok(session)
            }
            Err(closed) => {
                let why = told(&closed);
                state.failed = Some((Instant::now(), closed));
                Err(why)
            }
        }
    }

    async fn open(&self) -> Result<Open, Closed> {
        let Connection { stream, handle, .. } =
            ssh::connect(&self.server, &self.root, &self.audience).await?;
        let session = Session::open(stream, self.server.timeout.0).await.map_err(|Lost(why)| {
            why.worded(|why| format!("cannot speak with {}: {why}", self.server.address()))
        })?;
        Ok(Open { session: Arc::new(session), _handle: handle })
    }

    /// Tries to sign in by a connection of its own, and says what is spoken.
    pub(super) async fn try_out(&self) -> Result<String, String> {
        let connected = ssh::connect(&self.server, &self.root, &self.audience).await;
        let connection = connected.map_err(|closed| closed.to_string())?;
        let spoken = connection.spoken.clone();
        connection.end().await;
        Ok(spoken)
    }
}
