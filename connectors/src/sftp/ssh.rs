//! Opens a connection: the server is known first, then we say who we are.

use std::{
    fmt,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use engine::{Hindered, Hindrance};
use russh::{
    AlgorithmKind, ChannelStream, client,
    client::{AuthResult, KeyboardInteractiveAuthResponse, Msg},
    keys::{
        PrivateKeyWithHashAlg,
        agent::{AgentIdentity, client::AgentClient},
    },
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    proof::{self, Judge, Known, Seen},
    server::{HostKeys, Server},
};
use crate::{
    audience::Audience,
    secret::Secret,
    watched::watched_by,
    wire::{self, Wire},
};

/// So many questions of `keyboard-interactive` are answered, at most.
const QUESTIONS: usize = 4;

/// An open connection. It ends when this is dropped.
pub(super) struct Connection {
    pub(super) stream: ChannelStream<Msg>,
    /// What is spoken: key exchange, host key, cipher, MAC.
    pub(super) spoken: String,
    /// Keeps the connection.
    pub(super) handle: client::Handle<Judge>,
}

/// Why there is no connection, in words.
#[derive(Debug, Clone)]
pub(super) enum Closed {
    /// It cannot be had now.
    Now(Hindered),
    /// The server let us come and did not let us in: who asks it too often is locked out.
    ToUs(String),
}

impl From<String> for Closed {
    fn from(why: String) -> Self {
        Self::Now(why.into())
    }
}

impl From<Hindered> for Closed {
    fn from(why: Hindered) -> Self {
        Self::Now(why)
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(why) => formatter.write_str(&why.words),
            Self::ToUs(why) => formatter.write_str(why),
        }
    }
}

/// Connects, signs in and asks for SFTP, within the server's time for each.
pub(super) async fn connect(server: &Server, root: &Path, audience: &Audience) -> Result<Connection, Closed> {
    let address = server.address();
    let reached = reach(server).await;
    let stream = reached.map_err(|why| wire::cannot_connect(&address, why))?;
    let stream = watched_by(Box::new(stream), audience);
    let opening = timeout(server.timeout.0 * 2, open(server, root, stream)).await;
    let worded = |why: &str| format!("cannot sign in at {address}: {why}");
    opening.unwrap_or_else(|_| Err(Closed::Now(wire::late()))).map_err(|closed| match closed {
        Closed::Now(why) => Closed::Now(why.worded(worded).or_by(Hindrance::SignedOut)),
        Closed::ToUs(why) => Closed::ToUs(worded(&why)),
    })
}

async fn reach(server: &Server) -> Result<TcpStream, Hindered> {
    let target = (server.host.trim_start_matches('[').trim_end_matches(']'), server.port);
    let connected = timeout(server.timeout.0, async {
        let found = lookup_host(target).await;
        let found = found.map_err(|error| Hindered::by(Hindrance::NameUnknown, error.to_string()))?;
        let found: Vec<SocketAddr> = found.collect();
        TcpStream::connect(found.as_slice()).await.map_err(|error| wire::unreached(&error))
    });
    let late = |_| Hindered::by(Hindrance::NoAnswer, "no connection in time");
    let stream = connected.await.map_err(late)??;
    // Small requests are answered one by one: waiting for more would cost their time each.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn open(server: &Server, root: &Path, stream: Wire) -> Result<Connection, Closed> {
    let known = known(server, root)?;
    let config = client::Config {
        preferred: proof::algorithms(&server.old_algorithms, &known.algorithms())?,
        keepalive_interval: Some(server.keep_alive.0),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let judge = Judge { known: known.clone(), seen: Arc::clone(&seen) };
    let greeted = client::connect_stream(Arc::new(config), stream, judge).await;
    let saw = || seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let refused = |error: &russh::Error| match error {
        russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, theirs, .. } => known.refuse_kinds(theirs),
        _ => saw().refusal,
    };
    let mut handle = greeted.map_err(|error| refused(&error).unwrap_or_else(|| worded(&error)))?;
    sign_in(&mut handle, server, root).await?;
    let channel = handle.channel_open_session().await.map_err(|error| worded(&error))?;
    channel.request_subsystem(true, "sftp").await.map_err(|error| worded(&error))?;
    Ok(Connection { stream: channel.into_stream(), spoken: saw().spoken.unwrap_or_default(), handle })
}

fn known(server: &Server, root: &Path) -> Result<Known, String> {
    let lines = server.host_key.iter().flat_map(HostKeys::lines);
    let pinned = lines.map(|line| proof::read_key(line)).collect::<Result<_, _>>()?;
    let path = match (&server.known_hosts, &server.host_key) {
        (Some(path), _) => Some(root.join(path)),
        (None, Some(_)) => None,
        (None, None) => std::env::home_dir().map(|home| home.join(".ssh/known_hosts")),
    };
    match &path {
        Some(path) if server.host_key.is_none() && !path.exists() => {
            Err(format!("`{}`, which should know its key, is not there", path.display()))
        }
        _ => Ok(Known { pinned, path, host: server.host.clone(), port: server.port }),
    }
}

/// Tries the key, the agent, then the password.
async fn sign_in(handle: &mut client::Handle<Judge>, server: &Server, root: &Path) -> Result<(), Closed> {
    let mut tried: Vec<String> = Vec::new();
    let mut accepts = String::new();
    if let Some(key) = &server.key {
        let loaded = proof::load_key(&root.join(key), server.passphrase.as_ref().map(Secret::reveal))
            .map_err(|why| format!("`{key}`: {why}"))?;
        let hash = rsa_hash(handle, server).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(loaded), hash);
        let answer =
            handle.authenticate_publickey(&server.user, key).await.map_err(|error| worded(&error))?;
        if is_in(answer, &mut accepts) {
            return Ok(());
        }
        tried.push("key".to_owned());
    }
    if server.agent {
        if by_agent(handle, server, &mut accepts).await? {
            return Ok(());
        }
        tried.push("agent".to_owned());
    }
    if let Some(password) = &server.password {
        let answer = handle.authenticate_password(&server.user, password.reveal()).await;
        if is_in(answer.map_err(|error| worded(&error))?, &mut accepts) {
            return Ok(());
        }
        if accepts.contains("keyboard-interactive") && by_questions(handle, server, password).await? {
            return Ok(());
        }
        tried.push("password".to_owned());
    }
    let accepts = if accepts.is_empty() { String::new() } else { format!("; it takes {accepts}") };
    let tried = tried.join(" and the ");
    Err(Closed::ToUs(format!("the {tried} of user `{}` was refused{accepts}", server.user)))
}

async fn rsa_hash(
    handle: &client::Handle<Judge>,
    server: &Server,
) -> Result<Option<russh::keys::HashAlg>, String> {
    let best = handle.best_supported_rsa_hash().await.map_err(|error| worded(&error))?;
    match best.unwrap_or(Some(russh::keys::HashAlg::Sha256)) {
        // SHA-1 only where it is named.
        None if !server.old_algorithms.iter().any(|name| name == "ssh-rsa") => {
            Ok(Some(russh::keys::HashAlg::Sha256))
        }
        hash => Ok(hash),
    }
}

async fn by_agent(
    handle: &mut client::Handle<Judge>,
    server: &Server,
    accepts: &mut String,
) -> Result<bool, String> {
    let failed = |error: &dyn fmt::Display| format!("the SSH agent: {error}");
    let mut agent = AgentClient::connect_env().await.map_err(|error| failed(&error))?;
    let identities = agent.request_identities().await.map_err(|error| failed(&error))?;
    let hash = rsa_hash(handle, server).await?;
    for identity in identities {
        let AgentIdentity::PublicKey { key, .. } = identity else { continue };
        let hash = if key.algorithm().is_rsa() { hash } else { None };
        let answer = handle.authenticate_publickey_with(&server.user, key, hash, &mut agent).await;
        if is_in(answer.map_err(|error| failed(&error))?, accepts) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Answers each question of the server with the password.
async fn by_questions(
    handle: &mut client::Handle<Judge>,
    server: &Server,
    password: &Secret,
) -> Result<bool, String> {
    let begun = handle.authenticate_keyboard_interactive_start(&server.user, None).await;
    let mut said = begun.map_err(|error| worded(&error))?;
    for _ in 0..QUESTIONS {
        let prompts = match said {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers = prompts.iter().map(|_| password.reveal().to_owned()).collect();
        let answered = handle.authenticate_keyboard_interactive_respond(answers).await;
        said = answered.map_err(|error| worded(&error))?;
    }
    Ok(false)
}

fn is_in(answer: AuthResult, accepts: &mut String) -> bool {
    match answer {
        AuthResult::Success => true,
        AuthResult::Failure { remaining_methods, .. } => {
            let names: Vec<String> =
                remaining_methods.iter().map(|method| String::from(<&'static str>::from(method))).collect();
            *accepts = names.join(", ");
            false
        }
    }
}

fn worded(error: &russh::Error) -> String {
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => format!(
            "no algorithm in common ({kind:?}); the server offers {}: `old_algorithms` allows an old one",
            theirs.join(", ")
        ),
        russh::Error::UnknownKey => "its key is not known".to_owned(),
        error => error.to_string(),
    }
}

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

impl Connection {
    /// Says goodbye, so that the server need not wait for us.
    pub(super) async fn end(self) {
        let Self { handle, stream, .. } = self;
        drop(stream);
        let _ = timeout(GOODBYE, handle.disconnect(russh::Disconnect::ByApplication, "", "")).await;
    }
}
