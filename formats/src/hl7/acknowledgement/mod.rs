//! Acknowledgements: answering a sender whatever it sent, and reading what a receiver answered.

mod build;
mod read;
mod reply;

pub use build::{Answer, Condition, ErrorPlace, batch, build};
pub use read::{Acknowledgement, ReadError, read};

/// What MSA-1 says. `A…` speaks for the application, `C…` only for the transport (enhanced mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Accepted.
    AA,
    /// An error in it.
    AE,
    /// Rejected, not for its content; may be sent again.
    AR,
    /// Taken over.
    CA,
    /// An error in it.
    CE,
    /// Rejected, not for its content; may be sent again.
    CR,
}

impl Code {
    /// The two letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::AA => "AA",
            Code::AE => "AE",
            Code::AR => "AR",
            Code::CA => "CA",
            Code::CE => "CE",
            Code::CR => "CR",
        }
    }

    /// Reads the two letters; capitals only.
    pub fn parse(text: &str) -> Option<Code> {
        [Code::AA, Code::AE, Code::AR, Code::CA, Code::CE, Code::CR]
            .into_iter()
            .find(|code| code.as_str() == text)
    }

    /// Whether this is AA or CA.
    pub fn is_positive(self) -> bool {
        matches!(self, Code::AA | Code::CA)
    }

    /// The same judgement in enhanced mode: AA becomes CA.
    #[must_use]
    pub fn enhanced(self) -> Code {
        match self {
            Code::AA | Code::CA => Code::CA,
            Code::AE | Code::CE => Code::CE,
            Code::AR | Code::CR => Code::CR,
        }
    }
}
