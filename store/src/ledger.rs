//! What the writer knows: the rows that the files do not have yet, and those that change soon.
//!
//! A write looks here first and in the files where it must, puts the rows it makes, and has each of them in the
//! journal's next record. Until that is on disk everything can be taken back.

mod attempts;
mod files;
mod holding;
mod peek;
mod studies;

use std::{
    collections::{BTreeSet, HashMap},
    io,
    ops::RangeInclusive,
    sync::Arc,
};

use engine::PastAttempts;
use files::Files;
pub(crate) use holding::Held;
pub(crate) use peek::Peek;

use crate::{
    failure::Failure,
    filters::{Filters, Group, Maybe, group_of, run_of},
    journal::Journal,
    load,
    rows::{Body, ContentRow, DeliveryRow, Entry, Image, MessageRow, PartRow, PayloadRow},
    spans::{Span, Spans},
};

/// How many rows that are in the files already stay here, since they are not at their end.
const UNFINISHED: usize = 20_000;
/// And so many bytes of what each of them carries.
const SHORT: usize = 1 << 10;

pub(crate) struct Ledger {
    messages: HashMap<u64, Known>,
    deliveries: HashMap<u64, KnownDelivery>,
    of_message: HashMap<u64, Vec<u64>>,
    by_mark: HashMap<i64, Vec<u64>>,
    entries: Vec<Arc<Entry>>,
    unfiled: (BTreeSet<u64>, BTreeSet<u64>),
    undo: Vec<Was>,
    filters: Filters,
    spans: Arc<Spans>,
    journal: Journal,
    /// About as many bytes as are not filed.
    weight: usize,
    newest: u64,
    /// These messages are being forgotten: nothing is put of them.
    held: Held,
    is_filing: bool,
    files: Files,
}

#[derive(Clone)]
struct Known {
    row: Arc<MessageRow>,
    /// Here until they are filed.
    content: Option<Arc<ContentRow>>,
    parts: Option<Arc<Vec<PartRow>>>,
    /// No file has anything of it.
    is_new: bool,
}

#[derive(Clone)]
struct KnownDelivery {
    row: Arc<DeliveryRow>,
    payload: Option<Arc<PayloadRow>>,
    is_payload_filed: bool,
    /// Here until they are filed.
    attempts: Option<Arc<PastAttempts>>,
}

/// How something stood before this write.
enum Was {
    Message(u64, Option<Known>),
    Delivery(u64, Option<KnownDelivery>),
    Entry,
}

/// A place to go back to.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize, usize);

/// Rows on their way into the files.
#[derive(Default)]
pub(crate) struct Filing {
    /// The last record of the journal that they cover.
    pub(crate) through: u64,
    pub(crate) messages: Vec<FiledMessage>,
    pub(crate) deliveries: Vec<FiledDelivery>,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) filters: Vec<(u64, i64, Vec<u8>)>,
    pub(crate) group: Option<Group>,
    weight: usize,
}

pub(crate) struct FiledMessage {
    pub(crate) row: Arc<MessageRow>,
    pub(crate) content: Option<Arc<ContentRow>>,
    pub(crate) parts: Option<Arc<Vec<PartRow>>>,
}

pub(crate) struct FiledDelivery {
    pub(crate) row: Arc<DeliveryRow>,
    pub(crate) payload: Option<Arc<PayloadRow>>,
    pub(crate) attempts: Option<Arc<PastAttempts>>,
}

/// Runs of messages that lie in a span.
type Runs = (Arc<Span>, RangeInclusive<u64>);

impl Ledger {
    pub(crate) fn new(spans: Arc<Spans>, journal: Journal, filters: Filters, newest: u64) -> Self {
        Self {
            messages: HashMap::new(),
            deliveries: HashMap::new(),
            of_message: HashMap::new(),
            by_mark: HashMap::new(),
            entries: Vec::new(),
            unfiled: Default::default(),
            undo: Vec::new(),
            filters,
            spans,
            journal,
            weight: 0,
            newest,
            held: Held::none(),
            is_filing: false,
            files: Files::Open,
        }
    }

    pub(crate) fn message(&mut self, id: u64) -> Result<Option<Arc<MessageRow>>, Failure> {
        if let Some(known) = self.messages.get(&id) {
            return Ok(Some(Arc::clone(&known.row)));
        }
        let Some(span) = self.spans.of(id) else { return Ok(None) };
        let found = self.read(&span, |reader| Ok(load::message(&reader.connection, id)?))?;
        Ok(found.map(|row| {
            let row = Arc::new(row);
            let known = Known { row: Arc::clone(&row), content: None, parts: None, is_new: false };
            self.know(id, known);
            row
        }))
    }

    /// Whether a message was kept under this number. Those to come have higher ones than any that was.
    pub(crate) fn is_kept(&mut self, id: u64) -> Result<bool, Failure> {
        Ok(id <= self.newest && self.message(id)?.is_some())
    }

    /// A message that no one knows yet.
    pub(crate) fn insert(&mut self, row: MessageRow, content: ContentRow) -> Result<(), Failure> {
        let id = row.id;
        self.refuse_held(id)?;
        for mark in row.numbers() {
            self.filters.add(id, mark, row.received);
        }
        self.newest = self.newest.max(id);
        self.weight += row_weight(&row) + content.body.len();
        let (row, content) = (Arc::new(row), Arc::new(content));
        self.journal.push(&Image::Content(id, Arc::clone(&content)))?;
        self.journal.push(&Image::Message(Arc::clone(&row)))?;
        if let Some(study) = row.study {
            self.journal.push(&Image::Study(id, study))?;
        }
        self.undo.push(Was::Message(id, None));
        self.unfiled.0.insert(id);
        self.know(id, Known { row, content: Some(content), parts: None, is_new: true });
        Ok(())
    }

    pub(crate) fn put(&mut self, row: MessageRow) -> Result<(), Failure> {
        let id = row.id;
        self.refuse_held(id)?;
        let was = self.message(id)?.map(|row| row.times);
        self.weight += row_weight(&row);
        let row = Arc::new(row);
        self.journal.push(&Image::Message(Arc::clone(&row)))?;
        if was.is_some_and(|was| was != row.times) {
            self.journal.push(&Image::Times(id, row.times))?;
        }
        let Some(known) = self.messages.get_mut(&id) else { return Ok(()) };
        self.undo.push(Was::Message(id, Some(known.clone())));
        known.row = row;
        self.unfiled.0.insert(id);
        Ok(())
    }

    pub(crate) fn put_parts(&mut self, id: u64, parts: Vec<PartRow>) -> Result<(), Failure> {
        self.weight += parts.iter().map(|part| part.body.as_ref().map_or(50, Body::len)).sum::<usize>();
        let parts = Arc::new(parts);
        self.journal.push(&Image::Parts(id, Arc::clone(&parts)))?;
        let Some(known) = self.messages.get_mut(&id) else { return Ok(()) };
        self.undo.push(Was::Message(id, Some(known.clone())));
        known.parts = Some(parts);
        self.unfiled.0.insert(id);
        Ok(())
    }

    pub(crate) fn delivery(&mut self, id: u64) -> Result<Option<Arc<DeliveryRow>>, Failure> {
        if let Some(known) = self.deliveries.get(&id) {
            return Ok(Some(Arc::clone(&known.row)));
        }
        for span in self.spans.with_delivery(id) {
            let found = self.read(&span, |reader| Ok(load::delivery(&reader.connection, id)?))?;
            if let Some(row) = found {
                let row = Arc::new(row);
                self.know_delivery(&row);
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    pub(crate) fn knows_delivery(&self, id: u64) -> bool {
        self.deliveries.contains_key(&id)
    }

    pub(crate) fn put_delivery(&mut self, row: DeliveryRow) -> Result<(), Failure> {
        self.weight += 300;
        self.refuse_held(row.message)?;
        let (id, row) = (row.id, Arc::new(row));
        self.journal.push(&Image::Delivery(Arc::clone(&row)))?;
        let was = self.know_delivery(&row);
        self.undo.push(Was::Delivery(id, was));
        self.unfiled.1.insert(id);
        Ok(())
    }

    /// What leaves, and what came back.
    pub(crate) fn payload(&mut self, of: &DeliveryRow) -> Result<Arc<PayloadRow>, Failure> {
        if let Some(payload) = self.deliveries.get(&of.id).and_then(|known| known.payload.as_ref()) {
            return Ok(Arc::clone(payload));
        }
        if self.messages.get(&of.message).is_some_and(|known| known.is_new) {
            return Ok(Arc::default());
        }
        let Some(span) = self.spans.of(of.message) else { return Ok(Arc::default()) };
        let found =
            self.read(&span, |reader| Ok(load::payload(&reader.connection, &mut reader.unpacker, of.id)?))?;
        Ok(Arc::new(found))
    }

    pub(crate) fn put_payload(&mut self, id: u64, payload: PayloadRow) -> Result<(), Failure> {
        self.weight += 200 + payload.body.as_ref().map_or(0, Body::len);
        let payload = Arc::new(payload);
        self.journal.push(&Image::Payload(id, Arc::clone(&payload)))?;
        let Some(known) = self.deliveries.get_mut(&id) else { return Ok(()) };
        self.undo.push(Was::Delivery(id, Some(known.clone())));
        known.payload = Some(payload);
        known.is_payload_filed = false;
        self.unfiled.1.insert(id);
        Ok(())
    }

    /// The deliveries of a message, in the order they were made.
    pub(crate) fn deliveries_of(&mut self, message: u64) -> Result<Vec<Arc<DeliveryRow>>, Failure> {
        let mut found: Vec<Arc<DeliveryRow>> = Vec::new();
        let is_new = self.messages.get(&message).is_some_and(|known| known.is_new);
        if !is_new && let Some(span) = self.spans.of(message) {
            let rows = self.read(&span, |reader| Ok(load::deliveries_of(&reader.connection, message)?))?;
            found.extend(rows.into_iter().filter(|row| !self.deliveries.contains_key(&row.id)).map(Arc::new));
        }
        let here = self.of_message.get(&message).into_iter().flatten();
        found.extend(here.filter_map(|id| self.deliveries.get(id)).map(|known| Arc::clone(&known.row)));
        found.sort_by_key(|row| row.id);
        Ok(found)
    }

    /// The messages with this copy number, received since `oldest`; some may be older.
    pub(crate) fn copies(&mut self, copy: i64, oldest: i64) -> Result<Vec<Arc<MessageRow>>, Failure> {
        let looked = self.look(copy, oldest, load::copies)?;
        Ok(looked.into_iter().filter(|row| row.copy == Some(copy)).collect())
    }

    pub(crate) fn with_effect(&mut self, effect: i64) -> Result<Vec<Arc<MessageRow>>, Failure> {
        let looked = self.look(effect, i64::MIN, load::with_effect)?;
        Ok(looked.into_iter().filter(|row| row.effect == Some(effect)).collect())
    }

    fn look(
        &mut self,
        mark: i64,
        oldest: i64,
        load: impl Fn(&rusqlite::Connection, RangeInclusive<u64>, i64) -> rusqlite::Result<Vec<MessageRow>>,
    ) -> Result<Vec<Arc<MessageRow>>, Failure> {
        let mut found: HashMap<u64, Arc<MessageRow>> = HashMap::new();
        for (span, runs) in self.places(mark, oldest)? {
            let rows = self.read(&span, |reader| Ok(load(&reader.connection, runs, mark)?))?;
            found.extend(rows.into_iter().map(|row| (row.id, Arc::new(row))));
        }
        for id in self.by_mark.get(&mark).into_iter().flatten() {
            found.extend(self.messages.get(id).map(|known| (*id, Arc::clone(&known.row))));
        }
        // What is known here is newer than what is filed.
        for (id, row) in &mut found {
            if let Some(known) = self.messages.get(id) {
                *row = Arc::clone(&known.row);
            }
        }
        let mut found: Vec<Arc<MessageRow>> = found.into_values().collect();
        found.sort_by_key(|row| row.id);
        Ok(found)
    }

    /// Where in the files messages with this number may be, received since `oldest`.
    fn places(&mut self, mark: i64, oldest: i64) -> Result<Vec<Runs>, Failure> {
        if self.filters.has_older() {
            self.need_files()?;
        }
        let Maybe { runs, unknown } = self.filters.look(mark, oldest);
        let mut ranges: Vec<(u64, u64)> = runs.into_iter().map(|run| (run << 2, run << 2 | 3)).collect();
        ranges.extend(unknown.into_iter().map(|group| (group << 8, group << 8 | 255)));
        let spans = if ranges.is_empty() { Vec::new() } else { self.spans.all() };
        let mut places = Vec::new();
        for span in spans {
            let next = self.end_of(span.first);
            for (first, last) in &ranges {
                let (first, last) = ((*first).max(span.first >> 14), (*last).min(next >> 14));
                if first <= last {
                    places.push((Arc::clone(&span), first..=last));
                }
            }
        }
        Ok(places)
    }

    /// The last number that a span may hold.
    fn end_of(&self, first: u64) -> u64 {
        self.spans.end_of(first).unwrap_or(self.newest)
    }

    pub(crate) fn note(&mut self, entry: Entry) -> Result<(), Failure> {
        let entry = Arc::new(entry);
        self.journal.push(&Image::Entry(Arc::clone(&entry)))?;
        self.undo.push(Was::Entry);
        self.entries.push(entry);
        Ok(())
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.undo.len(), self.journal.len())
    }

    /// Takes back what was put since.
    pub(crate) fn undo(&mut self, mark: Mark) {
        self.journal.cut(mark.1);
        while self.undo.len() > mark.0 {
            match self.undo.pop() {
                Some(Was::Message(id, Some(was))) => {
                    self.messages.insert(id, was);
                }
                Some(Was::Message(id, None)) => {
                    self.forget_message(id);
                    self.unfiled.0.remove(&id);
                }
                Some(Was::Delivery(id, Some(was))) => {
                    self.deliveries.insert(id, was);
                }
                Some(Was::Delivery(id, None)) => {
                    self.forget_delivery(id);
                    self.unfiled.1.remove(&id);
                }
                Some(Was::Entry) => {
                    self.entries.pop();
                }
                None => {}
            }
        }
    }

    /// Makes everything that was put durable, or takes it back; says whether that took a write.
    pub(crate) fn commit(&mut self, from: Mark) -> io::Result<bool> {
        if self.journal.is_empty() {
            self.undo.clear();
            return Ok(false);
        }
        self.commit_at_least(from)
    }

    /// The same, and writes even where nothing was put: to see whether writing works.
    pub(crate) fn commit_at_least(&mut self, from: Mark) -> io::Result<bool> {
        match self.journal.append() {
            Ok(_) => {
                self.undo.clear();
                Ok(true)
            }
            Err(error) => {
                self.undo(Mark(from.0, self.journal.len()));
                Err(error)
            }
        }
    }

    /// Whether anything waits to be filed.
    pub(crate) fn has_unfiled(&self) -> bool {
        !self.unfiled.0.is_empty() || !self.unfiled.1.is_empty() || !self.entries.is_empty()
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    #[cfg(test)]
    pub(crate) fn weighs(&mut self, weight: usize) {
        self.weight = weight;
    }

    pub(crate) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Everything that is not in the files, as it stands. Only between two writes.
    pub(crate) fn take_filing(&mut self) -> Filing {
        self.is_filing = true;
        let (messages, deliveries) = std::mem::take(&mut self.unfiled);
        let messages = messages.iter().filter_map(|id| self.messages.get(id)).map(|known| FiledMessage {
            row: Arc::clone(&known.row),
            content: known.content.clone(),
            parts: known.parts.clone(),
        });
        let deliveries = deliveries.iter().filter_map(|id| self.deliveries.get(id)).map(|known| {
            let payload = known.payload.as_ref().filter(|_| !known.is_payload_filed);
            FiledDelivery {
                row: Arc::clone(&known.row),
                payload: payload.map(Arc::clone),
                attempts: known.attempts.clone(),
            }
        });
        Filing {
            through: self.journal.last(),
            messages: messages.collect(),
            deliveries: deliveries.collect(),
            entries: std::mem::take(&mut self.entries),
            filters: self.filters.complete(self.newest),
            group: self.filters.leaving(self.newest),
            weight: self.weight,
        }
    }

    /// They are in the files: forgets what does not change any more.
    pub(crate) fn filed(&mut self, filing: &Filing) {
        self.is_filing = false;
        self.weight = self.weight.saturating_sub(filing.weight);
        self.journal.filed(filing.through);
        for filed in &filing.messages {
            let id = filed.row.id;
            let Some(known) = self.messages.get_mut(&id) else { continue };
            known.is_new = false;
            known.content = None;
            if same(known.parts.as_ref(), filed.parts.as_ref()) {
                known.parts = None;
            }
            if Arc::ptr_eq(&known.row, &filed.row) && known.parts.is_none() && !self.unfiled.0.contains(&id) {
                self.forget_message(id);
            }
        }
        for FiledDelivery { row, payload, attempts } in &filing.deliveries {
            let Some(known) = self.deliveries.get_mut(&row.id) else { continue };
            if same(known.attempts.as_ref(), attempts.as_ref()) {
                known.attempts = None;
            }
            if same(known.payload.as_ref(), payload.as_ref()) {
                known.is_payload_filed = true;
                known.payload = known.payload.take().filter(|payload| payload.len() <= SHORT);
            }
            let stays = known.row.is_queued && self.deliveries.len() < UNFINISHED;
            if !stays && !self.unfiled.1.contains(&row.id) {
                self.forget_delivery(row.id);
            }
        }
        self.shed();
    }

    /// The filters of a group are in a file; those of which everything is forgotten are nobody's.
    pub(crate) fn grouped(&mut self, group: Group) {
        self.filters.has_left(group);
        let first = self.spans.firsts().first().copied().unwrap_or(0);
        self.filters.forget_before(group_of(run_of(first)));
    }

    /// They are not: keeps them for the next filing.
    pub(crate) fn not_filed(&mut self, filing: Filing) {
        self.is_filing = false;
        self.unfiled.0.extend(filing.messages.iter().map(|filed| filed.row.id));
        self.unfiled.1.extend(filing.deliveries.iter().map(|filed| filed.row.id));
        let since = std::mem::take(&mut self.entries);
        self.entries = filing.entries;
        self.entries.extend(since);
    }

    /// Lets go of what was only read, where it is much.
    fn shed(&mut self) {
        if self.messages.len() > UNFINISHED + self.unfiled.0.len() {
            let idle: Vec<u64> =
                self.messages.keys().filter(|id| !self.unfiled.0.contains(id)).copied().collect();
            for id in idle {
                self.forget_message(id);
            }
        }
        if self.deliveries.len() > 2 * UNFINISHED + self.unfiled.1.len() {
            let idle: Vec<u64> =
                self.deliveries.keys().filter(|id| !self.unfiled.1.contains(id)).copied().collect();
            for id in idle {
                self.forget_delivery(id);
            }
        }
    }

    fn know(&mut self, id: u64, known: Known) {
        for mark in known.row.numbers() {
            self.by_mark.entry(mark).or_default().push(id);
        }
        self.messages.insert(id, known);
    }

    fn forget_message(&mut self, id: u64) {
        let Some(known) = self.messages.remove(&id) else { return };
        for mark in known.row.numbers() {
            take_out(&mut self.by_mark, &mark, id);
        }
    }

    /// Takes note of a delivery's row; returns what was known before.
    fn know_delivery(&mut self, row: &Arc<DeliveryRow>) -> Option<KnownDelivery> {
        let was = self.deliveries.get(&row.id).cloned();
        let (payload, is_payload_filed, attempts) = was.as_ref().map_or((None, true, None), |was| {
            (was.payload.clone(), was.is_payload_filed, was.attempts.clone())
        });
        if was.is_none() {
            self.of_message.entry(row.message).or_default().push(row.id);
        }
        let known = KnownDelivery { row: Arc::clone(row), payload, is_payload_filed, attempts };
        self.deliveries.insert(row.id, known);
        was
    }

    fn forget_delivery(&mut self, id: u64) {
        if let Some(known) = self.deliveries.remove(&id) {
            take_out(&mut self.of_message, &known.row.message, id);
        }
    }
}

fn take_out<K: std::hash::Hash + Eq>(all: &mut HashMap<K, Vec<u64>>, key: &K, id: u64) {
    if let Some(ids) = all.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            all.remove(key);
        }
    }
}

fn same<T>(known: Option<&Arc<T>>, filed: Option<&Arc<T>>) -> bool {
    match (known, filed) {
        (Some(known), Some(filed)) => Arc::ptr_eq(known, filed),
        (None, _) => true,
        (Some(_), None) => false,
    }
}

fn row_weight(row: &MessageRow) -> usize {
    let words = [&row.control_id, &row.flags, &row.halt, &row.inputs, &row.reply];
    let why = row.why.as_ref().map_or(0, |why| why.len());
    400 + why + words.into_iter().flatten().map(String::len).sum::<usize>()
}
