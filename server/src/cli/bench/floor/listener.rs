//! A bare MLLP listener: each message durable, then an answer of a fixed form; nothing else.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc::Sender,
};

use connectors::mllp::frame::{Found, Marks, Reader};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::{
    super::{peer, say},
    writer::{self, Job},
};
use crate::{
    cli::Complaint,
    signals::{Asked, Signals},
};

/// The longest message taken.
const LONGEST: usize = 64 << 20;

/// Serves until asked to stop.
pub(super) async fn run(file: File) -> Result<(), Complaint> {
    let mut signals = Signals::take().map_err(Complaint::wrong)?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .map_err(|error| Complaint::wrong(format!("cannot listen: {error}")))?;
    let jobs = writer::start(file);
    say(format_args!("serving {}\n", listener.local_addr().map_err(Complaint::wrong)?));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(attend(stream, jobs.clone()));
                }
            }
            asked = signals.next() => {
                if asked == Asked::Stop {
                    return Ok(());
                }
            }
        }
    }
}

/// One connection. What came together is made durable and answered together.
async fn attend(mut stream: TcpStream, jobs: Sender<Job>) {
    let mut reader = Reader::new(Marks::default(), LONGEST);
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut answers = Vec::new();
    loop {
        let mut messages = Vec::new();
        while let Some(Found::Frame(message)) = reader.find() {
            peer::answer(&message, &mut answers);
            messages.push(message);
        }
        if !messages.is_empty() {
            let (durable, done) = oneshot::channel();
            if jobs.send(Job { messages, durable }).is_err() || done.await.is_err() {
                return;
            }
            if stream.write_all(&answers).await.is_err() {
                return;
            }
            answers.clear();
        }
        match reader.read_from(&mut stream).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
