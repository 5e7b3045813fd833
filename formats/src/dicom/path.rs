//! The places of an instance that steps name: `PatientID`, `(0010,0020)`, `RequestAttributesSequence[1].StudyInstanceUID`.

use std::fmt;

use thiserror::Error;

use super::{dictionary, tag::Tag};

/// A way through sequences to an element. Items and values count from 1; without a number the first item is meant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Path {
    pub(crate) steps: Vec<PathStep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathStep {
    pub(crate) name: Name,
    /// From 1.
    pub(crate) place: Option<usize>,
}

/// What an element is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Tag(Tag),
    /// A private element by its maker: wherever that one's block lies.
    Private {
        group: u16,
        creator: String,
        number: u8,
    },
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// A name that the standard does not know.
    #[error("`{0}` is not the keyword of a DICOM element")]
    Unknown(String),
    /// What stands in parentheses is no tag.
    #[error("`{0}` is not a tag: it would be `(0010,0020)`, a private one `(0019,MAKER,01)`")]
    BadTag(String),
    /// Items count from 1.
    #[error("`{0}`: items and values count from 1")]
    BadPlace(String),
    /// Nothing between two dots.
    #[error("a name is missing in `{0}`")]
    Empty(String),
}

impl Path {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let (step, behind) = first(rest);
            if step.is_empty() {
                return Err(PathError::Empty(text.to_owned()));
            }
            steps.push(read_step(step)?);
            match behind {
                Some(behind) => rest = behind,
                None => return Ok(Self { steps }),
            }
        }
    }

    /// The path to an element of the first level.
    pub fn to(tag: Tag) -> Self {
        Self { steps: vec![PathStep { name: Name::Tag(tag), place: None }] }
    }

    /// This path, and another one from there on.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        Self { steps: self.steps.iter().chain(&more.steps).cloned().collect() }
    }

    /// The same path with an item of its last sequence.
    #[must_use]
    pub fn item(&self, place: usize) -> Self {
        let mut path = self.clone();
        if let Some(last) = path.steps.last_mut() {
            last.place = Some(place);
        }
        path
    }

    /// The element it names, where it is one of the first level, by its tag.
    pub fn alone(&self) -> Option<Tag> {
        match &*self.steps {
            [PathStep { name: Name::Tag(tag), place: None }] => Some(*tag),
            _ => None,
        }
    }

    /// The element at its end, where that is not a private one by its maker.
    pub fn tag(&self) -> Option<Tag> {
        match self.steps.last()?.name {
            Name::Tag(tag) => Some(tag),
            Name::Private { .. } => None,
        }
    }
}

/// The step before the next dot that stands in no parentheses, and what is behind it.
fn first(text: &str) -> (&str, Option<&str>) {
    let mut is_within = false;
    for (at, character) in text.char_indices() {
        match character {
            '(' => is_within = true,
            ')' => is_within = false,
            '.' if !is_within => return (&text[..at], Some(&text[at + 1..])),
            _ => {}
        }
    }
    (text, None)
}

fn read_step(text: &str) -> Result<PathStep, PathError> {
    let behind_tag = text.rfind(')').map_or(0, |at| at + 1);
    let Some(bracket) = text[behind_tag..].find('[').map(|at| at + behind_tag) else {
        return Ok(PathStep { name: read_name(text)?, place: None });
    };
    let place = text[bracket + 1..].strip_suffix(']').and_then(|digits| digits.parse::<usize>().ok());
    let place = place.filter(|place| *place > 0).ok_or_else(|| PathError::BadPlace(text.to_owned()))?;
    Ok(PathStep { name: read_name(&text[..bracket])?, place: Some(place) })
}

fn read_name(text: &str) -> Result<Name, PathError> {
    if let Some(tag) = dictionary::tag_of(text).or_else(|| Tag::parse_digits(text)) {
        return Ok(Name::Tag(tag));
    }
    let Some(inner) = text.strip_prefix('(') else { return Err(PathError::Unknown(text.to_owned())) };
    let bad = || PathError::BadTag(text.to_owned());
    let inner = inner.strip_suffix(')').ok_or_else(bad)?;
    let (group, rest) = inner.split_once(',').ok_or_else(bad)?;
    let rest = rest.trim();
    if group.len() == 4
        && let Some(tag) = Tag::parse_digits(&format!("{group}{rest}"))
    {
        return Ok(Name::Tag(tag));
    }
    let (creator, number) = rest.rsplit_once(',').ok_or_else(bad)?;
    let group = u16::from_str_radix(group, 16).ok().filter(|group| group % 2 == 1).ok_or_else(bad)?;
    let number = u8::from_str_radix(number.trim(), 16).map_err(|_| bad())?;
    Ok(Name::Private { group, creator: creator.trim().to_owned(), number })
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            match &step.name {
                Name::Tag(tag) => match dictionary::keyword_of(*tag) {
                    // One that repeats in several groups has the same keyword in each.
                    Some(keyword) if dictionary::tag_of(keyword) == Some(*tag) => {
                        write!(formatter, "{keyword}")?;
                    }
                    _ => write!(formatter, "{tag}")?,
                },
                Name::Private { group, creator, number } => {
                    write!(formatter, "({group:04X},{creator},{number:02X})")?;
                }
            }
            if let Some(place) = step.place {
                write!(formatter, "[{place}]")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_in_several_ways_and_shown_in_one() {
        for (written, shown) in [
            ("PatientID", "PatientID"),
            ("(0010,0020)", "PatientID"),
            ("00100020", "PatientID"),
            (
                "RequestAttributesSequence[2].(0040,0009)",
                "RequestAttributesSequence[2].ScheduledProcedureStepID",
            ),
            ("(0019,ACME 1.0,0a)", "(0019,ACME 1.0,0A)"),
            ("(6002,3000)", "(6002,3000)"),
            ("ImageType[3]", "ImageType[3]"),
        ] {
            assert_eq!(Path::parse(written).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_path_is_told() {
        for (written, words) in [
            ("PatientIDD", "keyword"),
            ("(0010,002)", "is not a tag"),
            ("(0010,ACME,01)", "is not a tag"),
            ("ImageType[0]", "count from 1"),
            ("ImageType[x]", "count from 1"),
            ("A..B", "keyword"),
            ("PatientID.", "a name is missing"),
            ("", "a name is missing"),
        ] {
            let error = Path::parse(written).unwrap_err().to_string();
            assert!(error.contains(words), "{written}: {error}");
        }
    }
}
