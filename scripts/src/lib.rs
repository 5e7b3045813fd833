//! What is done to messages: a channel's steps, written in Rhai, compiled once and run on each message.
//!
//! A step has no effect on the outside. It sees the message, what its source knew, and what it asks of
//! [`engine::Context`], which records the answers; so it may be run again at will.

mod fault;
mod file;
mod library;
mod program;

pub use fault::{CODES, Fault, FileDiagnostic};
pub use file::{At, Format, Limits, OutletFile, ProgramFile, SplitFile, StepFile, Whereabouts};
pub use library::{Library, Uses};
pub use program::{Program, compile};
pub use template::{is_template, unescape};
mod template;
