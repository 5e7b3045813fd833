//! A server that is asked: with our credentials, and where it sends us on within itself.

use std::{path::Path, time::Duration};

use engine::{Checks, Connections, SendError};
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderValue, LOCATION, USER_AGENT},
    http::uri::PathAndQuery,
};
use tokio::time::Instant;
use url::Url;

use super::{
    Auth, Proxy,
    auth::Credentials,
    draft::Draft,
    link::Answer,
    meaning::Statuses,
    place::{self, Origin, Scheme},
    server::{Patience, Server},
    taking::Taking,
    token::Tokens,
};
use crate::{
    setting::Period,
    tls::{Side, Tls},
};

/// So often a server may send us on within one attempt.
const TURNS: usize = 5;

const WHO_WE_ARE: &str = concat!("Relais/", env!("CARGO_PKG_VERSION"));

/// The settings by which a server is reached, as a connector has them.
pub(crate) struct Access<'s> {
    /// The setting that says where the server is, and what it says.
    pub(crate) url: (&'static str, &'s str),
    pub(crate) auth: Option<&'s Auth>,
    pub(crate) tls: Option<&'s Tls>,
    pub(crate) proxy: Option<&'s Proxy>,
    pub(crate) timeout: Period,
    pub(crate) connect_timeout: Period,
    pub(crate) idle: Period,
    pub(crate) keep_alive: Period,
}

impl Access<'_> {
    /// Says what is wrong, without touching network or disk.
    pub(crate) fn check(&self, checks: &mut Checks<'_>) {
        self.check_place(checks);
        if let Some(auth) = self.auth {
            auth.check(checks);
        }
        if let Some(tls) = self.tls {
            tls.check(Side::Connects, "tls", checks);
        }
        for (name, period) in [("timeout", self.timeout), ("connect_timeout", self.connect_timeout)] {
            if period.0.is_zero() {
                checks.error("period-too-short", name, "no attempt could succeed");
            }
        }
    }

    fn check_place(&self, checks: &mut Checks<'_>) {
        let (setting, url) = self.url;
        match Origin::of(url) {
            Ok(origin) if origin.scheme == Scheme::Plain && self.tls.is_some() => {
                let why = format!("only means something where `{setting}` begins with `https://`");
                checks.error("unused-field", "tls", why);
            }
            Ok(_) => {}
            Err(why) => checks.error("wrong-value", setting, why),
        }
        if self.proxy.is_some_and(|proxy| proxy.user.is_none() && proxy.password.is_some()) {
            checks.error("missing-field", "proxy", "a `password` needs its `user`");
        }
    }

    /// Says what is wrong with the files that the settings name.
    pub(crate) fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(tls) = self.tls {
            tls.examine(Side::Connects, root, "tls", checks);
        }
        if let Some(auth) = self.auth {
            auth.examine(root, checks);
        }
    }

    /// Whoever asks that server. Connects to nothing yet.
    pub(crate) fn client(&self, root: &Path, most: usize) -> Result<Client, String> {
        let patience =
            Patience { connecting: self.connect_timeout.0, idle: self.idle.0, keep_alive: self.keep_alive.0 };
        let tls = self.tls.cloned().unwrap_or_default();
        let tls = (&tls, root);
        let (setting, url) = self.url;
        let origin = Origin::of(url).map_err(|why| format!("`{setting}` {why}"))?;
        let server = Server::new(origin, tls, self.proxy.cloned(), patience)?;
        let auth = self.auth.cloned().unwrap_or_default();
        let tokens =
            auth.oauth2.as_ref().map(|oauth2| Tokens::new(oauth2, tls, self.proxy.cloned(), patience));
        let credentials = Credentials::new(&auth, tokens.transpose()?)?;
        Ok(Client { setting, server, credentials, most, timeout: self.timeout.0 })
    }
}

/// Asks one server.
pub(crate) struct Client {
    /// The setting that says where the server is.
    setting: &'static str,
    server: Server,
    credentials: Credentials,
    /// The longest answer taken.
    most: usize,
    timeout: Duration,
}

impl Client {
    /// Shows its connections among a channel's.
    pub(crate) fn shown(mut self, among: &Connections) -> Self {
        self.server.show(among);
        self
    }

    /// When an attempt that begins now is over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Whether the server picks up, and the authorization server knows us.
    pub(crate) async fn reach(&self, deadline: Instant) -> Result<(), String> {
        self.server.reach(deadline).await?;
        let Credentials::Tokens(tokens) = &self.credentials else { return Ok(()) };
        tokens.current(deadline).await.map(drop).map_err(|error| error.to_string())
    }

    /// The parameter of the query that says who we are, where one does.
    pub(crate) fn parameter(&self) -> Option<(&str, &str)> {
        self.credentials.parameter()
    }

    /// What every URL of the server begins with.
    pub(crate) fn beginning(&self) -> String {
        self.server.origin.beginning()
    }

    /// Headers of every request: who we are, and how answers may be packed.
    pub(crate) fn headers(accept: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (USER_AGENT, HeaderValue::from_static(WHO_WE_ARE)),
            (ACCEPT, HeaderValue::from_static(accept)),
            (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
        ])
    }

    /// Asks, and takes as long an answer as the settings allow.
    pub(crate) async fn ask(
        &self,
        draft: Draft,
        success: &[Statuses],
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        self.ask_for(draft, success, Taking::most(self.most), deadline).await
    }

    /// Asks; once more with a new token where the server does not take ours, and further on where it sends us on.
    pub(crate) async fn ask_for(
        &self,
        mut draft: Draft,
        success: &[Statuses],
        mut taking: Taking<'_>,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        let mut is_renewed = false;
        let mut turns = 0;
        loop {
            self.credentials.sign(&mut draft, deadline).await?;
            let answer = self.server.ask(&draft, &mut taking, deadline).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !is_renewed && self.credentials.renew(&draft) {
                is_renewed = true;
                continue;
            }
            let is_success = success.iter().any(|statuses| statuses.holds(answer.status));
            let sent_on = if is_success { None } else { self.sent_on(&draft, &answer)? };
            match sent_on {
                None => return Ok(answer),
                Some(target) if turns < TURNS => {
                    turns += 1;
                    draft.target = target;
                }
                Some(_) => return Err(SendError::not_delivered("the server sends us in a circle")),
            }
        }
    }

    /// Where the server sends the same request. It is followed on the server itself alone: nothing of a message or
    /// of our credentials goes where the channel does not say.
    fn sent_on(&self, draft: &Draft, answer: &Answer) -> Result<Option<PathAndQuery>, SendError> {
        let is_reading = matches!(draft.method, Method::GET | Method::HEAD);
        let is_sent_on = match answer.status.as_u16() {
            307 | 308 => true,
            301 | 302 => is_reading,
            _ => false,
        };
        let Some(location) = answer.headers.get(LOCATION).filter(|_| is_sent_on) else {
            return Ok(None);
        };
        let unclear = || SendError::not_delivered("the server sends us on, and does not say where");
        let here = format!("{}{}", self.beginning(), draft.target);
        let here = Url::parse(&here).map_err(|_| unclear())?;
        let there =
            location.to_str().ok().and_then(|location| here.join(location).ok()).ok_or_else(unclear)?;
        match Origin::of_url(&there) {
            Some(origin) if origin == self.server.origin => {
                place::of_url(&there).parse().map(Some).map_err(|_| unclear())
            }
            elsewhere => {
                let to = elsewhere.map_or_else(|| "another protocol".to_owned(), |origin| origin.beginning());
                Err(SendError::not_delivered(format!(
                    "the server sends us on to {to}: if that is right, it is for `{}`",
                    self.setting
                )))
            }
        }
    }
}
