//! A path into a message, such as `PID-5.1`, `OBX[3]-5` or `PID-3[2].4.1`.

use std::{fmt, str::FromStr};

use super::{PathError, Place, cursor::Cursor};

/// A segment, one of its occurrences, and a place in it; without a place, the whole segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Filled up with blanks.
    pub(super) segment: [u8; 3],
    pub(super) occurrence: u32,
    pub(super) place: Option<Place>,
}

impl Path {
    /// Reads `PID`, `PID-5`, `PID-5.1`, `PID-3[2].4.1`, `OBX[3]-5`, `ZPD-2`.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let mut cursor = Cursor::new(text);
        let segment = cursor.name()?;
        Path::behind(cursor, segment)
    }

    /// Reads a path of HPRIM, whose segments have names of one to three capitals: `P-5.1`, `OBX[3]-5`.
    pub fn parse_short(text: &str) -> Result<Path, PathError> {
        let mut cursor = Cursor::new(text);
        let segment = cursor.short_name()?;
        Path::behind(cursor, segment)
    }

    fn behind(mut cursor: Cursor<'_>, segment: [u8; 3]) -> Result<Path, PathError> {
        let occurrence = cursor.bracket("an occurrence is a number from 1")?.unwrap_or(1);
        if cursor.is_at_end() {
            return Ok(Path { segment, occurrence, place: None });
        }
        if !cursor.take(b'-') {
            return Err(cursor.error("a hyphen stands between segment and field, as in PID-5.1"));
        }
        let place = Place::read(&mut cursor)?;
        cursor.end()?;
        Ok(Path { segment, occurrence, place: Some(place) })
    }

    /// The name of the segment.
    pub fn segment(&self) -> &str {
        std::str::from_utf8(&self.segment).expect("the name of a segment is ASCII").trim_end()
    }

    /// Which of the segments of that name, from 1.
    pub fn occurrence(&self) -> u32 {
        self.occurrence
    }

    /// The place in the segment; none for the whole of it.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Path, PathError> {
        Path::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.segment())?;
        if self.occurrence != 1 {
            write!(formatter, "[{}]", self.occurrence)?;
        }
        match &self.place {
            Some(place) => write!(formatter, "-{place}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Place};

    #[test]
    fn every_form_is_read_and_written_the_same() {
        for text in [
            "PID",
            "OBX[3]",
            "PID-5",
            "PID-5.1",
            "PID-5.1.2",
            "PID-3[2]",
            "PID-3[2].4.1",
            "OBX[12]-5",
            "ZP1-65535",
        ] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Path::parse("PID[1]-3[1].1").unwrap(), Path::parse("PID-3.1").unwrap());
        assert_eq!(Place::parse("3[2].4").unwrap().to_string(), "3[2].4");
    }

    #[test]
    fn what_is_no_path_says_why_and_where() {
        let said = |text: &str| Path::parse(text).unwrap_err().to_string();
        assert!(said("PID.5").ends_with("as in PID-5.1 (at character 4)"), "{}", said("PID.5"));
        assert!(said("pid-5").ends_with("such as PID (at character 1)"));
        assert!(said("PI").contains("three capitals"));
        assert!(said("").contains("three capitals"));
        assert!(said("1ID-5").contains("three capitals"));
        assert!(said("PID-").ends_with("a field is a number from 1 to 65535 (at character 5)"));
        assert!(said("PID-0").ends_with("paths count from 1 (at character 5)"));
        assert!(said("PID-65536").contains("from 1 to 65535"));
        assert!(said("PID-999999999999999999999").contains("from 1 to 65535"));
        assert!(said("PID-3[2").ends_with("`]` is missing (at character 8)"));
        assert!(said("PID-3[].1").contains("a repetition is a number"));
        assert!(said("PID-5.1.2.3").ends_with("(at character 10)"));
        assert!(said("PID-5 ").contains("nothing can follow"));
        assert!(said("PIDé").contains("hyphen"));
        assert!(said("éID-5").ends_with("(at character 1)"));
    }
}
