//! What every connector must do, whatever its protocol. A new one takes its place in [`rig`].

#![allow(clippy::unwrap_used)]

mod stage;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use connectors::CONNECTORS;
use engine::{
    Checks, Destination, Diagnostic, Feeds, Hindrance, Opening, Outbound, Outcome, ReplyWords, SendError,
};
use schemars::SchemaGenerator;
use serde_json::{Value, json};
use stage::{
    Guest, PATIENCE, Peer, Sshd, Stage, Web, destination, destination_in, free_address, hears, instance,
    message, named, opening, outbound, posts, says, telling,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    time::timeout,
};

/// Those that reach their other side over a connection of TCP.
const CONNECTING: [&str; 7] = ["dicom", "dicomweb", "fhir", "http", "mllp", "sftp", "smtp"];

const PATIENT: &str = "{\"resourceType\": \"Patient\"}";

/// A connector under test: a source that runs, and destinations whose other side behaves in a known way.
#[derive(Default)]
struct Rig {
    source: Option<Source>,
    /// The other side is not there.
    absent: Option<Box<dyn Destination>>,
    /// The other side refuses this message.
    refusing: Option<Behind>,
    /// The other side cuts the line, or says nothing, once it has the message.
    cutting: Option<Behind>,
    silent: Option<Behind>,
}

/// A running source, and how a sender sends it a message and hears whether it was taken.
struct Source {
    stage: Stage,
    sender: Sender,
}

/// By which protocol a sender sends.
enum Sender {
    Mllp(SocketAddr),
    Http(SocketAddr),
    Dicom(SocketAddr),
    File(PathBuf),
    Sftp(Sshd),
    Channel,
}

/// A destination, and the port where its other side is played.
struct Behind {
    destination: Box<dyn Destination>,
    peer: Option<Played>,
    answer: Answer,
    message: Outbound,
}

/// By which protocol the other side is played.
enum Played {
    Mllp(TcpListener),
    Http(Web),
    Smtp(TcpListener),
    /// Our own source takes what is sent: it does what the message says.
    Dicom(Stage),
}

#[derive(Clone, Copy)]
enum Answer {
    Refusal,
    Cut,
    Silence,
}

async fn rig(name: &str, root: &Path) -> Rig {
    match name {
        "mllp" => mllp(root).await,
        "http" => http(root).await,
        "fhir" => fhir(root).await,
        "file" => file(root).await,
        "exec" => exec(root).await,
        "sftp" => sftp(root).await,
        "channel" => channel().await,
        "dicom" => dicom(root).await,
        "dicomweb" => dicomweb(root).await,
        // Tried against a server that misbehaves, in `src/sync/tests`.
        "annuaire" | "fhir_sync" => Rig::default(),
        "directory" => directory(root).await,
        "smtp" => smtp(root).await,
        other => panic!("connector `{other}` has no rig: say here how it is tried"),
    }
}

async fn mllp(root: &Path) -> Rig {
    let address = free_address();
    let stage = Stage::listening(address, json!({}), ReplyWords::default()).await;
    let absent = json!({ "connect": free_address().to_string() });
    Rig {
        source: Some(Source { stage, sender: Sender::Mllp(address) }),
        absent: Some(destination("mllp", absent, root).await),
        refusing: Some(mllp_behind(root, Answer::Refusal).await),
        cutting: Some(mllp_behind(root, Answer::Cut).await),
        silent: Some(mllp_behind(root, Answer::Silence).await),
    }
}

async fn mllp_behind(root: &Path, answer: Answer) -> Behind {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = json!({ "connect": listener.local_addr().unwrap().to_string(), "timeout": "300ms" });
    Behind {
        destination: destination("mllp", settings, root).await,
        peer: Some(Played::Mllp(listener)),
        answer,
        message: outbound(message("M-1")),
    }
}

async fn smtp(root: &Path) -> Rig {
    Rig {
        source: None,
        absent: Some(destination("smtp", mail_to(free_address()), root).await),
        refusing: Some(smtp_behind(root, Answer::Refusal).await),
        cutting: Some(smtp_behind(root, Answer::Cut).await),
        silent: Some(smtp_behind(root, Answer::Silence).await),
    }
}

fn mail_to(address: SocketAddr) -> Value {
    json!({
        "server": address.to_string(), "encryption": "none", "timeout": "300ms",
        "from": "relais@example.org", "to": ["lab@example.org"], "subject": "A result",
    })
}

async fn smtp_behind(root: &Path, answer: Answer) -> Behind {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = mail_to(listener.local_addr().unwrap());
    Behind {
        destination: destination("smtp", settings, root).await,
        peer: Some(Played::Smtp(listener)),
        answer,
        message: outbound(message("M-1")),
    }
}

async fn http(root: &Path) -> Rig {
    let address = free_address();
    let stage = Stage::serving(address, json!({}), ReplyWords::default()).await;
    let absent = json!({ "url": format!("http://{}/", free_address()) });
    Rig {
        source: Some(Source { stage, sender: Sender::Http(address) }),
        absent: Some(destination("http", absent, root).await),
        refusing: Some(http_behind(root, Answer::Refusal).await),
        cutting: Some(http_behind(root, Answer::Cut).await),
        silent: Some(http_behind(root, Answer::Silence).await),
    }
}

async fn http_behind(root: &Path, answer: Answer) -> Behind {
    let web = Web::open().await;
    let settings = json!({ "url": web.url("/"), "timeout": "300ms" });
    Behind {
        destination: destination("http", settings, root).await,
        peer: Some(Played::Http(web)),
        answer,
        message: outbound(message("M-1")),
    }
}

async fn fhir(root: &Path) -> Rig {
    let absent = json!({ "base": format!("http://{}/fhir", free_address()), "capabilities": "ignored" });
    Rig {
        source: None,
        absent: Some(destination("fhir", absent, root).await),
        refusing: Some(fhir_behind(root, Answer::Refusal).await),
        cutting: Some(fhir_behind(root, Answer::Cut).await),
        silent: Some(fhir_behind(root, Answer::Silence).await),
    }
}

async fn fhir_behind(root: &Path, answer: Answer) -> Behind {
    let web = Web::open().await;
    let settings = json!({ "base": web.url("/fhir"), "timeout": "300ms", "capabilities": "ignored" });
    Behind {
        destination: destination("fhir", settings, root).await,
        peer: Some(Played::Http(web)),
        answer,
        message: outbound(PATIENT),
    }
}

async fn file(root: &Path) -> Rig {
    let absent = json!({ "dir": "/no/such/disk", "name": "x" });
    let refusing = json!({ "dir": "out", "name": "../x" });
    let refusing = destination("file", refusing, root).await;
    let taking = json!({ "dir": "in", "done": "done", "complete": "renamed" });
    let stage = Stage::taking(root, taking, ReplyWords::default()).await;
    Rig {
        source: Some(Source { stage, sender: Sender::File(root.to_owned()) }),
        absent: Some(destination("file", absent, root).await),
        refusing: Some(Behind::alone(refusing, named("../x", message("M-1")))),
        cutting: None,
        silent: None,
    }
}

async fn exec(root: &Path) -> Rig {
    let behind = async |settings| Behind::alone(destination("exec", settings, root).await, outbound("M-1"));
    Rig {
        source: None,
        absent: Some(destination("exec", json!({ "run": ["no-such-program"] }), root).await),
        refusing: Some(behind(json!({ "run": ["false"] })).await),
        cutting: None,
        silent: Some(behind(json!({ "run": ["sleep", "300"], "timeout": "300ms" })).await),
    }
}

async fn directory(root: &Path) -> Rig {
    // Without a directory nothing can be kept in it.
    let absent = destination("directory", json!({}), root).await;
    let opening = Opening { directory: Arc::new(store::Directory::open(root).unwrap()), ..opening(root) };
    let refusing = destination_in("directory", json!({}), &opening).await;
    Rig {
        absent: Some(absent),
        refusing: Some(Behind::alone(refusing, outbound("no JSON"))),
        ..Rig::default()
    }
}

async fn sftp(root: &Path) -> Rig {
    let sshd = Sshd::start();
    let taking = json!({ "dir": "in", "done": "done", "complete": "renamed", "every": "100ms" });
    let stage = Stage::fetching("sftp", root, sshd.settings(taking), ReplyWords::default()).await;
    let absent = sshd.settings(json!({ "dir": "out", "port": free_address().port() }));
    let refusing = destination("sftp", sshd.settings(json!({ "dir": "out", "name": "../x" })), root).await;
    Rig {
        source: Some(Source { stage, sender: Sender::Sftp(sshd) }),
        absent: Some(destination("sftp", absent, root).await),
        refusing: Some(Behind::alone(refusing, named("../x", message("M-1")))),
        cutting: None,
        silent: None,
    }
}

async fn channel() -> Rig {
    let feeds = Feeds::default();
    let stage = Stage::start("channel", json!({}), ReplyWords::default(), feeds.clone(), None).await;
    while feeds.find("next").is_none() {
        tokio::task::yield_now().await;
    }
    let opening = Opening { feeds, ..opening(Path::new(".")) };
    let refusing = destination_in("channel", json!({ "name": "next" }), &opening).await;
    Rig {
        source: Some(Source { stage, sender: Sender::Channel }),
        absent: Some(destination_in("channel", json!({ "name": "nobody" }), &opening).await),
        refusing: Some(Behind::alone(refusing, outbound(telling("M-1", "refuse")))),
        cutting: None,
        silent: None,
    }
}

async fn dicom(root: &Path) -> Rig {
    let address = free_address();
    Rig {
        source: Some(Source { stage: Stage::storing(address).await, sender: Sender::Dicom(address) }),
        absent: Some(archive(free_address(), root).await),
        refusing: Some(dicom_behind(root, "refuse").await),
        cutting: None,
        silent: Some(dicom_behind(root, "wait").await),
    }
}

async fn archive(address: SocketAddr, root: &Path) -> Box<dyn Destination> {
    let settings = json!({ "connect": address.to_string(), "called_ae": "RELAIS", "timeout": "300ms" });
    destination("dicom", settings, root).await
}

async fn dicom_behind(root: &Path, words: &str) -> Behind {
    let address = free_address();
    let stage = Stage::storing(address).await;
    Behind {
        destination: archive(address, root).await,
        peer: Some(Played::Dicom(stage)),
        answer: Answer::Silence,
        message: outbound(instance(words)),
    }
}

async fn dicomweb(root: &Path) -> Rig {
    let absent = json!({ "url": format!("http://{}/", free_address()) });
    Rig {
        source: None,
        absent: Some(destination("dicomweb", absent, root).await),
        refusing: Some(dicomweb_behind(root, Answer::Refusal).await),
        cutting: Some(dicomweb_behind(root, Answer::Cut).await),
        silent: Some(dicomweb_behind(root, Answer::Silence).await),
    }
}

async fn dicomweb_behind(root: &Path, answer: Answer) -> Behind {
    let web = Web::open().await;
    let settings = json!({ "url": web.url("/"), "timeout": "300ms" });
    Behind {
        destination: destination("dicomweb", settings, root).await,
        peer: Some(Played::Http(web)),
        answer,
        message: outbound(instance("M-1")),
    }
}

impl Source {
    /// Sends a message in small pieces and says whether the sender was told that it is safe.
    async fn send(&self, message: &str) -> bool {
        match self.sender {
            Sender::Mllp(address) => {
                let mut peer = Peer::connect(address).await;
                for piece in [b"\x0b", message.as_bytes(), b"\x1c\x0d"].concat().chunks(7) {
                    peer.write(piece).await;
                }
                peer.acknowledgement().await.0 == "AA"
            }
            Sender::Http(address) => {
                let mut guest = Guest::connect(address).await;
                for piece in posts("/", &[], message).as_bytes().chunks(7) {
                    guest.write(piece).await;
                }
                guest.asked().await.unwrap().status() == 200
            }
            Sender::Dicom(address) => {
                let modality = json!({ "connect": address.to_string(), "called_ae": "RELAIS" });
                let modality = destination("dicom", modality, Path::new(".")).await;
                modality.send(&outbound(instance(message))).await.is_ok()
            }
            Sender::File(ref root) => self.drop_file(root, "in/m.hl7", "done/m.hl7", message).await,
            Sender::Sftp(ref sshd) => {
                self.drop_file(&sshd.path(""), "in/m.hl7", "in/done/m.hl7", message).await
            }
            Sender::Channel => {
                let opening = Opening { feeds: self.stage.feeds.clone(), ..opening(Path::new(".")) };
                let feeder = destination_in("channel", json!({ "name": "next" }), &opening).await;
                feeder.send(&outbound(message)).await.is_ok()
            }
        }
    }
}

impl Source {
    /// Leaves a file, and says whether it was put away among those that were accepted.
    async fn drop_file(&self, root: &Path, name: &str, done: &str, message: &str) -> bool {
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::write(root.join("m.tmp"), message).unwrap();
        std::fs::rename(root.join("m.tmp"), root.join(name)).unwrap();
        let is_told = |words: &str| words.contains("moved to") || words.contains("left as");
        self.stage.told(|stories| stories.iter().any(|(_, words)| is_told(words))).await;
        root.join(done).exists()
    }
}

impl Behind {
    /// One that refuses by itself, with nobody behind it.
    fn alone(destination: Box<dyn Destination>, message: Outbound) -> Self {
        Self { destination, peer: None, answer: Answer::Refusal, message }
    }

    async fn send(&self) -> Result<engine::Response, SendError> {
        match &self.peer {
            None => self.destination.send(&self.message).await,
            Some(Played::Mllp(listener)) => {
                tokio::join!(self.destination.send(&self.message), self.play(listener)).0
            }
            Some(Played::Http(web)) => {
                tokio::join!(self.destination.send(&self.message), self.play_http(web)).0
            }
            Some(Played::Smtp(listener)) => {
                tokio::join!(self.destination.send(&self.message), self.play_smtp(listener)).0
            }
            Some(Played::Dicom(stage)) => {
                let sent = self.destination.send(&self.message).await;
                stage.gate.open();
                sent
            }
        }
    }

    async fn play_http(&self, web: &Web) {
        let mut guest = web.accept().await;
        guest.asked().await.unwrap();
        match self.answer {
            Answer::Refusal => guest.write(says(422, &[], "")).await,
            Answer::Cut => {}
            Answer::Silence => assert!(guest.asked().await.is_none(), "it gives up and hangs up"),
        }
    }

    async fn play_smtp(&self, listener: &TcpListener) {
        let (stream, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        lines.get_mut().write_all(b"220 mail\r\n").await.unwrap();
        let mut in_letter = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            let answer: &[u8] = match (in_letter, line.as_str()) {
                (true, ".") => match self.answer {
                    Answer::Refusal => b"554 5.6.0 no\r\n",
                    Answer::Cut => return,
                    Answer::Silence => continue,
                },
                (true, _) => continue,
                (false, "DATA") => b"354 go on\r\n",
                (false, _) => b"250 ok\r\n",
            };
            in_letter = line == "DATA";
            lines.get_mut().write_all(answer).await.unwrap();
        }
    }

    async fn play(&self, listener: &TcpListener) {
        let mut peer = Peer::accept(listener).await;
        peer.frame().await.unwrap();
        match self.answer {
            Answer::Refusal => peer.say(hears("AE", "M-1")).await,
            Answer::Cut => {}
            Answer::Silence => assert!(peer.frame().await.is_none(), "it gives up and hangs up"),
        }
    }
}

async fn each(check: impl AsyncFn(&'static str, Rig)) {
    for connector in CONNECTORS {
        let root = tempfile::tempdir().unwrap();
        let rig = rig(connector.name, root.path()).await;
        timeout(PATIENCE, check(connector.name, rig))
            .await
            .unwrap_or_else(|_| panic!("`{}` hangs", connector.name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sender_is_told_that_a_message_is_safe_before_it_is() {
    each(async |name, rig| {
        let Some(source) = rig.source else { return };
        let message = telling("M-1", "wait");
        let mut sending = std::pin::pin!(source.send(&message));
        let early = timeout(Duration::from_millis(100), sending.as_mut()).await;
        assert!(early.is_err(), "`{name}` answered before `receive` returned");
        source.stage.gate.open();
        assert!(sending.await, "`{name}`");
        assert_eq!(source.stage.messages()[0].outcome, Some(Outcome::Accepted));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_the_sender() {
    each(async |name, rig| {
        let Some(source) = rig.source else { return };
        for words in ["break", "refuse"] {
            assert!(!source.send(&telling("M-1", words)).await, "`{name}` told of success after `{words}`");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_stops_within_a_second() {
    each(async |_, rig| {
        if let Some(source) = rig.source {
            source.send(&message("M-1")).await;
            source.stage.stop().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_tried_again() {
    each(async |name, rig| {
        if let Some(absent) = rig.absent {
            let body = match name {
                "fhir" => PATIENT.as_bytes().to_vec(),
                "directory" => b"{\"resourceType\": \"Patient\", \"id\": \"1\"}".to_vec(),
                "dicom" | "dicomweb" => instance("M-1"),
                _ => message("M-1").into_bytes(),
            };
            let sent = absent.send(&outbound(body)).await;
            let Err(SendError::NotDelivered { by, .. }) = sent else { panic!("`{name}`: {sent:?}") };
            if CONNECTING.contains(&name) {
                assert_eq!(by, Some(Hindrance::CannotConnect), "`{name}`");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_refusal_and_a_cut_or_silence_is_unknown() {
    each(async |name, rig| {
        if let Some(refusing) = rig.refusing {
            let sent = refusing.send().await;
            assert!(matches!(sent, Err(SendError::Refused { .. })), "`{name}`: {sent:?}");
        }
        for doubtful in [rig.cutting, rig.silent].into_iter().flatten() {
            let sent = doubtful.send().await;
            assert!(matches!(sent, Err(SendError::Unknown { .. })), "`{name}`: {sent:?}");
        }
    })
    .await;
}

#[test]
fn every_example_of_every_connector_parses_and_checks_clean() {
    for connector in CONNECTORS {
        let mut generator = SchemaGenerator::default();
        if let Some(kind) = &connector.source {
            for example in examples(&(kind.schema)(&mut generator).to_value()) {
                let settings = (kind.parse)(example).unwrap_or_else(|misfit| panic!("{misfit:?}"));
                assert_eq!(complaints(|checks| settings.check(checks)), [], "`{}`", connector.name);
            }
        }
        if let Some(kind) = &connector.destination {
            for example in examples(&(kind.schema)(&mut generator).to_value()) {
                let settings = (kind.parse)(example).unwrap_or_else(|misfit| panic!("{misfit:?}"));
                assert_eq!(complaints(|checks| settings.check(checks)), [], "`{}`", connector.name);
            }
        }
    }
}

#[test]
fn every_setting_of_every_connector_is_explained_and_no_other_is_taken() {
    for connector in CONNECTORS {
        let mut generator = SchemaGenerator::default();
        let source = connector.source.as_ref().map(|kind| (kind.schema)(&mut generator).to_value());
        let destination = connector.destination.as_ref().map(|kind| (kind.schema)(&mut generator).to_value());
        for schema in [source, destination].into_iter().flatten() {
            assert_eq!(schema["additionalProperties"], false, "`{}`", connector.name);
            for (name, setting) in schema["properties"].as_object().into_iter().flatten() {
                assert!(setting["description"].is_string(), "`{}`: `{name}` has no words", connector.name);
            }
        }
    }
}

fn examples(schema: &Value) -> Vec<Value> {
    let examples = schema["examples"].as_array().cloned().unwrap_or_default();
    assert!(!examples.is_empty(), "a connector shows how it is written");
    examples
}

fn complaints(check: impl FnOnce(&mut Checks<'_>)) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    check(&mut Checks::new(engine::Path::default(), &mut found));
    found
}
