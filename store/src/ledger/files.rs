//! Where a write may look into the files, and where it must do without: on a thread that must not wait for the disk.

use super::Ledger;
use crate::{
    failure::Failure,
    spans::{Reader, Span},
};

/// Whether the files may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    Open,
    Closed,
    /// Closed, and somebody had to read them.
    Missed,
}

impl Ledger {
    pub(super) fn read<T>(
        &mut self,
        span: &Span,
        look: impl FnOnce(&mut Reader) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.need_files()?;
        self.spans.read(span, look)
    }

    pub(super) fn need_files(&mut self) -> Result<(), Failure> {
        if self.files == Files::Open {
            return Ok(());
        }
        self.files = Files::Missed;
        Err(Failure::Refused("the files are not read here".to_owned()))
    }

    /// What is done from here on must do without the files.
    pub(crate) fn close_files(&mut self) {
        self.files = Files::Closed;
    }

    /// Says whether what was done since would have needed them.
    pub(crate) fn open_files(&mut self) -> bool {
        std::mem::replace(&mut self.files, Files::Open) == Files::Missed
    }
}
