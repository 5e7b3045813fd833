//! YAML as a tree that remembers where each key and value stands, every scalar as the characters stand.

mod inside;
mod mend;
mod node;
mod parse;

pub(crate) use inside::inside;
pub(crate) use mend::read;
pub(crate) use node::{Entry, Kind, Node, Scalar, Style};
pub(crate) use parse::Flaw;
