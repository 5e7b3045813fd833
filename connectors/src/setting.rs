//! The kinds of values that settings hold: periods, sizes, addresses, bytes in hexadecimal.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time, with its unit: `30s`, `500ms`, `1h30m`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("pattern" = "^([0-9]+(ms|s|m|h|d))+$", "examples" = ["30s", "5m", "1h30m"]))]
pub struct Period(pub Duration);

/// A number of bytes, with its unit: `64MB` (a million each), `64MiB` (1024 × 1024 each), `512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("pattern" = "^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)?$", "examples" = ["64MB", "512KiB"]))]
pub struct Size(pub usize);

/// Where to connect: `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("pattern" = "^(\\[[0-9A-Fa-f:.%]+\\]|[^:\\s/@\\[\\]]+):[0-9]{1,5}$", "examples" = ["lab.example.org:2575", "10.1.2.3:2575"]))]
pub struct Address {
    /// A name or an IP address, an IPv6 one without its brackets.
    pub host: String,
    pub port: u16,
}

/// Where to listen: an IP address of this machine and a port, `0.0.0.0:2575`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("pattern" = "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9A-Fa-f:.%]+\\]):[0-9]{1,5}$", "examples" = ["0.0.0.0:2575", "127.0.0.1:2575"]))]
pub struct Listen(pub SocketAddr);

/// A few bytes in hexadecimal: `0B`, `1C 0D`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, extend("pattern" = "^[0-9A-Fa-f]{2}( ?[0-9A-Fa-f]{2})*$", "examples" = ["0B", "1C 0D"]))]
pub struct Hexadecimal(pub Vec<u8>);

const PERIODS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, usize); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl Period {
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time such as `30s`, `5m` or `1h30m`");
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() || text.is_empty() {
            let (number, after) = split_number(rest).ok_or_else(wrong)?;
            let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, next) = after.split_at(end);
            let (_, milliseconds) = PERIODS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            total = number
                .checked_mul(*milliseconds)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| format!("`{text}` is too long"))?;
            rest = next;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis() as u64;
        let (unit, each) = PERIODS
            .iter()
            .rev()
            .find(|(_, each)| milliseconds > 0 && milliseconds.is_multiple_of(*each))
            .unwrap_or(&("s", 1000));
        write!(formatter, "{}{unit}", milliseconds / each)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size such as `64MB`, `512KiB` or `4096`");
        let (number, unit) = split_number(text).ok_or_else(wrong)?;
        let (_, each) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_mul(*each))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is too large"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, each) = SIZES[2..5]
            .iter()
            .rev()
            .chain(SIZES[5..].iter().rev())
            .find(|(_, each)| self.0 > 0 && self.0.is_multiple_of(*each))
            .unwrap_or(&("", 1));
        write!(formatter, "{}{unit}", self.0 / each)
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address such as `lab.example.org:2575`");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = match host.strip_prefix('[') {
            Some(inside) => inside.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        if bare.is_empty() || bare.contains(|c: char| c.is_whitespace() || "/[]@".contains(c)) {
            return Err(wrong());
        }
        Ok(Self { host: bare.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not an IP address and a port such as `0.0.0.0:2575` or `127.0.0.1:2575`")
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Hexadecimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not bytes in hexadecimal such as `0B` or `1C 0D`");
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        if digits.is_empty() || digits.len() % 2 == 1 {
            return Err(wrong());
        }
        let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8).ok_or_else(wrong);
        digits
            .chunks(2)
            .map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Hexadecimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            write!(formatter, "{gap}{byte:02X}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(value: Period) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(value: Size) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(value: Address) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(value: Listen) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Hexadecimal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Hexadecimal> for String {
    fn from(value: Hexadecimal) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_with_one_unit_or_several() {
        let period = |text: &str| text.parse::<Period>().map(|period| period.0);
        assert_eq!(period("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(period("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(period("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "30", "s", "30 s", "5x", "99999999999999999999d"] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_read_in_both_kinds_of_units() {
        let size = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(size("64MB"), Ok(64_000_000));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("7"), Ok(7));
        assert!(size("MB").is_err() && size("1 MB").is_err() && size("99999999999GB").is_err());
    }

    #[test]
    fn what_is_written_back_reads_the_same() {
        for text in ["500ms", "30s", "90m", "7d"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in ["64MB", "64KiB", "1000000007"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        for text in ["lab:2575", "[::1]:2575"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("1c0d".parse::<Hexadecimal>().unwrap().to_string(), "1C 0D");
    }

    #[test]
    fn an_address_without_a_port_is_none() {
        for wrong in ["lab", "lab:", "lab:0", ":2575", "a b:1", "::1:2575", "http://lab:80"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
