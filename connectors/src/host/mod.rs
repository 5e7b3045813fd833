//! What every source needs that takes requests by HTTP: a port that several share, who may send, and answers once they are true.

mod board;
mod facts;
mod proof;
mod serve;
mod token;
pub(crate) mod words;

pub(crate) use board::Board;
pub(crate) use proof::Auth;
pub(crate) use serve::{Host, Intake, LetIn, Refusal, serve};
pub(crate) use token::Verifier;
