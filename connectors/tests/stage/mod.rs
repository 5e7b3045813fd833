//! A stage for connectors: a running channel on a store in memory, and peers that do as they are told.

// Each test file plays with a part of it.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used)]

mod files;
mod peer;
#[path = "../../../tests/src/sshd.rs"]
mod sshd;
mod steps;
mod web;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use engine::{
    Channel, Connections, Content, DeliveryId, Destination, EmptyDirectory, Facts, Feeds, Hash, Memory,
    MessageId, Observer, Opening, OtherBytes, Outbound, Outcome, Past, Plan, Ports, RepeatPolicy, Repeats,
    ReplyPolicy, ReplyWhen, ReplyWords, Shares, SourceSettings, Spots, Store, Surroundings, Texts, Trouble,
    memory::StoredMessage,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, time::timeout};

pub use files::{Files, authority, client, usage};
pub use peer::{Peer, acknowledge, hears};
pub use sshd::Sshd;
pub use steps::{Gate, Steps};
pub use web::{Asked, Guest, Web, posts, says};

/// Longer than anything a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A channel that runs.
pub struct Stage {
    pub memory: Arc<Memory>,
    pub channel: Arc<Channel>,
    pub feeds: Feeds,
    pub gate: Gate,
    heard: Arc<Heard>,
    /// Keeps the port open before its source is, and no longer than that one.
    port: Mutex<Option<Arc<TcpListener>>>,
}

/// Wakes the test when something ended.
#[derive(Default)]
struct Heard(Notify, AtomicU64, Mutex<Vec<(String, String)>>);

impl Observer for Heard {
    fn skipped(&self, _channel: &str, bytes: u64) {
        self.1.fetch_add(bytes, Ordering::SeqCst);
        self.0.notify_waiters();
    }

    fn ended(&self, _channel: &str, _message: Option<MessageId>, _outcome: Outcome) {
        self.0.notify_waiters();
    }

    fn story(&self, _channel: &str, file: &str, words: &str, _message: Option<MessageId>) {
        self.2.lock().unwrap().push((file.to_owned(), words.to_owned()));
        self.0.notify_waiters();
    }
}

impl Stage {
    /// Starts a channel with a source that listens on `address`.
    pub async fn listening(address: SocketAddr, mut settings: Value, words: ReplyWords) -> Self {
        settings["listen"] = address.to_string().into();
        Self::start("mllp", settings, words, Feeds::default(), Some(address)).await
    }

    /// Starts a channel with a source of HTTP that listens on `address`.
    pub async fn serving(address: SocketAddr, mut settings: Value, words: ReplyWords) -> Self {
        settings["listen"] = address.to_string().into();
        Self::start("http", settings, words, Feeds::default(), Some(address)).await
    }

    /// Starts a channel with a source of DICOM that listens on `address`.
    pub async fn storing(address: SocketAddr) -> Self {
        let settings = json!({ "listen": address.to_string() });
        Self::start("dicom", settings, ReplyWords::default(), Feeds::default(), Some(address)).await
    }

    /// Starts a channel with this source; one that is fed is called `next`.
    pub async fn start(
        connector: &str,
        settings: Value,
        words: ReplyWords,
        feeds: Feeds,
        address: Option<SocketAddr>,
    ) -> Self {
        let name = if connector == "channel" { "next" } else { "lab" };
        let source = source(connector, settings);
        Self::launch((name, source), words, (feeds, address), PathBuf::from(".")).await
    }

    /// Starts a channel whose source takes the files of a folder below `root`.
    pub async fn taking(root: &Path, settings: Value, words: ReplyWords) -> Self {
        Self::fetching("file", root, settings, words).await
    }

    /// The same with files that lie elsewhere; `root` is the project's folder.
    pub async fn fetching(connector: &str, root: &Path, settings: Value, words: ReplyWords) -> Self {
        let source = source(connector, settings);
        Self::launch(("lab", source), words, (Feeds::default(), None), root.to_owned()).await
    }

    /// Starts a channel whose source searches a FHIR server, and keeps below `root` how far it has come.
    pub async fn searching(root: &Path, settings: Value) -> Self {
        let source = source("fhir", settings);
        Self::launch(("lab", source), ReplyWords::default(), (Feeds::default(), None), root.to_owned()).await
    }

    async fn launch(
        (name, source): (&str, Box<dyn SourceSettings>),
        words: ReplyWords,
        (feeds, address): (Feeds, Option<SocketAddr>),
        root: PathBuf,
    ) -> Self {
        let (memory, gate, heard) = (Arc::new(Memory::new()), Gate::default(), Arc::new(Heard::default()));
        let ports = Ports::default();
        // Whoever connects from here on waits in the system's queue until the source accepts.
        let port = match address {
            Some(address) => Some(ports.listen(address).await.unwrap()),
            None => None,
        };
        let around = Surroundings {
            store: Arc::clone(&memory) as Arc<dyn Store>,
            ports,
            expectations: engine::Expectations::default(),
            feeds: feeds.clone(),
            shares: Shares::default(),
            observer: Arc::clone(&heard) as Arc<dyn Observer>,
            notes: root.join("notes"),
            root,
            spots: Spots::new(1),
            directory: Arc::new(EmptyDirectory),
        };
        let plan = plan(name, source, words, &gate);
        let channel = Channel::start(plan, around, &Past::default()).await;
        Self { memory, channel, feeds, gate, heard, port: Mutex::new(port) }
    }

    /// Waits until so many messages have ended.
    pub async fn ended(&self, count: usize) -> Vec<StoredMessage> {
        let watch = async {
            loop {
                let news = self.heard.0.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                let messages = self.messages();
                if messages.iter().filter(|stored| stored.outcome.is_some()).count() >= count {
                    return messages;
                }
                news.await;
            }
        };
        timeout(PATIENCE, watch).await.expect("so many messages end")
    }

    /// Waits until so many bytes were skipped.
    pub async fn skipped(&self, count: u64) {
        let watch = async {
            loop {
                let news = self.heard.0.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if self.heard.1.load(Ordering::SeqCst) >= count {
                    return;
                }
                news.await;
            }
        };
        timeout(PATIENCE, watch).await.expect("so many bytes are skipped");
        assert_eq!(self.heard.1.load(Ordering::SeqCst), count);
    }

    /// Waits until the story of a file has come to these words.
    pub async fn tells(&self, file: &str, words: &str) {
        self.told(|stories| stories.iter().any(|(of, said)| of == file && said.contains(words))).await;
    }

    /// Waits until the stories of the files fit.
    pub async fn told(&self, fits: impl Fn(&[(String, String)]) -> bool) {
        let watch = async {
            loop {
                let news = self.heard.0.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if fits(&self.heard.2.lock().unwrap()) {
                    return;
                }
                news.await;
            }
        };
        let told = timeout(PATIENCE, watch).await;
        assert!(told.is_ok(), "the stories are {:?}", self.heard.2.lock().unwrap());
    }

    /// Waits until the source is in this trouble, or in none.
    pub async fn trouble(&self, words: Option<&str>) {
        self.is_said(words, || self.channel.view().trouble).await;
    }

    /// Waits until the source says this of what it leaves out, or nothing.
    pub async fn leaves_out(&self, words: Option<&str>) {
        self.is_said(words, || self.channel.view().left_out).await;
    }

    async fn is_said(&self, words: Option<&str>, what: impl Fn() -> Option<String>) {
        let fits = |said: Option<String>| match (words, said) {
            (Some(words), Some(said)) => said.contains(words),
            (None, None) => true,
            _ => false,
        };
        let watch = async {
            while !fits(what()) {
                tokio::task::yield_now().await;
            }
        };
        let fitted = timeout(PATIENCE, watch).await;
        assert!(fitted.is_ok(), "it says {:?}", what());
    }

    pub fn messages(&self) -> Vec<StoredMessage> {
        self.memory.snapshot().messages
    }

    pub async fn stop(&self) {
        // Who is not let in yet is then told by the system.
        self.port.lock().unwrap().take();
        timeout(Duration::from_secs(1), self.channel.stop(Duration::from_secs(1)))
            .await
            .expect("it stops within a second");
    }
}

fn plan(name: &str, source: Box<dyn SourceSettings>, words: ReplyWords, gate: &Gate) -> Plan {
    let version = Hash::of(&[name.as_bytes()]);
    Plan {
        name: name.into(),
        version,
        text: "".into(),
        source: source.into(),
        source_version: version,
        charset: None,
        reply: ReplyPolicy { when: ReplyWhen::Processed, within: Duration::from_secs(10) },
        words,
        repeats: Repeats {
            policy: RepeatPolicy::Accept,
            window: Duration::from_mins(1),
            others: OtherBytes::Flag,
        },
        script: Arc::new(Steps::new(gate.clone())),
        expect: None,
        group: None,
        outlets: Vec::new(),
    }
}

/// An address of this machine that was free a moment ago.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn source(connector: &str, settings: Value) -> Box<dyn SourceSettings> {
    let kind = connectors::find(connector).unwrap().source.as_ref().unwrap();
    (kind.parse)(settings).map_err(|misfit| misfit.message).unwrap()
}

pub async fn destination(connector: &str, settings: Value, root: &Path) -> Box<dyn Destination> {
    destination_in(connector, settings, &opening(root)).await
}

pub async fn destination_in(connector: &str, settings: Value, opening: &Opening) -> Box<dyn Destination> {
    let kind = connectors::find(connector).unwrap().destination.as_ref().unwrap();
    let settings = (kind.parse)(settings).map_err(|misfit| misfit.message).unwrap();
    settings.open(opening).await.unwrap()
}

pub fn opening(root: &Path) -> Opening {
    Opening {
        channel: "lab".into(),
        root: root.to_owned(),
        words: ReplyWords::default(),
        charset: None,
        ports: Ports::default(),
        feeds: Feeds::default(),
        shares: Shares::default(),
        connections: Connections::default(),
        notes: root.join("notes"),
        trouble: Trouble::default(),
        directory: Arc::new(EmptyDirectory),
    }
}

/// The first attempt at a delivery of this body; bodies that differ are different deliveries.
pub fn outbound(body: impl AsRef<[u8]>) -> Outbound {
    let body = body.as_ref();
    Outbound {
        id: DeliveryId(70),
        message: MessageId(7),
        effect: Hash::of(&[body]),
        body: Content::from(body.to_vec()),
        source: Arc::default(),
        texts: Texts::new(),
        attempt: 1,
        doubts: 0,
        note: None,
        previous: None,
        trace: None,
    }
}

/// The same under a name made of the message.
pub fn named(name: &str, body: impl AsRef<[u8]>) -> Outbound {
    let mut outbound = outbound(body);
    outbound.texts.insert("name".to_owned(), name.to_owned());
    outbound.effect = Hash::of(&[name.as_bytes(), &outbound.effect.0]);
    outbound
}

/// A small message with this MSH-10.
pub fn message(control_id: &str) -> String {
    asking(control_id, "", "")
}

/// The same, with these words for the steps.
pub fn telling(control_id: &str, words: &str) -> String {
    format!("{}NTE|1||{words}\r", message(control_id))
}

/// A DICOM file whose only element says these words to the steps.
pub fn instance(words: &str) -> Vec<u8> {
    let element = |number: u16, kind: &[u8; 2], value: &str, fill: u8| {
        let mut value = value.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), fill);
        let length = u16::try_from(value.len()).unwrap();
        [&number.to_le_bytes()[..], kind, &length.to_le_bytes(), &value].concat()
    };
    let meta = [(0x0002, "1.2.840.10008.5.1.4.1.1.7"), (0x0003, "1.2.3.4"), (0x0010, "1.2.840.10008.1.2.1")];
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    for (number, uid) in meta {
        file.extend_from_slice(&2u16.to_le_bytes());
        file.extend_from_slice(&element(number, b"UI", uid, 0));
    }
    // An instance says in its data set too which one it is.
    for (number, (_, uid)) in [0x0016, 0x0018].into_iter().zip(meta) {
        file.extend_from_slice(&8u16.to_le_bytes());
        file.extend_from_slice(&element(number, b"UI", uid, 0));
    }
    file.extend_from_slice(&0x0010_u16.to_le_bytes());
    file.extend_from_slice(&element(0x4000, b"LT", words, b' '));
    file
}

/// The same, asking for answers by MSH-15 and MSH-16.
pub fn asking(control_id: &str, accept: &str, application: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|HOP|REC|HOP|20260101080000||ORU^R01|{control_id}|P|2.5|||{accept}|{application}\rPID|1||42\r"
    )
}

pub fn fact<'a>(facts: &'a Facts, name: &str) -> Option<&'a str> {
    facts.get(name).and_then(Value::as_str)
}
