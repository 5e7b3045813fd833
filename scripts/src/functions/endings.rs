//! How a script ends a message other than with a value.

use rhai::plugin::*;

use super::Outcome;
use crate::ending::Ending;

#[export_module]
pub(crate) mod functions {
    /// Ends the message as filtered: not wanted here, which is nobody's fault. The sender hears *accepted*.
    #[rhai_fn(return_raw)]
    pub fn filter(why: &str) -> Outcome<()> {
        Ending::Filter(why.to_owned()).raise()
    }

    /// Ends the message as refused: wrong in itself. The sender is told the words, so they must hold no content.
    #[rhai_fn(return_raw)]
    pub fn refuse(why: &str) -> Outcome<()> {
        Ending::Refuse(why.to_owned(), None).raise()
    }

    /// Ends the message as refused for what stands at a path, which the sender is told too.
    #[rhai_fn(name = "refuse", return_raw)]
    pub fn refuse_at(why: &str, path: &str) -> Outcome<()> {
        Ending::Refuse(why.to_owned(), Some(path.to_owned())).raise()
    }

    /// In `on_response` alone: the delivery counts as sent.
    #[rhai_fn(return_raw)]
    pub fn sent() -> Outcome<()> {
        Ending::Sent.raise()
    }

    /// In `on_response` alone: the delivery is tried again.
    #[rhai_fn(return_raw)]
    pub fn retry(why: &str) -> Outcome<()> {
        Ending::Retry(why.to_owned()).raise()
    }
}
