//! Whose a study is, by what is kept of it.

use std::collections::HashSet;

use rusqlite::Connection;

use super::Ledger;
use crate::{
    failure::Failure,
    load::{self, OF_OTHERS, OF_PATIENT},
    rows::{MessageRow, StudyRow},
};

impl Ledger {
    /// Whether what counts of a study is another patient's: some of it, and nothing of this one's.
    ///
    /// While instances of a study come one after the other, the newest answers that; who is another's costs a look at the others.
    pub(crate) fn is_of_another(
        &mut self,
        study: StudyRow,
        oldest: i64,
        counts: impl Fn(&MessageRow) -> bool,
    ) -> Result<bool, Failure> {
        let here = self.by_mark.get(&study.uid).map(Vec::as_slice).unwrap_or_default();
        let rows = || here.iter().rev().filter_map(|id| self.messages.get(id)).map(|known| &*known.row);
        if rows().any(|row| row.study == Some(study) && counts(row)) {
            return Ok(false);
        }
        let is_of_it = |row: &MessageRow| row.study.is_some_and(|of| of.uid == study.uid);
        let mut is_anothers = rows().any(|row| is_of_it(row) && counts(row));
        let known: HashSet<u64> = here.iter().copied().collect();
        for (span, runs) in self.places(study.uid, oldest)? {
            let any = |connection: &Connection, sql: &str| {
                load::any_of_study((connection, sql), runs.clone(), study, &known, &counts)
            };
            let (is_own, others) = self.read(&span, |reader| {
                let is_own = any(&reader.connection, OF_PATIENT)?;
                Ok((is_own, is_own || is_anothers || any(&reader.connection, OF_OTHERS)?))
            })?;
            if is_own {
                return Ok(false);
            }
            is_anothers = others;
        }
        Ok(is_anothers)
    }
}
