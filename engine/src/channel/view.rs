//! What a person sees of a channel.

use serde::Serialize;

use super::Channel;
use crate::{ConnectionView, OutletView};

/// Whether a channel takes and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    Running,
    /// Takes no messages; sends what is queued.
    Paused,
    /// Neither takes nor sends.
    Stopped,
}

/// How a channel stands.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelView {
    pub name: String,
    pub version: String,
    pub state: ChannelState,
    /// Why its source does not run, though it should.
    pub trouble: Option<String>,
    /// Whether that is tried again by itself, and nobody is needed for it.
    pub tries_again: bool,
    /// Why its source cannot take some of what is there, while the rest goes its way.
    pub left_out: Option<String>,
    pub connections: i64,
    /// Messages that wait for a code.
    pub held: u64,
    pub destinations: Vec<OutletView>,
}

impl Channel {
    /// At most so many of its open connections, those that opened last first, and how many there are.
    pub fn connections(&self, most: usize) -> (Vec<ConnectionView>, usize) {
        self.connections.view(most)
    }

    pub fn view(&self) -> ChannelView {
        let (state, trouble) = {
            let running = self.running();
            (running.state, running.trouble.clone())
        };
        let tries_again = trouble.is_none() && self.trouble.passes();
        ChannelView {
            name: self.name.to_string(),
            version: self.plan().version.to_string(),
            state,
            trouble: trouble.or_else(|| self.trouble.said()).filter(|_| state == ChannelState::Running),
            tries_again,
            left_out: self.trouble.said_of_some().filter(|_| state == ChannelState::Running),
            connections: self.connections.senders(),
            held: self.holding.count(),
            destinations: self.all_outlets().iter().map(|outlet| outlet.view()).collect(),
        }
    }
}
