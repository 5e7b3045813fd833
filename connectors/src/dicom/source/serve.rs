//! One association of a sender, from its greeting to its end.

use std::{sync::Arc, time::Duration};

use dicom_ul::pdu::Pdu;
use engine::{Facts, Inlet, ReplyWords, Stop};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{
    Settings,
    greet::{Agreed, shown},
    session::{End, Session},
};
use crate::{
    dicom::pdu::{Broken, Came, Line},
    door::{GREETING, Guest},
    room::Room,
};

/// How long the last words may take to leave, and the other side to hang up.
const PARTING: Duration = Duration::from_secs(2);

/// What all associations of one source share.
pub(super) struct Host {
    pub(super) inlet: Inlet,
    pub(super) words: ReplyWords,
    pub(super) settings: Settings,
    pub(super) room: Arc<Room>,
    pub(super) stop: Stop,
}

/// Serves until either side has had enough.
pub(super) async fn serve(host: Arc<Host>, guest: Guest) {
    let Guest { wire, peer, seat } = guest;
    let mut facts = Facts::new();
    let mut fact = |name: &str, value: String| facts.insert(name.to_owned(), value.into());
    fact("connector", "dicom".to_owned());
    fact("peer", peer.to_string());
    fact("peer_ip", peer.ip().to_string());
    if let Ok(local) = wire.socket().local_addr() {
        fact("local", local.to_string());
    }
    if let Some(subject) = wire.subject() {
        fact("tls_subject", subject);
    }
    let channel = host.inlet.channel();
    let mut line = Line::new(wire, host.settings.max_pdu.0);
    let agreed = tokio::select! {
        () = host.stop.requested() => return,
        agreed = greet(&host, &mut line, &mut facts) => agreed,
    };
    let Agreed { contexts, most, .. } = match agreed {
        Ok(agreed) => agreed,
        // Somebody looked whether the port is open.
        Err(Turned { broken: Some(Broken::Closed), .. }) => return,
        Err(Turned { why, .. }) => {
            warn!(channel, %peer, why, "an association was turned away");
            return;
        }
    };
    let mut session =
        Session { host: &host, line, contexts, most, facts, seat: &seat, values: Vec::new().into_iter() };
    let end = session.run().await;
    let mut line = session.line;
    match end {
        End::Released => {
            let _ = line.send(&Pdu::ReleaseRP, Instant::now() + PARTING).await;
            // Who asked for the end hangs up.
            let _ = line.next(Instant::now() + PARTING).await;
        }
        End::Gone => debug!(channel, %peer, "an association ended without a word"),
        End::Unwanted => line.abort(Instant::now() + PARTING).await,
        End::Broken(why) => {
            warn!(channel, %peer, why, "an association was ended");
            line.abort(Instant::now() + PARTING).await;
        }
    }
}

/// Why there is no association.
struct Turned {
    why: String,
    broken: Option<Broken>,
}

async fn greet(host: &Host, line: &mut Line, facts: &mut Facts) -> Result<Agreed, Turned> {
    let broken = |broken: Broken| Turned { why: broken.words(), broken: Some(broken) };
    let deadline = Instant::now() + GREETING;
    let asked = match line.next(deadline).await.map_err(broken) {
        Ok(Came::Asked(asked)) => asked,
        Ok(_) => {
            line.abort(Instant::now() + PARTING).await;
            return Err(Turned { why: "it did not begin with a greeting".to_owned(), broken: None });
        }
        Err(turned) => {
            if matches!(turned.broken, Some(Broken::Garbled(_) | Broken::Late)) {
                line.abort(Instant::now() + PARTING).await;
            }
            return Err(turned);
        }
    };
    match host.settings.greet(&asked) {
        Ok(agreed) => {
            facts.insert("calling_ae".to_owned(), shown(&asked.calling_ae_title).into());
            facts.insert("called_ae".to_owned(), shown(&asked.called_ae_title).into());
            line.send(&Pdu::AssociationAC(agreed.answer.clone()), deadline).await.map_err(broken)?;
            Ok(agreed)
        }
        Err((declined, why)) => {
            let _ = line.send(&Pdu::AssociationRJ(declined), deadline).await;
            let _ = line.next(Instant::now() + PARTING).await;
            Err(Turned { why, broken: None })
        }
    }
}
