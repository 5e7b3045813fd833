//! Where cases are played: a project with a channel for each, the running server, and the receivers around it.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{PoisonError, RwLock},
};

use tests::{Behaviour, Project, Receiver, Relais};

use crate::{case::Case, grammar::Deed};

/// A project and its server.
pub(crate) struct Stage {
    pub(crate) project: Project,
    relais: RwLock<Option<Relais>>,
}

/// What one case has of the stage: its own channel, its own port, its own receivers.
pub(crate) struct Set {
    pub(crate) port: u16,
    pub(crate) channel: String,
    pub(crate) receivers: BTreeMap<String, Peer>,
}

/// A receiver that may be down.
pub(crate) struct Peer {
    pub(crate) port: u16,
    receiver: Option<Receiver>,
    /// What came before it was down.
    before: Vec<Vec<u8>>,
    /// How many arrivals the case has looked at.
    pub(crate) seen: usize,
}

impl Stage {
    /// Builds the project of these cases and starts it.
    pub(crate) fn build(cases: &[&Case]) -> (Self, Vec<Set>) {
        let project = Project::new();
        let usual = std::fs::read_to_string(project.path("relais.yaml")).unwrap_or_default();
        let settings = cases.iter().find_map(|case| case.settings()).unwrap_or("reload: on_command\n");
        project.write("relais.yaml", format!("{usual}{settings}"));
        // Held until all are known: the system gives none of them twice.
        let held: Vec<TcpListener> =
            cases.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("the system has ports")).collect();
        let sets: Vec<Set> = cases
            .iter()
            .zip(&held)
            .map(|(case, port)| Set::of(case, port.local_addr().expect("it listens").port()))
            .collect();
        for (case, set) in cases.iter().zip(&sets) {
            project.channel(&case.name, &set.filled(&case.channel));
        }
        let stage = Self { project, relais: RwLock::new(None) };
        (stage, sets)
    }

    pub(crate) fn start(&self) {
        *self.relais.write().unwrap_or_else(PoisonError::into_inner) = Some(self.project.start());
    }

    pub(crate) fn kill(&self) {
        if let Some(relais) = self.relais.write().unwrap_or_else(PoisonError::into_inner).take() {
            relais.kill();
        }
    }

    pub(crate) fn stop(&self) -> Result<(), String> {
        let Some(relais) = self.relais.write().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let status = relais.terminate();
        if status.success() { Ok(()) } else { Err(format!("relais left with {status}")) }
    }

    pub(crate) fn log(&self) -> String {
        self.relais
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(Relais::log)
            .unwrap_or_default()
    }

    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        self.relais.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.metric(series)
    }

    /// What the server says at this path, as JSON.
    pub(crate) fn ask(&self, path: &str) -> Option<serde_json::Value> {
        let relais = self.relais.read().unwrap_or_else(PoisonError::into_inner);
        let (status, body) = relais.as_ref()?.get(&format!("/api/v1/{path}"))?;
        (status == 200).then(|| serde_json::from_str(&body).ok())?
    }
}

impl Set {
    fn of(case: &Case, port: u16) -> Self {
        let mut set = Self { port, channel: case.name.clone(), receivers: BTreeMap::new() };
        let later = case.steps.iter().filter_map(|step| match &step.deed {
            Deed::Redeploys(lines) => Some(lines.as_str()),
            _ => None,
        });
        for name in [case.channel.as_str()].into_iter().chain(later).flat_map(placeholders) {
            if !["port", "channel", "reply"].contains(&name.as_str()) {
                set.receivers.entry(name).or_insert_with(Peer::new);
            }
        }
        set
    }

    /// The text with what its `{…}` stand for.
    pub(crate) fn filled(&self, text: &str) -> String {
        let mut text = text.replace("{port}", &self.port.to_string()).replace("{channel}", &self.channel);
        for (name, peer) in &self.receivers {
            text = text.replace(&format!("{{{name}}}"), &peer.port.to_string());
        }
        text
    }
}

/// The names in braces, without those of `${…}`.
pub(crate) fn placeholders(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices('{') {
        let Some((name, _)) = text[at + 1..].split_once('}') else { continue };
        let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        if is_name && !name.is_empty() && !text[..at].ends_with('$') {
            names.push(name.to_owned());
        }
    }
    names
}

impl Peer {
    fn new() -> Self {
        let receiver = Receiver::start(Behaviour::Code("AA"));
        Self { port: receiver.port, receiver: Some(receiver), before: Vec::new(), seen: 0 }
    }

    pub(crate) fn goes_down(&mut self) {
        self.before = self.arrivals();
        self.receiver = None;
    }

    pub(crate) fn comes_up(&mut self) {
        self.receiver = Some(Receiver::listen(self.port, Behaviour::Code("AA")));
    }

    pub(crate) fn receiver(&self) -> Result<&Receiver, String> {
        self.receiver.as_ref().ok_or_else(|| "this receiver is down".to_owned())
    }

    /// Everything that came, in order.
    pub(crate) fn arrivals(&self) -> Vec<Vec<u8>> {
        let now = self.receiver.as_ref().map(Receiver::received).unwrap_or_default();
        self.before.iter().cloned().chain(now).collect()
    }
}
