//! One connection to a server, opened when it is needed, kept, and opened again when it was cut.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    server::Server,
    session::{Lost, Session},
    ssh::{self, Connection},
};

/// A server that could not be reached is not tried again by the next one who asks at once.
const REST: Duration = Duration::from_secs(1);
/// How long to wait for somebody else who opens the connection.
const QUEUE: Duration = Duration::from_secs(90);

/// A connection that several folders share.
pub(super) struct Link {
    server: Server,
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// Why it could not be opened, and when.
    failed: Option<(Instant, String)>,
}

struct Open {
    session: Arc<Session>,
    /// Keeps the connection under the session.
    _handle: russh::client::Handle<super::proof::Judge>,
}

impl Link {
    pub(super) fn new(server: Server, root: PathBuf) -> Self {
        Self { server, root, state: Mutex::default() }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The open conversation, or a new one; or why there is none, in words.
    pub(super) async fn session(&self) -> Result<Arc<Session>, String> {
        let locked = timeout(QUEUE, self.state.lock()).await;
        let Ok(mut state) = locked else {
            return Err(format!("{} does not answer", self.server.address()));
        };
        if let Some(open) = state.open.as_ref().filter(|open| !open.session.is_over()) {
            return Ok(Arc::clone(&open.session));
        }
        if let Some((since, why)) = state.failed.as_ref().filter(|(since, _)| since.elapsed() < REST) {
            let _ = since;
            return Err(why.clone());
        }
        state.open = None;
        match self.open().await {
            Ok(open) => {
                let session = Arc::clone(&open.session);
                *state = State { open: Some(open), failed: None };
                Ok(session)
            }
            Err(why) => {
                state.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    async fn open(&self) -> Result<Open, String> {
        let Connection { stream, handle, .. } = ssh::connect(&self.server, &self.root).await?;
        let session = Session::open(stream, self.server.timeout.0)
            .await
            .map_err(|Lost(why)| format!("cannot speak with {}: {why}", self.server.address()))?;
        Ok(Open { session: Arc::new(session), _handle: handle })
    }

    /// Tries to sign in by a connection of its own, and says what is spoken.
    pub(super) async fn try_out(&self) -> Result<String, String> {
        let connection = ssh::connect(&self.server, &self.root).await?;
        let spoken = connection.spoken.clone();
        connection.end().await;
        Ok(spoken)
    }
}
