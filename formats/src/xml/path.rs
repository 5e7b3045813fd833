//! A path into a document: `order/test[2]/code`, `order/patient/@id`.

use std::fmt;

use thiserror::Error;

use super::tag;

/// Elements from the document's own on, and at its end perhaps an attribute. Occurrences count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    pub(super) steps: Vec<Step>,
    pub(super) attribute: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: String,
    /// `None`: the first where one is meant, all where several are.
    pub(super) occurrence: Option<usize>,
}

/// Why a text is not a path, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{path}` is not a path: {why}; one is like `order/test[2]/@code`")]
pub struct PathError {
    /// The text that was given.
    pub path: String,
    /// What is wrong, for a person.
    pub why: &'static str,
}

impl Path {
    /// Reads `order`, `order/test[2]/code`, `order/@id`, `@id`; a `/` may stand before it.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let error = |why| PathError { path: text.to_owned(), why };
        let mut path = Path { steps: Vec::new(), attribute: None };
        for part in text.strip_prefix('/').unwrap_or(text).split('/') {
            if path.attribute.is_some() {
                return Err(error("nothing can follow an attribute"));
            }
            if let Some(name) = part.strip_prefix('@') {
                path.attribute = Some(named(name).ok_or_else(|| error("`@` is followed by a name"))?);
                continue;
            }
            let (name, occurrence) = match part.split_once('[') {
                Some((name, number)) => {
                    let number = number
                        .strip_suffix(']')
                        .and_then(|number| number.parse().ok())
                        .filter(|number| *number > 0);
                    (name, Some(number.ok_or_else(|| error("a number from 1 stands in brackets"))?))
                }
                None => (part, None),
            };
            let name = named(name).ok_or_else(|| error("between two `/` stands the name of an element"))?;
            path.steps.push(Step { name, occurrence });
        }
        Ok(path)
    }
}

fn named(name: &str) -> Option<String> {
    tag::is_name(name).then(|| name.to_owned())
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.occurrence {
            Some(number) => write!(formatter, "{}[{number}]", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}
