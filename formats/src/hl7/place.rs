//! A place within a segment, such as `5.1` or `3[2].4`.

use std::{fmt, str::FromStr};

use super::{PathError, cursor::Cursor};

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
        let mut cursor = Cursor::new(text);
        let place = Place::read(&mut cursor)?;
        cursor.end()?;
        Ok(place)
    }

    /// The whole first repetition of this field.
    pub const fn field(number: u16) -> Place {
        Place { field: number, repetition: 1, component: None, subcomponent: None }
    }

    /// A component of the first repetition of this field.
    pub const fn component(field: u16, number: u16) -> Place {
        Place { field, repetition: 1, component: Some(number), subcomponent: None }
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Place, PathError> {
        let mut place = Place::field(cursor.number("a field is a number from 1 to 65535")?);
        if let Some(repetition) = cursor.bracket("a repetition is a number from 1 to 65535")? {
            place.repetition = repetition;
        }
        if cursor.take(b'.') {
            place.component = Some(cursor.number("a component is a number from 1 to 65535")?);
        }
        if place.component.is_some() && cursor.take(b'.') {
            place.subcomponent = Some(cursor.number("a subcomponent is a number from 1 to 65535")?);
        }
        Ok(place)
    }
}

impl FromStr for Place {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Place, PathError> {
        Place::parse(text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.field)?;
        if self.repetition != 1 {
            write!(formatter, "[{}]", self.repetition)?;
        }
        for number in [self.component, self.subcomponent].into_iter().flatten() {
            write!(formatter, ".{number}")?;
        }
        Ok(())
    }
}
