//! A command's way to the running server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use channels::{Options, Secrets};
use reqwest::{ClientBuilder, Method, RequestBuilder, Url};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    cli::{Complaint, Place},
    key,
};

/// Speaks with one server.
pub(crate) struct Client {
    http: reqwest::Client,
    address: Url,
    key: String,
}

/// How long a command waits that can do without the server's answer.
const NEAR: Duration = Duration::from_secs(5);

/// How long a command waits for what reads and writes the whole store.
const PATIENTLY: Duration = Duration::from_hours(12);

type Query<'a> = [(&'a str, String)];

impl Client {
    /// The server elsewhere that `--server` names, else the one that runs this project.
    pub(crate) fn reach(place: &Place) -> Result<Self, Complaint> {
        let (address, key, certificate) = match &place.server {
            Some(server) => (server.clone(), token(place)?, place.authorities.clone()),
            None => beside(&place.root(None))?,
        };
        let address = Url::parse(&address).ok().filter(Url::has_host).ok_or_else(|| {
            Complaint::misused(format!("`{address}` is no address; write http://HOST:PORT"))
        })?;
        let mut builder = reqwest::Client::builder().timeout(Duration::from_mins(1));
        if let Some(certificate) = certificate {
            builder = trusting(builder, &certificate).map_err(Complaint::wrong)?;
        }
        if place.server.is_none() {
            // A proxy of the environment has no business between us and this machine.
            builder = builder.no_proxy();
        }
        let http =
            builder.build().map_err(|error| Complaint::wrong(format!("cannot speak HTTP: {error}")))?;
        Ok(Self { http, address, key })
    }

    /// The server whose store is in this folder, if one says that it runs.
    pub(crate) fn of_store(folder: &Path) -> Option<Self> {
        let (address, key) = (key::read_address(folder).ok()?, key::read_key(folder).ok()?);
        let mut builder = reqwest::Client::builder().timeout(NEAR).no_proxy();
        if let Some(certificate) = key::read_certificate(folder) {
            builder = trusting(builder, &certificate).ok()?;
        }
        let http = builder.build().ok()?;
        Some(Self { http, address: Url::parse(&address).ok()?, key })
    }

    pub(crate) fn address(&self) -> &str {
        self.address.as_str().trim_end_matches('/')
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<T, Complaint> {
        read(self.send(self.request(Method::GET, path, query)).await?).await
    }

    /// For what reads the whole store.
    pub(crate) async fn get_patiently<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<T, Complaint> {
        read(self.send(self.request(Method::GET, path, query).timeout(PATIENTLY)).await?).await
    }

    /// What happens, as it happens, for as long as it is read.
    pub(crate) async fn listen(&self, query: &Query<'_>) -> Result<reqwest::Response, Complaint> {
        self.send(self.request(Method::GET, &["events"], query).timeout(PATIENTLY)).await
    }

    /// Hands on each event of a path as it comes, until there are no more.
    pub(crate) async fn hear(
        &self,
        path: &[&str],
        query: &Query<'_>,
        mut heard: impl FnMut(&str, &str) -> Result<(), Complaint>,
    ) -> Result<(), Complaint> {
        let mut answer = self.send(self.request(Method::GET, path, query).timeout(PATIENTLY)).await?;
        let mut come = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|error| broken(&error))? {
            come.extend_from_slice(&more);
            while let Some(end) = come.windows(2).position(|two| two == b"\n\n") {
                let event = String::from_utf8_lossy(&come[..end]).into_owned();
                come.drain(..end + 2);
                let part = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(name), Some(told)) = (part("event: "), part("data: ")) {
                    heard(name, told)?;
                }
            }
        }
        Ok(())
    }

    /// A body as it is: the raw bytes of a message.
    pub(crate) async fn get_bytes(&self, path: &[&str]) -> Result<Vec<u8>, Complaint> {
        let response = self.send(self.request(Method::GET, path, &[])).await?;
        response.bytes().await.map(Vec::from).map_err(|error| broken(&error))
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Complaint> {
        self.post_with(path, &[], body).await
    }

    /// Where nothing comes back.
    pub(crate) async fn post_only(&self, path: &[&str], body: &impl Serialize) -> Result<(), Complaint> {
        self.send(self.request(Method::POST, path, &[]).json(body)).await.map(drop)
    }

    /// For what may take hours.
    pub(crate) async fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Complaint> {
        let request = self.request(Method::POST, path, &[]).timeout(PATIENTLY);
        read(self.send(request.json(body)).await?).await
    }

    pub(crate) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &Query<'_>,
        body: &impl Serialize,
    ) -> Result<T, Complaint> {
        read(self.send(self.request(Method::POST, path, query).json(body)).await?).await
    }

    /// Takes something away; nothing comes back.
    pub(crate) async fn delete(&self, path: &[&str], query: &Query<'_>) -> Result<(), Complaint> {
        self.send(self.request(Method::DELETE, path, query)).await.map(drop)
    }

    fn request(&self, method: Method, path: &[&str], query: &Query<'_>) -> RequestBuilder {
        let mut url = self.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Names may hold anything: each becomes one segment.
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let who = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        let who: String = who.chars().filter(char::is_ascii_graphic).collect();
        self.http.request(method, url).query(query).bearer_auth(&self.key).header("relais-user", who)
    }

    async fn send(&self, request: RequestBuilder) -> Result<reqwest::Response, Complaint> {
        let response = request.send().await.map_err(|error| {
            if error.is_connect() {
                Complaint::wrong(format!(
                    "no server answers at {}; start it with `relais run`",
                    self.address()
                ))
            } else {
                broken(&error)
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem: Value = response.json().await.unwrap_or_default();
        let words = problem["detail"].as_str().or(problem["title"].as_str());
        Err(Complaint::wrong(words.map_or_else(|| format!("the server answered {status}"), str::to_owned)))
    }
}

async fn read<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, Complaint> {
    response.json().await.map_err(|error| broken(&error))
}

fn broken(error: &reqwest::Error) -> Complaint {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Complaint::wrong(format!("the server did not answer: {why}"))
}

fn token(place: &Place) -> Result<String, Complaint> {
    let written = place.token.clone().or_else(|| std::env::var("RELAIS_TOKEN").ok());
    written.ok_or_else(|| {
        Complaint::misused("a server elsewhere needs its key: --token KEY, or the variable RELAIS_TOKEN")
    })
}

/// Trusts the certificates of this file and no others: the server's own is one whatever name it bears.
fn trusting(builder: ClientBuilder, certificate: &Path) -> Result<ClientBuilder, String> {
    connectors::tls::trusting(certificate).map(|tls| builder.tls_backend_preconfigured(tls))
}

/// Address, key and certificate of the server that runs the project in `root`.
fn beside(root: &Path) -> Result<(String, String, Option<PathBuf>), Complaint> {
    if !root.is_dir() {
        return Err(Complaint::misused(format!("there is no folder {}", root.display())));
    }
    let options = Options { secrets: Secrets::TakenAsPresent, ..Options::default() };
    let folder = root.join(channels::load_settings(root, &options).store.path);
    let address = key::read_address(&folder).map_err(|_| {
        let shown = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let shown = shown.display();
        Complaint::wrong(format!(
            "no server runs the project in {shown}; start it with `relais run`, or name a folder with --project"
        ))
    })?;
    let key = key::read_key(&folder).map_err(|error| {
        Complaint::wrong(format!("cannot read the server's key in {}: {error}", folder.display()))
    })?;
    Ok((address, key, key::read_certificate(&folder)))
}
