//! The upper layer of DICOM (PS3.8): what goes over a connection is cut into units, each read whole and never longer than agreed.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use dicom_ul::pdu::{
    AbortRQSource, AssociationAC, AssociationRJ, AssociationRQ, MAXIMUM_PDU_SIZE, Pdu, UserVariableItem,
};
use engine::{Content, Hindered, Hindrance};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use crate::{part10, tls, wire::Wire};

/// What stands before each unit: its kind and its length.
const HEAD: usize = 6;

/// A greeting that proposes everything there is stays far below.
const LONGEST_GREETING: usize = 256 * 1024;

/// What stands before each value of a data unit.
const VALUE_HEAD: usize = 6;

const VALUES: u8 = 0x04;

/// No unit that we send is longer, whatever the other side allows.
const LONGEST_SENT: usize = 128 * 1024;

/// Nor are those of a side that allows nearly nothing shorter.
const SHORTEST_SENT: usize = 512;

/// What we are called among implementations, for people.
const VERSION: &str = "RELAIS";

/// A connection over which units go.
pub(super) struct Line {
    wire: Wire,
    buffer: BytesMut,
    /// The longest data unit taken.
    most: usize,
}

/// A unit that came.
#[derive(Debug)]
pub(super) enum Came {
    Asked(AssociationRQ),
    Agreed(AssociationAC),
    Declined(AssociationRJ),
    /// Pieces of commands and data sets.
    Values(Vec<Value>),
    Release,
    Released,
    Abort,
}

/// A piece of a command or of a data set.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) context: u8,
    pub(super) kind: Kind,
    pub(super) is_last: bool,
    pub(super) bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Command,
    DataSet,
}

/// Why nothing more comes over a connection.
#[derive(Debug)]
pub(super) enum Broken {
    /// The other side hung up between two units.
    Closed,
    Late,
    /// What came is no DICOM, or not what may come.
    Garbled(String),
    /// The other side refused TLS: it read nothing.
    Deaf(String),
    Lost(String),
}

impl From<Broken> for Hindered {
    fn from(broken: Broken) -> Self {
        let by = match &broken {
            Broken::Late => Some(Hindrance::NoAnswer),
            Broken::Deaf(_) => Some(Hindrance::Tls),
            Broken::Closed | Broken::Garbled(_) | Broken::Lost(_) => None,
        };
        Self { words: broken.words(), by }
    }
}

impl Line {
    pub(super) fn new(wire: Wire, most: usize) -> Self {
        Self { wire, buffer: BytesMut::new(), most }
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Whether no part of a unit has come.
    pub(super) fn is_clear(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next unit.
    pub(super) async fn next(&mut self, deadline: Instant) -> Result<Came, Broken> {
        self.fill(HEAD, deadline).await?;
        let kind = self.buffer[0];
        let length =
            u32::from_be_bytes([self.buffer[2], self.buffer[3], self.buffer[4], self.buffer[5]]) as usize;
        let most = match kind {
            0x01 | 0x02 => LONGEST_GREETING,
            VALUES => self.most,
            0x03 | 0x05..=0x07 => 4,
            0x15 | 0x16 if self.buffer[1] == 3 => {
                return Err(Broken::Garbled("it speaks TLS, and TLS is not spoken here".to_owned()));
            }
            _ => return Err(Broken::Garbled("what came is not DICOM".to_owned())),
        };
        if length > most {
            return Err(Broken::Garbled(format!("a unit of {length} bytes came, and {most} may")));
        }
        self.fill(HEAD + length, deadline).await?;
        let unit = self.buffer.split_to(HEAD + length).freeze();
        if kind == VALUES { values(unit.slice(HEAD..)).map(Came::Values) } else { came(&unit) }
    }

    /// Reads until so many bytes are there. Of what is announced only so much room is made as has come.
    async fn fill(&mut self, wanted: usize, deadline: Instant) -> Result<(), Broken> {
        while self.buffer.len() < wanted {
            self.buffer.reserve((wanted - self.buffer.len()).max(16 * 1024));
            let reading = self.wire.read_buf(&mut self.buffer);
            match timeout_at(deadline, reading).await {
                Err(_) => return Err(Broken::Late),
                Ok(Ok(0)) if self.buffer.is_empty() => return Err(Broken::Closed),
                Ok(Ok(0)) => return Err(Broken::Lost("the other side hung up within a unit".to_owned())),
                Ok(Ok(_)) => {}
                Ok(Err(error)) if tls::is_alert(&error) => return Err(Broken::Deaf(tls::explain(&error))),
                Ok(Err(error)) => return Err(Broken::Lost(tls::explain_reading(&error))),
            }
        }
        Ok(())
    }

    pub(super) async fn send(&mut self, pdu: &Pdu, deadline: Instant) -> Result<(), Broken> {
        let mut bytes = Vec::new();
        dicom_ul::write_pdu(&mut bytes, pdu)
            .map_err(|error| Broken::Lost(format!("cannot be written: {error}")))?;
        self.write(&bytes, deadline).await
    }

    /// Sends a command or a short data set.
    pub(super) async fn send_values(
        &mut self,
        value: (u8, Kind),
        bytes: &[u8],
        most: usize,
        deadline: Instant,
    ) -> Result<(), Broken> {
        self.send_content(value, &Bytes::copy_from_slice(bytes).into(), most, deadline).await
    }

    /// Sends a command or a data set in as many units as it takes, none longer than the other side allows.
    pub(super) async fn send_content(
        &mut self,
        (context, kind): (u8, Kind),
        body: &Content,
        most: usize,
        deadline: Instant,
    ) -> Result<(), Broken> {
        let room = most - VALUE_HEAD;
        let (mut left, mut stream, mut piece) = (body.len(), body.stream(), Bytes::new());
        let mut unit = Vec::with_capacity(HEAD + VALUE_HEAD + left.min(room));
        loop {
            let length = left.min(room);
            left -= length;
            unit.clear();
            unit.extend_from_slice(&[VALUES, 0]);
            unit.extend_from_slice(&((length + VALUE_HEAD) as u32).to_be_bytes());
            unit.extend_from_slice(&(length as u32 + 2).to_be_bytes());
            let control = u8::from(kind == Kind::Command) | (u8::from(left == 0) << 1);
            unit.extend_from_slice(&[context, control]);
            let end = unit.len() + length;
            while unit.len() < end {
                if piece.is_empty() {
                    piece = more(&mut stream, deadline).await?;
                }
                let missing = end - unit.len();
                unit.extend_from_slice(&piece.split_to(missing.min(piece.len())));
            }
            self.write(&unit, deadline).await?;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Says that nothing more is said, and hangs up.
    pub(super) async fn abort(&mut self, deadline: Instant) {
        // Who has gone needs no word of it.
        let _ = self.send(&Pdu::AbortRQ { source: AbortRQSource::ServiceUser }, deadline).await;
        let _ = timeout_at(deadline, self.wire.shutdown()).await;
    }

    async fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Broken> {
        let writing = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        match timeout_at(deadline, writing).await {
            Err(_) => Err(Broken::Late),
            Ok(Err(error)) => Err(Broken::Lost(unwritten(&error))),
            Ok(Ok(())) => Ok(()),
        }
    }
}

async fn more(stream: &mut engine::Stream, deadline: Instant) -> Result<Bytes, Broken> {
    let unread = |why: String| Broken::Lost(format!("its bytes cannot be read from the store: {why}"));
    match timeout_at(deadline, stream.next()).await {
        Err(_) => Err(Broken::Late),
        Ok(Ok(Some(piece))) => Ok(piece),
        Ok(Ok(None)) => Err(unread("there are fewer than there should be".to_owned())),
        Ok(Err(error)) => Err(unread(error.to_string())),
    }
}

fn unwritten(error: &io::Error) -> String {
    format!("cannot write: {error}")
}

impl Broken {
    /// In words for an operator.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Closed => "the other side hung up".to_owned(),
            Self::Late => "nothing came in time".to_owned(),
            Self::Garbled(why) | Self::Deaf(why) | Self::Lost(why) => why.clone(),
        }
    }
}

/// The longest unit that may be sent to a side which says so of itself.
pub(super) fn allowed(variables: &[UserVariableItem]) -> usize {
    let said = variables.iter().find_map(|variable| match variable {
        UserVariableItem::MaxLength(most) => Some(*most as usize),
        _ => None,
    });
    match said {
        // Nothing said, or nothing minded.
        None | Some(0) => LONGEST_SENT,
        Some(most) => most.clamp(SHORTEST_SENT, LONGEST_SENT),
    }
}

/// What we say of ourselves in a greeting.
pub(super) fn about_us(most: usize) -> Vec<UserVariableItem> {
    vec![
        UserVariableItem::MaxLength(most as u32),
        UserVariableItem::ImplementationClassUID(part10::implementation()),
        UserVariableItem::ImplementationVersionName(VERSION.to_owned()),
    ]
}

fn came(unit: &[u8]) -> Result<Came, Broken> {
    let wrong = |why: String| Broken::Garbled(format!("a unit that cannot be read: {why}"));
    match dicom_ul::read_pdu(unit, MAXIMUM_PDU_SIZE, false).map_err(|error| wrong(error.to_string()))? {
        Some(Pdu::AssociationRQ(asked)) => Ok(Came::Asked(asked)),
        Some(Pdu::AssociationAC(agreed)) => Ok(Came::Agreed(agreed)),
        Some(Pdu::AssociationRJ(declined)) => Ok(Came::Declined(declined)),
        Some(Pdu::ReleaseRQ) => Ok(Came::Release),
        Some(Pdu::ReleaseRP) => Ok(Came::Released),
        Some(Pdu::AbortRQ { .. }) => Ok(Came::Abort),
        Some(Pdu::PData { .. } | Pdu::Unknown { .. }) | None => Err(wrong("it is of no kind".to_owned())),
    }
}

fn values(mut unit: Bytes) -> Result<Vec<Value>, Broken> {
    let wrong = || Broken::Garbled("a data unit whose values do not add up".to_owned());
    let mut values = Vec::new();
    while unit.has_remaining() {
        let length = unit.try_get_u32().map_err(|_| wrong())? as usize;
        if length < 2 || length > unit.len() {
            return Err(wrong());
        }
        let mut value = unit.split_to(length);
        let (context, control) = (value.get_u8(), value.get_u8());
        let kind = if control & 1 == 1 { Kind::Command } else { Kind::DataSet };
        values.push(Value { context, kind, is_last: control & 2 == 2, bytes: value });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair(most: usize) -> (Line, Line) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, other) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (Line::new(Box::new(one.unwrap()), most), Line::new(Box::new(other.unwrap().0), most))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn what_is_longer_than_a_unit_comes_in_several_and_is_whole() {
        let (mut here, mut there) = pair(4096).await;
        let data_set: Vec<u8> = (0..10_000_u32).map(|number| number as u8).collect();
        let sent = data_set.clone();
        let sending = tokio::spawn(async move {
            here.send_values((3, Kind::DataSet), &sent, 4096, soon()).await.unwrap();
            here.send_values((3, Kind::DataSet), &[], 4096, soon()).await.unwrap();
            here
        });
        let (mut came, mut pieces) = (Vec::new(), 0);
        loop {
            let Came::Values(values) = there.next(soon()).await.unwrap() else { panic!("no values") };
            assert!(values.iter().all(|value| value.context == 3 && value.kind == Kind::DataSet));
            pieces += values.len();
            for value in &values {
                came.extend_from_slice(&value.bytes);
            }
            if values.iter().any(|value| value.is_last) {
                break;
            }
        }
        assert_eq!((came, pieces), (data_set, 3));
        let Came::Values(empty) = there.next(soon()).await.unwrap() else { panic!("no values") };
        assert!(empty[0].is_last && empty[0].bytes.is_empty());
        drop(sending.await.unwrap());
        assert!(matches!(there.next(soon()).await, Err(Broken::Closed)));
    }

    #[tokio::test]
    async fn what_is_no_unit_is_refused_and_makes_no_room() {
        let lying: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\n\r\n",
            &[VALUES, 0, 0xff, 0xff, 0xff, 0xff, 0],
            &[VALUES, 0, 0, 0, 0, 6, 0, 0, 0, 9, 1, 3],
            &[VALUES, 0, 0, 0, 0, 5, 0, 0, 0, 1, 1],
            &[1, 0, 0, 0, 0, 4, 0, 1, 0, 0],
        ];
        for bytes in lying {
            let (mut here, mut there) = pair(4096).await;
            here.write(bytes, soon()).await.unwrap();
            assert!(matches!(there.next(soon()).await, Err(Broken::Garbled(_))), "{bytes:?}");
            assert!(there.buffer.capacity() <= 64 * 1024);
        }
    }

    #[test]
    fn a_side_says_how_much_it_takes() {
        let of = |most| allowed(&[UserVariableItem::MaxLength(most)]);
        assert_eq!(
            (of(0), of(16_384), of(u32::MAX), of(1)),
            (LONGEST_SENT, 16_384, LONGEST_SENT, SHORTEST_SENT)
        );
        assert_eq!(allowed(&[]), LONGEST_SENT);
    }
}
