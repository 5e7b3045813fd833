//! The names that DICOM's applications go by.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An application entity's title: `RELAIS`, `CT_ROOM_2`. 16 characters at most, no backslash, no blank around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("pattern" = "^[!-\\[\\]-~]([ -\\[\\]-~]{0,14}[!-\\[\\]-~])?$", "examples" = ["RELAIS"]))]
pub(crate) struct Title(String);

impl Title {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Title {
    fn default() -> Self {
        Self("RELAIS".to_owned())
    }
}

impl FromStr for Title {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_allowed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\\';
        let is_title =
            !text.is_empty() && text.len() <= 16 && text.trim() == text && text.bytes().all(is_allowed);
        if is_title {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is no AE title: 16 characters at most, of ASCII, without a backslash"))
        }
    }
}

impl fmt::Display for Title {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<String> for Title {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Title> for String {
    fn from(title: Title) -> Self {
        title.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_short_and_plain() {
        for right in ["RELAIS", "a", "CT ROOM 2", "0123456789ABCDEF"] {
            assert_eq!(right.parse::<Title>().unwrap().as_str(), right);
        }
        for wrong in ["", " A", "A ", "A\\B", "É", "0123456789ABCDEFG", "A\n"] {
            assert!(wrong.parse::<Title>().is_err(), "{wrong:?}");
        }
    }
}
