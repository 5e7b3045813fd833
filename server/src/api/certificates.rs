//! The certificates that matter: our own, those we trust, those that peers show, and when each ends.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Context,
    connections::{MOST, written},
    problem::Problem,
};
use crate::accounts::Caller;

/// A file of certificates, or one that a connected peer shows.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CertificateStatus {
    /// None: the server's own, or a rule's of alerts.
    channel: Option<String>,
    destination: Option<String>,
    /// `certificate` (ours), `clients` or `authorities` (whom we trust), `server` (this API's), `peer` (shown to us now).
    kind: &'static str,
    /// The file, or the peer's address.
    place: String,
    /// Of the one that ends first.
    subject: Option<String>,
    /// RFC 3339, UTC.
    ends: Option<String>,
    days_left: Option<i64>,
    /// How many the file holds.
    number: usize,
    /// Why it cannot be read.
    trouble: Option<String>,
}

struct Place {
    channel: Option<String>,
    destination: Option<String>,
    kind: &'static str,
    file: PathBuf,
}

/// Those that end first come first.
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
) -> Result<Json<Vec<CertificateStatus>>, Problem> {
    let mut places = Vec::new();
    let own = context.fleet.settings().0.tls.as_ref().map(|tls| tls.certificate.clone());
    if let Some(file) = own.filter(|_| caller.sees_everything()) {
        places.push(Place { channel: None, destination: None, kind: "server", file });
    }
    for named in context.fleet.read().await.certificates() {
        let is_seen = match &named.channel {
            Some(channel) => context.fleet.is_seen(channel, &caller.sees),
            None => caller.sees_everything(),
        };
        if is_seen {
            let kind = named.setting;
            let (channel, destination) = (named.channel, named.destination);
            places.push(Place { channel, destination, kind, file: named.file });
        }
    }
    let root = context.fleet.root.clone();
    let reading = move || places.into_iter().map(|place| place.read(&root)).collect::<Vec<_>>();
    let read = tokio::task::spawn_blocking(reading).await;
    let mut all = read.map_err(|_| Problem::unavailable("reading the certificates broke off"))?;
    all.extend(of_peers(&context, &caller));
    all.sort_by(|one, other| one.key().cmp(&other.key()));
    Ok(Json(all))
}

/// What peers that are connected now have shown.
fn of_peers(context: &Context, caller: &Caller) -> Vec<CertificateStatus> {
    let mut shown = Vec::new();
    for (name, member) in context.fleet.members() {
        let Some(channel) = member.running().filter(|_| caller.sees.includes(&member.tags)) else { continue };
        for one in channel.connections(MOST).0 {
            let Some(end) = one.certificate else { continue };
            let place = one.peer.ip().to_string();
            let status = CertificateStatus {
                channel: Some(name.clone()),
                destination: one.destination,
                kind: "peer",
                place,
                subject: None,
                ends: Some(written(end)),
                days_left: Some(days_left(end)),
                number: 1,
                trouble: None,
            };
            if !shown.iter().any(|known: &CertificateStatus| known.is_same(&status)) {
                shown.push(status);
            }
        }
    }
    shown
}

impl Place {
    fn read(self, root: &Path) -> CertificateStatus {
        let read = connectors::tls::certificates(&root.join(&self.file));
        let first = read.as_ref().ok().and_then(|found| found.iter().min_by_key(|(_, end)| *end)).cloned();
        let end = first.as_ref().map(|(_, end)| *end);
        CertificateStatus {
            channel: self.channel,
            destination: self.destination,
            kind: self.kind,
            place: self.file.display().to_string(),
            subject: first.map(|(subject, _)| subject),
            ends: end.map(written),
            days_left: end.map(days_left),
            number: read.as_ref().map_or(0, Vec::len),
            trouble: read.err(),
        }
    }
}

impl CertificateStatus {
    /// What cannot be read comes before all.
    fn key(&self) -> (bool, Option<&str>, Option<&str>, &str) {
        (self.trouble.is_none(), self.ends.as_deref(), self.channel.as_deref(), &self.place)
    }

    /// Of many connections of one peer one is enough.
    fn is_same(&self, other: &Self) -> bool {
        let who = |one: &Self| (one.channel.clone(), one.destination.clone(), one.place.clone());
        who(self) == who(other) && self.ends == other.ends
    }
}

/// Whole days, rounded down; negative once it has ended.
fn days_left(end: SystemTime) -> i64 {
    let seconds = match end.duration_since(SystemTime::now()) {
        Ok(left) => left.as_secs_f64(),
        Err(past) => -past.duration().as_secs_f64(),
    };
    (seconds / 86_400.0).floor() as i64
}
