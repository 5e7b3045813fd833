//! `relais listen`: a peer that receives over MLLP and answers as it is told.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use connectors::mllp::{
    frame::{Found, Marks, Reader},
    peer::Manner,
};
use formats::hl7::{
    acknowledgement::{self, Code},
    header::Header,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use super::{Complaint, Ending, Exit, say};
use crate::{
    signals::Signals,
    terminal::{lasting, sized, tinted, tone_of},
};

/// As long a message as is taken.
const LARGEST: usize = 64 << 20;

/// Receive messages over MLLP and answer them, until Ctrl-C.
///
/// Shows type, control id and size of each message, never its content; `--save` keeps the bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen: HOST:PORT
    #[arg(value_name = "ADDR")]
    address: String,
    /// AA, AE, AR, CA, CE or CR; none; or late:5s for an AA after five seconds
    #[arg(long, default_value = "AA", value_name = "ANSWER")]
    answer: Manner,
    /// Keeps each message there, byte for byte, in the order they come
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

/// What all connections share.
struct Desk {
    answer: Manner,
    save: Option<PathBuf>,
    taken: AtomicU64,
}

pub(crate) async fn run(arguments: Arguments) -> Ending {
    if let Some(folder) = &arguments.save {
        std::fs::create_dir_all(folder)
            .map_err(|error| Complaint::misused(format!("cannot save in {}: {error}", folder.display())))?;
    }
    let listener = TcpListener::bind(&arguments.address)
        .await
        .map_err(|error| Complaint::wrong(format!("cannot listen on {}: {error}", arguments.address)))?;
    let mut signals = Signals::take().map_err(Complaint::wrong)?;
    let at = listener.local_addr().map_err(Complaint::wrong)?;
    say(format_args!("listening on {at}, answers {}\n", described(arguments.answer)));
    let desk = Arc::new(Desk { answer: arguments.answer, save: arguments.save, taken: AtomicU64::new(0) });
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, peer)) = accepted {
                    tokio::spawn(attend(Arc::clone(&desk), stream, peer));
                }
            }
            _ = signals.next() => return Ok(Exit::Done),
        }
    }
}

/// One connection, until its peer goes.
async fn attend(desk: Arc<Desk>, mut stream: TcpStream, peer: SocketAddr) {
    let mut reader = Reader::new(Marks::default(), LARGEST);
    loop {
        let answered = match reader.find() {
            Some(Found::Frame(message)) => desk.take(&message, peer, &mut stream).await,
            Some(Found::Stray(stray)) => {
                say(format_args!("{peer}  {} bytes skipped: {}\n", stray.count, stray.cause()));
                Ok(())
            }
            Some(Found::Part { bytes, .. }) => {
                say(format_args!("{peer}  part of a message, {}\n", sized(bytes.len() as u64)));
                Ok(())
            }
            Some(Found::TooLong(_)) => {
                say(format_args!("{peer}  a message longer than {}; closed\n", sized(LARGEST as u64)));
                return;
            }
            None => match reader.read_from(&mut stream).await {
                Ok(0) | Err(_) => return,
                Ok(_) => Ok(()),
            },
        };
        if let Err(why) = answered {
            say(format_args!("{peer}  {why}\n"));
            return;
        }
    }
}

impl Desk {
    async fn take(&self, message: &Bytes, peer: SocketAddr, stream: &mut TcpStream) -> Result<(), String> {
        let number = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(folder) = &self.save {
            save(folder, number, message)
                .map_err(|error| format!("cannot save: {error}; closed unanswered"))?;
        }
        let Manner::Answers(code, pause) = self.answer else {
            say(line(number, peer, message, "none"));
            return Ok(());
        };
        tokio::time::sleep(pause).await;
        say(line(number, peer, message, code.as_str()));
        let mut frame = Marks::default().wrap(acknowledge(message, code, number).into());
        stream.write_all_buf(&mut frame).await.map_err(|error| format!("cannot answer: {error}"))
    }
}

/// The message as it came, safe on disk before it is answered; a file that is there is never replaced.
fn save(folder: &Path, number: u64, message: &[u8]) -> std::io::Result<()> {
    let mut place = number;
    loop {
        let path = folder.join(format!("{place:06}.hl7"));
        match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => place += 1,
            Err(error) => return Err(error),
            Ok(mut file) => {
                file.write_all(message)?;
                return file.sync_all();
            }
        }
    }
}

fn acknowledge(message: &[u8], code: Code, number: u64) -> Vec<u8> {
    let single = |message: &[u8]| {
        let (when, control_id) = (jiff::Zoned::now(), format!("L{number}"));
        let answer = acknowledgement::Answer {
            code,
            text: None,
            error: None,
            when: &when,
            control_id: &control_id,
            charset: None,
        };
        acknowledgement::build(message, &answer)
    };
    match formats::hl7::batch::split(message) {
        Ok(Some(batch)) => {
            let answers: Vec<_> = batch.messages.into_iter().map(|place| single(&message[place])).collect();
            acknowledgement::batch(message, &answers)
        }
        _ => single(message),
    }
}

fn described(manner: Manner) -> String {
    match manner {
        Manner::Silent => "none".to_owned(),
        Manner::Answers(code, pause) if pause.is_zero() => code.as_str().to_owned(),
        Manner::Answers(code, pause) => format!("{} after {}", code.as_str(), lasting(pause)),
    }
}

fn line(number: u64, peer: SocketAddr, message: &[u8], answer: &str) -> String {
    let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
    let (kind, control_id) = match Header::read(message) {
        Ok(header) => (shown(header.field(9)), shown(header.control_id())),
        Err(_) => ("not HL7".to_owned(), String::new()),
    };
    let size = sized(message.len() as u64);
    let answer = tinted(answer, tone_of(answer));
    format!("{now}  {number:>5}  {peer}  {kind}  {control_id}  {size}  {answer}\n")
}

/// What came over a network must not steer the terminal.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_message_never_replaces_another() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), 1, b"one").unwrap();
        save(folder.path(), 1, b"two").unwrap();
        assert_eq!(std::fs::read(folder.path().join("000001.hl7")).unwrap(), b"one");
        assert_eq!(std::fs::read(folder.path().join("000002.hl7")).unwrap(), b"two");
    }
}
