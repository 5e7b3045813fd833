//! What tables lack: the messages that are held, grouped by the row that they wait for.

use std::collections::BTreeMap;

use engine::{MessageId, MessageState, Missing, Unmapped};
use rusqlite::Connection;

use crate::{
    codes::{Coded, written},
    load::read_held,
};

/// So many messages are named of each.
const EXAMPLES: usize = 10;

const HELD: &str =
    "SELECT m.id, c.name, m.received, m.halt FROM messages m JOIN channels c ON c.id = m.channel
    WHERE m.state = ?1 AND m.state > 3 ORDER BY m.id";

/// Table, columns with their values, and the sender.
type Row = (String, Vec<(String, String)>, Option<String>);

#[derive(Default)]
pub(super) struct Grouped(BTreeMap<Row, Unmapped>);

impl Grouped {
    pub(super) fn span(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(HELD)?;
        let mut rows = statement.query([MessageState::Held.code()])?;
        while let Some(row) = rows.next()? {
            let id = MessageId(row.get::<_, i64>(0)? as u64);
            let (channel, received): (String, i64) = (row.get(1)?, row.get(2)?);
            for missing in read_held(row.get(3)?)?.missing {
                self.add(missing, (id, received), &channel);
            }
        }
        Ok(())
    }

    fn add(&mut self, missing: Missing, (id, received): (MessageId, i64), channel: &str) {
        let Missing { table, asked, sender, wanted, server } = missing;
        let group = self.0.entry((table.clone(), asked.clone(), sender.clone()));
        let group = group.or_insert_with(|| Unmapped {
            table,
            asked,
            sender,
            server,
            wanted: Vec::new(),
            channels: Vec::new(),
            messages: 0,
            examples: Vec::new(),
            oldest: written(received),
        });
        group.messages += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(id);
        }
        if !group.wanted.contains(&wanted) {
            group.wanted.push(wanted);
        }
        if !group.channels.iter().any(|named| named == channel) {
            group.channels.push(channel.to_owned());
        }
    }

    /// Those that most wait for first.
    pub(super) fn done(self) -> Vec<Unmapped> {
        let mut all: Vec<Unmapped> = self.0.into_values().collect();
        all.sort_by_key(|group| std::cmp::Reverse(group.messages));
        all
    }
}
