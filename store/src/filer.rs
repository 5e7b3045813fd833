//! Puts rows into the files of the spans, many at once, behind everybody's back.
//!
//! What is filed is in the journal already: nobody waits for this. A filing that is cut is done again from the journal,
//! and putting a row twice is putting it once. The register says last how far the journal is filed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    codes::Coded,
    filters::{
        self, Filter, Filters, Group,
        columns::{self, Columns},
        group_of, run_of,
        square::{Square, TOGETHER},
    },
    large::{self, Large},
    ledger::Filing,
    load,
    packing::{self, Packer, Unpacker},
    put::{self, Share},
    spans::Spans,
    tables::{Tables, Unusable, first},
};

/// A span is full when its file is so long, or its messages' numbers are as far apart as the settings say.
const FULL_BYTES: u64 = 2 << 30;
/// How many spans are open for writing at once.
const OPEN: usize = 4;

pub(crate) struct Filer {
    folder: PathBuf,
    pub(crate) spans: Arc<Spans>,
    pub(crate) large: Arc<Large>,
    pub(crate) register: Tables,
    open: Vec<(u64, SpanFile)>,
    /// So many numbers of messages share a span.
    full: u64,
}

/// A span that is open for writing.
pub(crate) struct SpanFile {
    pub(crate) tables: Tables,
    packer: Packer,
}

impl Filer {
    pub(crate) fn open(
        folder: &Path,
        full: u64,
        (spans, large): (Arc<Spans>, Arc<Large>),
    ) -> Result<Self, Unusable> {
        let register = Tables::open_register(folder)?;
        Ok(Self { folder: folder.to_owned(), spans, large, register, open: Vec::new(), full })
    }

    /// The last record of the journal that is filed.
    pub(crate) fn filed(&self) -> rusqlite::Result<u64> {
        self.number("filed")
    }

    /// A number of the register; 0 where it was never written.
    pub(crate) fn number(&self, name: &str) -> rusqlite::Result<u64> {
        let sql = "SELECT number FROM numbers WHERE name = ?1";
        let number = first(&self.register.connection, sql, [name], |row| row.get::<_, i64>(0))?;
        Ok(number.unwrap_or(0) as u64)
    }

    /// An id is never given twice, though its row is forgotten.
    pub(crate) fn remember_highest(&mut self) -> rusqlite::Result<()> {
        let (message, delivery) = self.highest()?;
        self.register.commit(|register| {
            put::number(register, "messages", message)?;
            put::number(register, "deliveries", delivery)
        })
    }

    /// Files everything, durably. After a failure the files are opened anew: what of it reached them nobody knows.
    pub(crate) fn file(&mut self, filing: &mut Filing) -> rusqlite::Result<()> {
        let filed = self.put(filing);
        if let (Ok(()), Some(group)) = (&filed, &mut filing.group) {
            self.write_group(group);
        }
        if filed.is_err() {
            self.begin_anew();
        }
        filed
    }

    /// What was under way is void.
    pub(crate) fn begin_anew(&mut self) {
        self.open.clear();
        if let Ok(register) = Tables::open_register(&self.folder) {
            self.register = register;
        }
    }

    fn put(&mut self, filing: &Filing) -> rusqlite::Result<()> {
        self.begin_span_where_full()?;
        for (first, share) in self.shares(filing) {
            let span = self.span_file(first)?;
            span.file(&share)?;
            if let Some(span) = self.spans.of(first) {
                share.deliveries.iter().for_each(|filed| span.holds(filed.row.id));
            }
        }
        self.register.commit(|register| {
            filing.entries.iter().try_for_each(|entry| put::entry(register, entry))?;
            put::number(register, "filed", filing.through)
        })
    }

    /// Sorts the rows by the span that they belong to, oldest first.
    fn shares<'a>(&self, filing: &'a Filing) -> BTreeMap<u64, Share<'a>> {
        let mut shares: BTreeMap<u64, Share<'a>> = BTreeMap::new();
        let first_of = |message: u64| self.spans.of(message).map_or(0, |span| span.first);
        for message in &filing.messages {
            shares.entry(first_of(message.row.id)).or_default().messages.push(message);
        }
        for delivery in &filing.deliveries {
            shares.entry(first_of(delivery.row.message)).or_default().deliveries.push(delivery);
        }
        for filter in &filing.filters {
            shares.entry(first_of(filter.0 << 16 | 0xFFFF)).or_default().filters.push(filter);
        }
        shares
    }

    /// The span's file, open for writing.
    pub(crate) fn span_file(&mut self, first: u64) -> rusqlite::Result<&mut SpanFile> {
        if let Some(index) = self.open.iter().position(|(of, _)| *of == first) {
            return Ok(&mut self.open[index].1);
        }
        let file = SpanFile::open(&self.spans.path_from(first))?;
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        self.open.push((first, file));
        Ok(&mut self.open.last_mut().expect("it was put there").1)
    }

    /// Lets go of a span's file.
    pub(crate) fn close(&mut self, first: u64) {
        self.open.retain(|(of, _)| *of != first);
    }

    /// Begins the first span, or the next one. It leans on what the last one learnt.
    fn begin_span_where_full(&mut self) -> rusqlite::Result<()> {
        let Some(newest) = self.spans.newest() else {
            self.span_file(0)?;
            self.spans.add(0);
            return Ok(());
        };
        let is_long = newest.path.metadata().is_ok_and(|file| file.len() > FULL_BYTES);
        let full = self.full;
        let file = self.span_file(newest.first)?;
        let highest = highest(&file.tables, "messages")?;
        if !is_long && highest < newest.first + full {
            return Ok(());
        }
        let learnt = packing::newest(&file.tables.connection)?;
        let next = self.span_file(highest + 1)?;
        if let Some(bytes) = learnt {
            next.packer.keep(&next.tables.connection, &bytes)?;
        }
        self.spans.add(highest + 1);
        Ok(())
    }

    /// Finds what was begun when the last process ended: nobody can tell whether it arrived.
    pub(crate) fn doubt_what_was_begun(&mut self) -> rusqlite::Result<()> {
        use engine::DeliveryState::{Begun, Unsure};
        for span in self.spans.all() {
            let begun = "SELECT 1 FROM deliveries WHERE lane IS NOT NULL AND state = ?1";
            let tables = &mut self.span_file(span.first)?.tables;
            if first(&tables.connection, begun, [Begun.code()], |_| Ok(()))?.is_some() {
                let sql = "UPDATE deliveries SET state = ?1 WHERE lane IS NOT NULL AND state = ?2";
                tables.commit(|tables| tables.run(sql, (Unsure.code(), Begun.code())))?;
            }
        }
        Ok(())
    }

    /// Notes of messages that they were in their steps when the last process ended.
    pub(crate) fn mark(&mut self, inside: impl Iterator<Item = u64>) -> rusqlite::Result<()> {
        for id in inside {
            let Some(span) = self.spans.of(id) else { continue };
            let sql = "UPDATE messages SET marks = marks + 1 WHERE id = ?1 AND state IN (2, 8)";
            self.span_file(span.first)?.tables.commit(|tables| tables.run(sql, [id as i64]))?;
        }
        Ok(())
    }

    /// The highest ids that were ever given and kept: of messages, of deliveries.
    pub(crate) fn highest(&mut self) -> rusqlite::Result<(u64, u64)> {
        let mut found = (self.number("messages")?, self.number("deliveries")?);
        for span in self.spans.all() {
            let tables = &self.span_file(span.first)?.tables;
            found.0 = found.0.max(highest(tables, "messages")?);
            let lowest = "SELECT min(id) FROM deliveries";
            let lowest = first(&tables.connection, lowest, [], |row| row.get::<_, Option<i64>>(0))?.flatten();
            if let Some(lowest) = lowest {
                let highest = highest(tables, "deliveries")?;
                found.1 = found.1.max(highest);
                span.holds(lowest as u64);
                span.holds(highest);
            }
        }
        Ok(found)
    }

    /// Takes away the large bodies that nothing speaks of: whoever wrote them, or was taking them away, got no further.
    pub(crate) fn drop_orphans(&mut self) -> Result<(), Unusable> {
        let mut files: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        for path in self.large.files().map_err(Unusable::File)? {
            if let Some(message) = large::message_of(&path) {
                files.entry(message).or_default().push(path);
            }
        }
        let mut unpacker = Unpacker::default();
        for (message, paths) in files {
            let named = match self.spans.of(message) {
                Some(span) => {
                    let connection = &self.span_file(span.first)?.tables.connection;
                    // Of nearly every message there is one, which is its own.
                    if paths.len() == 1 && load::has_content(connection, message)? {
                        continue;
                    }
                    load::files_of(connection, &mut unpacker, message)?
                }
                None => BTreeSet::new(),
            };
            let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
            let is_orphan = |path: &&PathBuf| name(path).is_none_or(|name| !named.contains(&name));
            for path in paths.iter().filter(is_orphan) {
                std::fs::remove_file(path).map_err(Unusable::File)?;
            }
        }
        Ok(())
    }

    /// The filters of all runs: of the newest in memory, of the others in files. What is missing is made anew.
    pub(crate) fn filters(&mut self, highest: u64) -> rusqlite::Result<Filters> {
        let mut filters = Filters::default();
        let last = run_of(highest);
        let first = filters::first_in_memory(last);
        for run in first * TOGETHER..=last {
            if let Some(filter) = self.filter_of(run)? {
                filters.take(run, filter);
            }
        }
        let oldest = self.spans.firsts().first().copied().unwrap_or(0);
        for group in 0..first {
            if group < group_of(run_of(oldest)) {
                columns::forget(&self.folder, group);
                continue;
            }
            let columns = match Columns::open(&self.folder, group) {
                Ok(columns) => Some(columns),
                Err(_) => self.made_anew(group)?,
            };
            filters.take_older(group, columns);
        }
        filters.gather(highest);
        Ok(filters)
    }

    /// The filter of a run: the one that was kept, or one that is made anew.
    fn filter_of(&mut self, run: u64) -> rusqlite::Result<Option<Filter>> {
        let mut marks = (Vec::new(), i64::MIN);
        for span in self.spans.within(run << 16, run << 16 | 0xFFFF) {
            let connection = &self.span_file(span.first)?.tables.connection;
            let sql = "SELECT newest, bits FROM filters WHERE run = ?1";
            let kept = first(connection, sql, [run as i64], |row| {
                Ok(Filter::kept(row.get_ref(1)?.as_blob()?, row.get(0)?))
            })?;
            if let Some(filter) = kept.flatten() {
                return Ok(Some(filter));
            }
            let (found, newest) = load::marks_of_run(connection, run)?;
            marks.0.extend(found);
            marks.1 = marks.1.max(newest);
        }
        Ok((!marks.0.is_empty()).then(|| Filter::of(&marks.0, marks.1)))
    }

    fn made_anew(&mut self, number: u64) -> rusqlite::Result<Option<Columns>> {
        let mut filters = Vec::new();
        for place in 0..TOGETHER {
            filters.extend(self.filter_of(number * TOGETHER + place)?.map(|filter| (place, filter)));
        }
        let square = Square::of(filters.iter().map(|(place, filter)| (*place, filter)));
        let mut group = Group { number, square, columns: None };
        self.write_group(&mut group);
        Ok(group.columns)
    }

    /// Where it cannot be written, its messages are looked for without it: that costs time, and nothing else.
    fn write_group(&self, group: &mut Group) {
        match Columns::write(&self.folder, group.number, &group.square) {
            Ok(columns) => group.columns = Some(columns),
            Err(error) => tracing::warn!(%error, "cannot write the filters of older messages"),
        }
    }
}

impl SpanFile {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let tables = Tables::open_span(path).map_err(|unusable| match unusable {
            Unusable::Database(error) => error,
            Unusable::File(error) => rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
            Unusable::Layout { .. } | Unusable::Damaged(_) => {
                rusqlite::Error::InvalidPath(PathBuf::from(path))
            }
        })?;
        let packer = Packer::open(&tables.connection)?;
        Ok(Self { tables, packer })
    }

    fn file(&mut self, share: &Share<'_>) -> rusqlite::Result<()> {
        let packer = &mut self.packer;
        let done = self.tables.commit(|tables| {
            put::share(tables, packer, share)?;
            packer.learn(&tables.connection)
        });
        if done.is_err() {
            // The dictionary may have gone with the transaction.
            self.packer = Packer::open(&self.tables.connection)?;
        }
        done
    }
}

impl Drop for SpanFile {
    /// What its log holds goes into the file: beside readers, who are still there, nobody else would do it.
    fn drop(&mut self) {
        if let Err(error) = self.tables.end_log() {
            tracing::debug!(%error, "the log of a file stays beside it until it is opened again");
        }
    }
}

fn highest(tables: &Tables, table: &str) -> rusqlite::Result<u64> {
    let sql = format!("SELECT coalesce(max(id), 0) FROM {table}");
    Ok(first(&tables.connection, &sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
}
