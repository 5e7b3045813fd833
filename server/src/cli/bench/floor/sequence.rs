//! The floor of deliveries in order: one sync and one round trip for each message, one after the other.

use std::{fs::File, net::SocketAddr};

use connectors::mllp::frame::{Found, Marks, Reader};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    super::{oru::Letters, say},
    writer::Journal,
};
use crate::{
    cli::Complaint,
    signals::{Asked, Signals},
};

/// The longest answer taken.
const LONGEST: usize = 64 * 1024;

/// Sends until asked to stop.
pub(super) async fn run(file: File, peer: SocketAddr) -> Result<(), Complaint> {
    let mut signals = Signals::take().map_err(Complaint::wrong)?;
    let stream = TcpStream::connect(peer).await.map_err(Complaint::wrong)?;
    stream.set_nodelay(true).map_err(Complaint::wrong)?;
    let journal = Journal::new(file);
    say(format_args!("serving {peer}\n"));
    tokio::select! {
        ended = send(stream, &journal) => ended,
        () = async { while signals.next().await != Asked::Stop {} } => Ok(()),
    }
}

async fn send(mut stream: TcpStream, journal: &Journal) -> Result<(), Complaint> {
    let mut letters = Letters::new(0, 1);
    let mut reader = Reader::new(Marks::default(), LONGEST);
    let (mut frame, mut at) = (Vec::new(), 0);
    loop {
        frame.clear();
        letters.write(&mut frame);
        // The wait for the disk is the point: nothing else is to be done meanwhile.
        at = tokio::task::block_in_place(|| journal.append(at, &frame)).map_err(Complaint::wrong)?;
        stream.write_all(&frame).await.map_err(Complaint::wrong)?;
        while !matches!(reader.find(), Some(Found::Frame(_))) {
            if reader.read_from(&mut stream).await.map_err(Complaint::wrong)? == 0 {
                return Err(Complaint::wrong("the peer has gone"));
            }
        }
    }
}
