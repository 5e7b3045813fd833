//! What the other side asks over an association: a command, and the short data set that may follow it.

use bytes::BytesMut;
use tokio::time::Instant;

use super::{
    command::{self, Command},
    pdu::{Broken, Came, Kind, Line, Value},
};

/// No data set that is asked about is longer, but those of instances.
const LONGEST: usize = 4 << 20;

/// A command, whole, with what followed it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) context: u8,
    pub(super) command: Command,
    pub(super) data_set: Vec<u8>,
}

/// What came instead.
#[derive(Debug)]
pub(super) enum NotAsked {
    /// The other side wants to end the association.
    Release,
    Broken(Broken),
}

impl From<Broken> for NotAsked {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// What has come of the next request: kept where waiting may be cut in the middle of one.
#[derive(Default)]
pub(super) struct Asking {
    command: Option<(u8, Command)>,
    piece: BytesMut,
}

impl Asking {
    /// Whether a part of a request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.command.is_some() || !self.piece.is_empty()
    }

    /// The next request.
    pub(super) async fn next(&mut self, line: &mut Line, deadline: Instant) -> Result<Asked, NotAsked> {
        loop {
            let values = match line.next(deadline).await? {
                Came::Values(values) => values,
                Came::Release => return Err(NotAsked::Release),
                Came::Abort => return Err(Broken::Closed.into()),
                _ => return Err(garbled("a greeting came within an association")),
            };
            let mut asked = None;
            for value in values {
                if asked.is_some() {
                    return Err(garbled("it asks again before it was answered"));
                }
                asked = self.take(&value)?;
            }
            if let Some(asked) = asked {
                return Ok(asked);
            }
        }
    }

    fn take(&mut self, value: &Value) -> Result<Option<Asked>, NotAsked> {
        let (kind, longest) = match &self.command {
            None => (Kind::Command, command::LONGEST),
            Some(_) => (Kind::DataSet, LONGEST),
        };
        if value.kind != kind || self.piece.len() + value.bytes.len() > longest {
            return Err(garbled("something else came than a request"));
        }
        self.piece.extend_from_slice(&value.bytes);
        if !value.is_last {
            return Ok(None);
        }
        let piece = self.piece.split().to_vec();
        if let Some((context, command)) = self.command.take() {
            return Ok(Some(Asked { context, command, data_set: piece }));
        }
        let command = Command::read(&piece).map_err(Broken::Garbled)?;
        if command.has_data_set() {
            self.command = Some((value.context, command));
            return Ok(None);
        }
        Ok(Some(Asked { context: value.context, command, data_set: Vec::new() }))
    }
}

fn garbled(why: &str) -> NotAsked {
    NotAsked::Broken(Broken::Garbled(why.to_owned()))
}
