//! Bytes as they lie in the files: packed with zstd, leaning on a dictionary that was made of messages like them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use serde::{Serialize, de::DeserializeOwned};
use zstd::bulk::{Compressor, Decompressor};

/// Quick, and nearly as small as the slower ones for messages of this size.
const LEVEL: i32 = 1;
/// A dictionary is made of so many messages, once they are there.
const SAMPLES: usize = 2000;
/// Only the beginning of a long one is looked at.
const SAMPLE: usize = 4096;
const DICTIONARY: usize = 32 << 10;
/// What packed bytes may come to.
const LONGEST: usize = 1 << 30;

/// Packs for one span.
pub(crate) struct Packer {
    plain: Compressor<'static>,
    leaning: Option<(i64, Compressor<'static>)>,
    samples: Vec<Vec<u8>>,
}

/// Unpacks for one span; knows the dictionaries it has met.
#[derive(Default)]
pub(crate) struct Unpacker(HashMap<Option<i64>, Decompressor<'static>>);

/// Packed bytes and the dictionary they lean on.
pub(crate) struct Packed {
    pub(crate) dictionary: Option<i64>,
    pub(crate) bytes: Vec<u8>,
}

impl Packer {
    /// Takes up the newest dictionary of a span.
    pub(crate) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let newest: Option<(i64, Vec<u8>)> = connection
            .query_row("SELECT id, bytes FROM dictionaries ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let leaning = newest.map(|(id, bytes)| lean(&bytes).map(|leaning| (id, leaning))).transpose()?;
        Ok(Self { plain: sealed(Compressor::new(LEVEL))?, leaning, samples: Vec::new() })
    }

    pub(crate) fn pack(&mut self, value: &impl Serialize) -> rusqlite::Result<Packed> {
        let bytes = postcard::to_allocvec(value).map_err(wrong)?;
        if self.leaning.is_none() && self.samples.len() < SAMPLES {
            self.samples.push(bytes[..bytes.len().min(SAMPLE)].to_vec());
        }
        let (dictionary, packer) = match &mut self.leaning {
            Some((id, leaning)) => (Some(*id), leaning),
            None => (None, &mut self.plain),
        };
        Ok(Packed { dictionary, bytes: packer.compress(&bytes).map_err(wrong)? })
    }

    /// Makes a dictionary once there is enough to make it of; it is kept with the span.
    pub(crate) fn learn(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.leaning.is_some() || self.samples.len() < SAMPLES {
            return Ok(());
        }
        // What cannot be learnt from is packed without.
        if let Ok(bytes) = zstd::dict::from_samples(&std::mem::take(&mut self.samples), DICTIONARY) {
            self.keep(connection, &bytes)?;
        }
        Ok(())
    }

    /// The bytes that the next span may begin with.
    pub(crate) fn keep(&mut self, connection: &Connection, bytes: &[u8]) -> rusqlite::Result<()> {
        connection.execute("INSERT INTO dictionaries (bytes) VALUES (?1)", [bytes])?;
        self.leaning = Some((connection.last_insert_rowid(), lean(bytes)?));
        Ok(())
    }
}

impl Unpacker {
    pub(crate) fn unpack<T: DeserializeOwned>(
        &mut self,
        connection: &Connection,
        packed: &Packed,
    ) -> rusqlite::Result<T> {
        let length = zstd::zstd_safe::get_frame_content_size(&packed.bytes).ok().flatten();
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(LONGEST).min(LONGEST);
        let bytes = self
            .leaning_on(connection, packed.dictionary)?
            .decompress(&packed.bytes, length)
            .map_err(wrong)?;
        postcard::from_bytes(&bytes).map_err(wrong)
    }

    fn leaning_on(
        &mut self,
        connection: &Connection,
        dictionary: Option<i64>,
    ) -> rusqlite::Result<&mut Decompressor<'static>> {
        use std::collections::hash_map::Entry;
        Ok(match self.0.entry(dictionary) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(match dictionary {
                None => Decompressor::new().map_err(wrong)?,
                Some(id) => {
                    let sql = "SELECT bytes FROM dictionaries WHERE id = ?1";
                    let bytes: Vec<u8> = connection.query_row(sql, [id], |row| row.get(0))?;
                    Decompressor::with_dictionary(&bytes).map_err(wrong)?
                }
            }),
        })
    }
}

/// The newest dictionary of a span, if it made one.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .query_row("SELECT bytes FROM dictionaries ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .optional()
}

fn lean(dictionary: &[u8]) -> rusqlite::Result<Compressor<'static>> {
    sealed(Compressor::with_dictionary(LEVEL, dictionary))
}

/// One whose bytes carry a checksum: what a disk turned does not unpack.
fn sealed(packer: std::io::Result<Compressor<'static>>) -> rusqlite::Result<Compressor<'static>> {
    let mut packer = packer.map_err(wrong)?;
    packer.include_checksum(true).map_err(wrong)?;
    Ok(packer)
}

fn wrong(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_with_and_without_a_dictionary() {
        let folder = tempfile::tempdir().unwrap();
        let tables = crate::tables::Tables::open_span(&folder.path().join("1.db")).unwrap();
        let mut packer = Packer::open(&tables.connection).unwrap();
        let message = |number: usize| format!("MSH|^~\\&|LAB|HOP|{number}|PID|1||{}|DOE^JANE", number * 7919);
        let before = packer.pack(&message(0)).unwrap();
        assert_eq!(before.dictionary, None);
        for number in 1..=SAMPLES {
            packer.pack(&message(number)).unwrap();
        }
        packer.learn(&tables.connection).unwrap();
        let after = packer.pack(&message(1)).unwrap();
        assert!(after.dictionary.is_some(), "a dictionary was learnt");
        assert!(after.bytes.len() < before.bytes.len(), "{} {}", after.bytes.len(), before.bytes.len());
        let mut unpacker = Unpacker::default();
        let back: String = unpacker.unpack(&tables.connection, &after).unwrap();
        assert_eq!(back, message(1));
        let back: String = unpacker.unpack(&tables.connection, &before).unwrap();
        assert_eq!(back, message(0));
        for mut packed in [before, after] {
            let middle = packed.bytes.len() / 2;
            packed.bytes[middle] ^= 1;
            assert!(unpacker.unpack::<String>(&tables.connection, &packed).is_err(), "a turned bit is seen");
        }
    }
}
