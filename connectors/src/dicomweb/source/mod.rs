//! Takes instances that others post (STOW-RS), or that a search on a server finds (QIDO-RS, WADO-RS).

mod found;
mod ledger;
mod poll;
mod report;
mod settings;
mod stow;

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Inlet, OpenError, Source, Stop, Trouble};
use hyper::Method;

pub(super) use self::settings::Settings;
use self::{ledger::Ledger, poll::Poll, stow::Stow};
use super::archive::Archive;
use crate::{
    door::Door,
    host::{Board, Host, Verifier, serve},
    room::Room,
};

/// Senders post to it.
struct Listening {
    door: Door,
    board: Arc<Board>,
    verifier: Option<Verifier>,
    settings: Settings,
    words: engine::ReplyWords,
}

#[async_trait]
impl Source for Listening {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { door, board, verifier, settings, words } = *self;
        let channel = inlet.channel().to_owned();
        let host = Arc::new(Host {
            connector: "dicomweb",
            intake: Box::new(Stow { most: settings.most(), room: Room::new(settings.memory.0) }),
            inlet,
            words,
            path: settings.path().to_owned(),
            auth: settings.senders,
            verifier,
            methods: vec![Method::POST],
            // Each instance is bounded, and a request may hold many.
            max_size: usize::MAX,
            idle: settings.idle.0,
            body_within: settings.timeout.0,
            stop: stop.clone(),
        });
        let _listed = board.list(&host);
        let serving = move |guest| serve(Arc::clone(&board), Arc::clone(&host), guest);
        door.receive(&channel, &stop, serving).await;
        Ok(())
    }
}

/// Asks the server again and again.
struct Searching {
    settings: Settings,
    url: String,
    archive: Archive,
    ledger: Ledger,
    trouble: Trouble,
}

#[async_trait]
impl Source for Searching {
    async fn run(self: Box<Self>, inlet: Inlet, stop: Stop) -> Result<(), OpenError> {
        let Self { settings, url, archive, ledger, trouble } = *self;
        let mut poll = Poll::new(&settings, &url, &archive, ledger, &inlet);
        let searching = async {
            loop {
                let came = poll.once().await;
                let why = came.err().map(|why| format!("cannot search the DICOMweb server: {why}"));
                if let (true, Some(why)) = (trouble.say(why.clone()), &why) {
                    tracing::warn!(channel = inlet.channel(), why, "the search failed; will try again");
                }
                tokio::time::sleep(settings.every()).await;
            }
        };
        // A search that is cut is asked again; what it brought is known by its names.
        tokio::select! {
            () = stop.requested() => {}
            () = searching => {}
        }
        Ok(())
    }
}
