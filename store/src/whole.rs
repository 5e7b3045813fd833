//! A delivery with all that belongs to it: from memory as far as it is young, else from its span.

use std::sync::Arc;

use engine::{Content, Delivery, DeliveryId, Hash, Message, Piece, StoreError};

use crate::{
    Sqlite,
    codes::{parsed, parsed_or_default},
    failure::Failure,
    large::Large,
    ledger::Peek,
    load,
    rows::{ContentRow, DeliveryRow, MessageRow, PartRow, PayloadRow},
    spans::{Reader, Spans, look},
};

/// What belongs to a delivery, as far as it is known.
struct Whole {
    message: Option<MessageRow>,
    content: Option<ContentRow>,
    parts: Option<Vec<PartRow>>,
    payload: Option<PayloadRow>,
}

impl Sqlite {
    /// What memory knows is looked at first: what it does not know then is in a file by then. Its row is needed again soon,
    /// by whoever begins it.
    pub(crate) async fn whole_delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let peek = self.writer.write(move |ledger| {
            ledger.delivery(id.0)?;
            Ok(ledger.peek(id.0))
        });
        let peek = peek.await?;
        if let Some(row) = peek.delivery.as_ref().filter(|_| peek.is_new && peek.is_at_hand()) {
            return Whole::of(&peek).delivery(row, &self.large).map_err(StoreError::from);
        }
        let large = Arc::clone(&self.large);
        look(&self.spans, move |spans| {
            let row = match &peek.delivery {
                Some(row) => Some(Arc::clone(row)),
                None => filed(spans, id)?,
            };
            let Some(row) = row else { return Ok(None) };
            let mut whole = Whole::of(&peek);
            if !peek.is_new
                && let Some(span) = spans.of(row.message)
            {
                spans.read(&span, |reader| Ok(whole.complete(reader, &row)?))?;
            }
            whole.delivery(&row, &large)
        })
        .await
    }
}

fn filed(spans: &Spans, id: DeliveryId) -> Result<Option<Arc<DeliveryRow>>, Failure> {
    for span in spans.with_delivery(id.0) {
        let found = spans.read(&span, |reader| Ok(load::delivery(&reader.connection, id.0)?))?;
        if let Some(row) = found {
            return Ok(Some(Arc::new(row)));
        }
    }
    Ok(None)
}

impl Whole {
    fn of(peek: &Peek) -> Self {
        Self {
            message: peek.message.as_deref().cloned(),
            content: peek.content.as_deref().cloned(),
            parts: peek.parts.as_deref().cloned(),
            payload: peek.payload.as_deref().cloned(),
        }
    }

    /// Reads what is missing.
    fn complete(&mut self, reader: &mut Reader, of: &DeliveryRow) -> rusqlite::Result<()> {
        let (connection, unpacker) = (&reader.connection, &mut reader.unpacker);
        if self.message.is_none() {
            self.message = load::message(connection, of.message)?;
        }
        if self.content.is_none() {
            self.content = load::content(connection, unpacker, of.message)?;
        }
        if self.parts.is_none() {
            self.parts = Some(load::parts(connection, unpacker, of.message)?);
        }
        if self.payload.is_none() {
            self.payload = Some(load::payload(connection, unpacker, of.id)?);
        }
        Ok(())
    }

    fn delivery(self, row: &DeliveryRow, large: &Large) -> Result<Option<Delivery>, Failure> {
        let Some(message) = self.message else { return Ok(None) };
        let is_kept = self.content.is_some();
        let content = match self.content {
            Some(content) => Some((large.read(content.body)?, content.facts)),
            None => None,
        };
        let message = message.whole(content)?;
        let part = self.parts.unwrap_or_default().into_iter().find(|part| part.part == row.part);
        let piece = piece(&message, (row, part), large)?;
        let payload = self.payload.unwrap_or_default();
        let body: Option<Content> = match payload.body {
            Some(own) => Some(large.read(own)?),
            None if row.is_pending || !is_kept => None,
            None => Some(piece.body.clone()),
        };
        Ok(Some(Delivery {
            id: DeliveryId(row.id),
            piece,
            destination: row.destination.to_string(),
            effect: Hash(row.effect),
            after: row.after.clone(),
            body,
            texts: parsed_or_default(payload.texts)?,
            note: row.note.as_ref().map(|note| parsed(note)).transpose()?,
            tally: row.tally.clone(),
            message,
        }))
    }
}

/// The piece that the delivery takes along: the whole message, unless the steps made a part of it.
fn piece(
    message: &Message,
    (row, part): (&DeliveryRow, Option<PartRow>),
    large: &Large,
) -> rusqlite::Result<Piece> {
    let mut piece = Piece::whole(message);
    piece.place = (row.part > 0).then_some(row.part);
    if let Some(part) = part {
        if let Some(body) = part.body {
            piece.body = large.read(body)?;
        }
        piece.control_id = part.control_id;
        piece.halt = part.halt.map(|halt| parsed(&halt)).transpose()?;
    }
    Ok(piece)
}
