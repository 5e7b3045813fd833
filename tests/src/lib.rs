//! Starts the real `relais` binary on a project of the test's own, and plays the peers around it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

mod peer;
mod project;
mod relais;

pub use peer::{Behaviour, Receiver, Sender, frame, message, mshfield};
pub use project::Project;
pub use relais::{Relais, binary, free_port, wait_until};
