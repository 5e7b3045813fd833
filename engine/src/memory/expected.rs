//! Questions and answers, put together by their keys.

use std::time::SystemTime;

use super::{rows::Audited, state::State};
use crate::{Expected, MessageId};

impl State {
    pub(super) fn expect(&mut self, id: MessageId, expected: Vec<Expected>) {
        let Some(stored) = self.messages.get(&id) else { return };
        let (channel, at) = (stored.channel.to_string(), stored.message.received);
        for one in expected {
            match one {
                Expected::Asked { key, within } => {
                    self.questions.entry((channel.clone(), key)).or_default().ask(id, at, within);
                }
                Expected::Answered { of, key } => {
                    self.questions.entry((of.to_string(), key)).or_default().answered = Some(at);
                }
            }
        }
    }

    pub(super) fn excuse(&mut self, channel: &str, key: &str, by: &str) {
        let question = self.questions.entry((channel.to_owned(), key.to_owned())).or_default();
        question.answered = Some(SystemTime::now());
        self.audit
            .push(Audited { by: by.to_owned(), what: format!("settle an answer that {channel} expected") });
    }
}
