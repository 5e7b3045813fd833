//! A channel's steps that do what the message says: `filter`, `refuse`, `break`, `wait`.

use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use engine::{
    CameBack, Context, Ended, Halt, Inbound, Judged, Message, Piece, Reading, Route, Script, Unreadable,
};
use formats::hl7::header::Header;

/// Holds back messages that say `wait` until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

pub struct Steps {
    gate: Gate,
}

impl Steps {
    pub fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

impl Script for Steps {
    fn read(&self, inbound: &Inbound) -> Result<Reading, Unreadable> {
        if inbound.body.bytes().unwrap().get(128..132) == Some(b"DICM") {
            return Ok(Reading::default());
        }
        let unreadable = |error: formats::hl7::ParseError| Unreadable { why: error.to_string() };
        let header = Header::read(inbound.body.bytes().unwrap()).map_err(unreadable)?;
        header.readable().map_err(unreadable)?;
        Ok(Reading {
            sender: header.text(3).into_owned(),
            control_id: Some(header.text(10).into_owned()),
            ..Reading::default()
        })
    }

    fn transform(&self, message: &Message, _context: &Context) -> Result<Vec<Piece>, Halt> {
        let text = String::from_utf8_lossy(message.body.bytes().unwrap());
        let says = |word: &str| text.contains(word);
        if says("wait") {
            self.gate.pass();
        }
        if says("filter") {
            return Err(Halt::Filtered { why: "not wanted".to_owned() });
        }
        if says("refuse") {
            return Err(Halt::Refused { why: "no patient".to_owned(), at: Some("PID-3".to_owned()) });
        }
        if says("break") {
            return Err(Halt::Failed { step: "step 1".to_owned(), why: "broken".to_owned(), place: None });
        }
        Ok(vec![Piece::whole(message)])
    }

    fn route(&self, _piece: &Piece, _outlet: usize, _context: &Context) -> Result<Route, Halt> {
        Ok(Route::Left)
    }

    fn keys(&self, _piece: &Piece, _outlet: usize, _context: &Context) -> Result<Vec<String>, Halt> {
        Ok(Vec::new())
    }

    fn complete(&self, _piece: &Piece, _outlet: usize, _context: &Context) -> Result<Route, Halt> {
        Ok(Route::Left)
    }

    fn judge(
        &self,
        _came_back: &CameBack<'_>,
        _outlet: usize,
        _context: &Context,
    ) -> Result<Option<Judged>, Halt> {
        Ok(None)
    }

    fn reply(&self, _message: &Message, _ended: &[Ended], _context: &Context) -> Result<Bytes, Halt> {
        Ok(Bytes::new())
    }
}
