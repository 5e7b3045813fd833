//! Messages that another one stands for.

use engine::{Again, MessageId, MessageState};

use crate::{failure::Failure, ledger::Ledger, people::audit, rows::MessageRow};

/// The last of those that were run, each in the place of the one before; `None` where none was.
pub(crate) fn latest(ledger: &mut Ledger, id: MessageId) -> Result<Option<MessageId>, Failure> {
    let mut latest = None;
    while let Some(next) =
        ledger.message(latest.unwrap_or(id).0)?.and_then(|row| row.successor.map(MessageId))
    {
        latest = Some(next);
    }
    Ok(latest)
}

/// What stands for a message that cannot be run again: itself while it is open, else what it was run as before.
pub(crate) fn stands_instead(ledger: &mut Ledger, id: MessageId) -> Result<Option<MessageId>, Failure> {
    match ledger.message(id.0)?.map(|row| row.state) {
        Some(MessageState::Kept) => Ok(Some(id)),
        Some(MessageState::Superseded) => Ok(Some(latest(ledger, id)?.unwrap_or(id))),
        _ => Ok(None),
    }
}

/// Closes a message that a person runs again; why it ended as it did stays with it.
pub(crate) fn run_again(ledger: &mut Ledger, again: &Again, successor: MessageId) -> Result<(), Failure> {
    if let Some(row) = ledger.message(again.message.0)? {
        ledger.put(MessageRow { state: MessageState::Superseded, ..MessageRow::clone(&row) })?;
        link(ledger, again.message, successor)?;
    }
    audit(ledger, &again.by, "resend", format!("message {}", again.message))
}

pub(crate) fn link(ledger: &mut Ledger, first: MessageId, successor: MessageId) -> Result<(), Failure> {
    if let Some(row) = ledger.message(first.0)? {
        ledger.put(MessageRow { successor: Some(successor.0), ..MessageRow::clone(&row) })?;
    }
    if let Some(row) = ledger.message(successor.0)? {
        let mut row = MessageRow::clone(&row);
        row.predecessors.push(first.0);
        ledger.put(row)?;
    }
    Ok(())
}
