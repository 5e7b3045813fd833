//! A channel's code, compiled and ready to run on messages.

use bytes::Bytes;
use engine::{
    CameBack, Context, Ended, Halt, Inbound, Judged, Message, Piece, Reading, Route, Script, Unreadable,
};

use crate::{Fault, Library, Limits, ProgramFile, Uses};

/// A channel's steps. Runs on several messages at once.
pub struct Program {
    uses: Uses,
}

/// Compiles all the code of a channel, or says everything that is wrong with it.
pub fn compile(file: ProgramFile, library: &Library, limits: Limits) -> Result<Program, Vec<Fault>> {
    let _ = (file, library, limits);
    unimplemented!()
}

impl Program {
    /// The scripts and tables it uses, for the channel's version.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }
}

impl Script for Program {
    fn read(&self, _inbound: &Inbound) -> Result<Reading, Unreadable> {
        unimplemented!()
    }

    fn transform(&self, _message: &Message, _context: &Context) -> Result<Vec<Piece>, Halt> {
        unimplemented!()
    }

    fn route(&self, _piece: &Piece, _outlet: usize, _context: &Context) -> Result<Route, Halt> {
        unimplemented!()
    }

    fn complete(&self, _piece: &Piece, _outlet: usize, _context: &Context) -> Result<Route, Halt> {
        unimplemented!()
    }

    fn judge(
        &self,
        _came_back: &CameBack<'_>,
        _outlet: usize,
        _context: &Context,
    ) -> Result<Option<Judged>, Halt> {
        unimplemented!()
    }

    fn reply(&self, _message: &Message, _ended: &[Ended], _context: &Context) -> Result<Bytes, Halt> {
        unimplemented!()
    }
}
