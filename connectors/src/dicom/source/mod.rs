//! Takes instances from modalities and archives that connect (C-STORE), and says that it is there (C-ECHO).

mod greet;
mod serve;
mod session;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use engine::{Checks, Claim, Inlet, OpenError, Opening, OtherBytes, Source, SourceSettings, Stop};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::serve::{Host, serve};
use super::ae::Title;
use crate::{
    Examine,
    crowd::Crowd,
    door::Door,
    part10,
    room::{LEAST_MEMORY, NO_MEMORY, Room},
    setting::{Listen, Period, Size},
    tls::{self, Side, Tls},
};

/// Listens for associations whose C-STOREs are messages: each a DICOM file, answered once it is durable.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "listen": "0.0.0.0:11112", "ae": "RELAIS" }))]
pub(in crate::dicom) struct Settings {
    /// Where to listen.
    listen: Listen,

    /// Our AE title.
    #[serde(default)]
    ae: Title,

    /// Whom a sender must call. `own`: our AE title; one that calls another is turned away. `any`: whomever it likes.
    #[serde(default)]
    called: Called,

    /// The AE titles that may send. Without it every one may that reaches the port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!(["CT_ROOM_2"]))]
    senders: Vec<Title>,

    /// The transfer syntaxes that are taken, by their UIDs. By default all of the standard; of those that a sender
    /// proposes for one class its first is agreed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!(["1.2.840.10008.1.2.1"]))]
    transfer_syntaxes: Vec<String>,

    /// The SOP classes that are taken, by their UIDs. By default every one of storage, private ones among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!(["1.2.840.10008.5.1.4.1.1.2"]))]
    sop_classes: Vec<String>,

    /// Whether another instance may come under a name (SOP instance UID) that was taken before, and another patient in a study
    /// that was. By default such an instance is kept and refused; the same bytes again are the same instance.
    #[serde(default)]
    replace: bool,

    /// The longest instance taken. A longer one is read to its end and answered A700. From a megabyte on an instance goes to
    /// the disk as it comes.
    #[serde(default = "max_size")]
    max_size: Size,

    /// How much of instances that are on their way in may be in memory at once. What comes beyond is answered A700, and may be
    /// sent again.
    #[serde(default = "memory")]
    memory: Size,

    /// The longest data unit (PDU) that senders are asked to send.
    #[serde(default = "max_pdu")]
    max_pdu: Size,

    /// TLS: `certificate`, `key` and, to ask senders for theirs, `clients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Tls")]
    tls: Option<Tls>,

    /// How many associations may be open at once.
    #[serde(default = "associations")]
    #[schemars(range(min = 1))]
    associations: usize,

    /// How many associations one address may have open at once. When it has as many, the one that was idle longest is
    /// ended for the new one.
    #[serde(default = "associations_per_address")]
    #[schemars(range(min = 1))]
    associations_per_address: usize,

    /// An association on which nothing is asked for so long is ended.
    #[serde(default = "idle")]
    idle: Period,

    /// How long each data unit of an instance may take to come; then the association is ended.
    #[serde(default = "unit_within")]
    unit_within: Period,

    /// How long a connection is quiet before TCP asks whether the sender is still there.
    #[serde(default = "keep_alive")]
    keep_alive: Period,
}

/// Whom a sender must call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Called {
    #[default]
    Own,
    Any,
}

/// What is allowed for a unit, by the standard's own numbers.
const SHORTEST_PDU: usize = 4096;
const LONGEST_PDU: usize = 1 << 20;

fn max_size() -> Size {
    Size(4_000_000_000)
}

fn memory() -> Size {
    Size(512_000_000)
}

fn max_pdu() -> Size {
    Size(131_072)
}

fn associations() -> usize {
    100
}

fn associations_per_address() -> usize {
    20
}

fn idle() -> Period {
    Period::seconds(300)
}

fn unit_within() -> Period {
    Period::seconds(60)
}

fn keep_alive() -> Period {
    Period::seconds(60)
}

impl Examine for Settings {
    fn examine(&self, root: &Path, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.examine(Side::Listens, root, "tls", checks);
        }
    }
}

#[async_trait]
impl SourceSettings for Settings {
    fn check(&self, checks: &mut Checks<'_>) {
        if let Some(tls) = &self.tls {
            tls.check(Side::Listens, "tls", checks);
        }
        for (name, uids) in
            [("transfer_syntaxes", &self.transfer_syntaxes), ("sop_classes", &self.sop_classes)]
        {
            for (place, uid) in uids.iter().enumerate().filter(|(_, uid)| !part10::is_uid(uid)) {
                checks.error("wrong-value", &format!("{name}.{place}"), format!("`{uid}` is no UID"));
            }
        }
        if !(SHORTEST_PDU..=LONGEST_PDU).contains(&self.max_pdu.0) {
            let why = format!("lies between {SHORTEST_PDU} and {LONGEST_PDU} bytes");
            checks.error("wrong-value", "max_pdu", why);
        }
        if self.memory.0 < LEAST_MEMORY {
            checks.error("wrong-value", "memory", NO_MEMORY);
        }
        for (name, period) in [("idle", self.idle), ("unit_within", self.unit_within)] {
            if period.0.is_zero() {
                checks.error("period-too-short", name, "nothing could be read");
            }
        }
    }

    fn claims(&self) -> Vec<Claim> {
        if self.listen.0.port() == 0 { Vec::new() } else { vec![Claim::Port(self.listen.0)] }
    }

    fn connections(&self) -> usize {
        self.associations
    }

    fn usual_format(&self) -> &'static str {
        "dicom"
    }

    fn others(&self) -> OtherBytes {
        if self.replace { OtherBytes::Flag } else { OtherBytes::Refuse }
    }

    async fn open(&self, opening: &Opening) -> Result<Box<dyn Source>, OpenError> {
        let listen = self.listen;
        let tls = self.tls.as_ref().map(|tls| tls::Acceptor::new(tls, &opening.root)).transpose();
        let tls = tls.map_err(|why| OpenError::new(format!("cannot listen on {listen}: {why}")))?;
        let listener = opening
            .ports
            .listen(listen.0)
            .await
            .map_err(|error| OpenError::io(format!("cannot listen on {listen}"), error))?;
        let open = opening.connections.clone();
        let crowd = Crowd::new(self.associations, self.associations_per_address, open);
        let door = Door { listener, tls, crowd, keep_alive: self.keep_alive.0 };
        Ok(Box::new(Listening { door, settings: self.clone(), words: opening.words.clone() }))
    }
}

/// Senders connect to it.
struct Listening {
    door: Door,
    settings: Settings,
    words: engine::ReplyWords,
}

#[async_trait]
impl Source for Listening {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { door, settings, words } = *self;
        let channel = inlet.channel().to_owned();
        let room = Room::new(settings.memory.0);
        let host = Arc::new(Host { inlet, words, settings, room, stop: stop.clone() });
        door.receive(&channel, &stop, move |guest| serve(Arc::clone(&host), guest)).await;
        Ok(())
    }
}
