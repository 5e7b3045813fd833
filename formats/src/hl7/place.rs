//! A place within a segment, such as `5.1` or `3[2].4`.

use std::{fmt, str::FromStr};

use super::PathError;

/// A field, a repetition of it, a component or a subcomponent. All count from 1; without `[n]` the first repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The field, from 1.
    pub field: u16,
    /// The repetition, from 1.
    pub repetition: u16,
    /// The component, from 1.
    pub component: Option<u16>,
    /// The subcomponent, from 1; only with a component.
    pub subcomponent: Option<u16>,
}

impl Place {
    /// Reads `5`, `5.1`, `3[2]`, `3[2].4.1`.
    pub fn parse(text: &str) -> Result<Place, PathError> {
        let _ = text;
        unimplemented!()
    }

    /// The whole first repetition of this field.
    pub const fn field(number: u16) -> Place {
        Place { field: number, repetition: 1, component: None, subcomponent: None }
    }
}

impl FromStr for Place {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Place, PathError> {
        Place::parse(text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
