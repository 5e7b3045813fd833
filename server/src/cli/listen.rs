//! `relais listen`: a peer that receives over MLLP and answers as it is told.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use connectors::{
    mllp::peer::{Listener, Manner, Received},
    tls::Tls,
};
use engine::Stop;
use formats::hl7::header::Header;
use tokio::sync::mpsc;

use super::{Complaint, Ending, Exit, say};
use crate::{
    signals::Signals,
    terminal::{lasting, sized, tinted, tone_of},
};

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
    /// Speak TLS
    #[arg(long, requires = "certificate")]
    tls: bool,
    /// Our certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Only peers with a certificate of these authorities get in
    #[arg(long, value_name = "FILE", requires = "tls")]
    clients: Option<PathBuf>,
}

/// What is done with each message.
struct Desk {
    answer: Manner,
    save: Option<PathBuf>,
    taken: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Ending {
    if let Some(folder) = &arguments.save {
        std::fs::create_dir_all(folder)
            .map_err(|error| Complaint::misused(format!("cannot save in {}: {error}", folder.display())))?;
    }
    let tls = arguments.tls.then(|| Tls {
        certificate: arguments.certificate.clone(),
        key: arguments.key.clone(),
        clients: arguments.clients.clone(),
        ..Tls::default()
    });
    let tls = tls.as_ref().map(|tls| (tls, Path::new(".")));
    let listener = Listener::bind(arguments.address.as_str(), arguments.answer, tls).await;
    let listener = listener.map_err(Complaint::wrong)?;
    let mut signals = Signals::take().map_err(Complaint::wrong)?;
    let at = listener.address().map_err(Complaint::wrong)?;
    let secured = if arguments.tls { " over TLS" } else { "" };
    say(format_args!("listening on {at}{secured}, answers {}\n", described(arguments.answer)));
    let (hand_on, mut received) = mpsc::channel(1);
    let mut desk = Desk { answer: arguments.answer, save: arguments.save, taken: 0 };
    let stop = Stop::default();
    let running = listener.run(hand_on, stop.clone());
    tokio::pin!(running);
    loop {
        tokio::select! {
            Some(came) = received.recv() => desk.take(came),
            () = &mut running => return Ok(Exit::Done),
            _ = signals.next() => stop.request(),
        }
    }
}

impl Desk {
    fn take(&mut self, came: Received) {
        let (peer, message, safe) = match came {
            Received::Message { peer, message, safe } => (peer, message, safe),
            Received::Odd { peer, what } => return say(format_args!("{peer}  {what}\n")),
        };
        self.taken += 1;
        let saved = self.save.as_ref().map(|folder| save(folder, self.taken, &message));
        if let Some(Err(error)) = saved {
            return say(format_args!("{peer}  cannot save: {error}; closed unanswered\n"));
        }
        let answer = match self.answer {
            Manner::Silent => "none",
            Manner::Answers(code, _) => code.as_str(),
        };
        say(line(self.taken, peer, &message, answer));
        // Its peer may have gone meanwhile.
        let _ = safe.send(());
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
