//! What a server's answer permits: nothing more, another try, or neither.

use std::time::Duration;

use bytes::Bytes;
use engine::{Facts, Hindered, Hindrance, Response, SendError};
use hyper::{HeaderMap, StatusCode, header};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::link::{Answer, AnswerBody};

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// Headers of an answer that are nobody's business.
const UNKEPT: [header::HeaderName; 4] =
    [header::SET_COOKIE, header::WWW_AUTHENTICATE, header::PROXY_AUTHENTICATE, header::CONNECTION];

/// A status, or all of a hundred: `201`, `2xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String", extend("pattern" = "^[1-5]([0-9][0-9]|xx)$", "examples" = ["2xx", "409"]))]
pub(crate) struct Statuses {
    first: u16,
    last: u16,
}

impl Statuses {
    pub(crate) const SUCCESS: Self = Self { first: 200, last: 299 };

    pub(crate) fn holds(self, status: StatusCode) -> bool {
        (self.first..=self.last).contains(&status.as_u16())
    }
}

impl TryFrom<String> for Statuses {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hundreds = text
            .strip_suffix("xx")
            .and_then(|digit| digit.parse::<u16>().ok())
            .filter(|hundreds| *hundreds < 6);
        let (first, last) = if let Some(hundreds) = hundreds {
            (hundreds * 100, hundreds * 100 + 99)
        } else {
            let status =
                text.parse().map_err(|_| format!("`{text}` is not a status such as `201` or `2xx`"))?;
            (status, status)
        };
        if (100..600).contains(&first) {
            Ok(Self { first, last })
        } else {
            Err(format!("`{text}` is not a status such as `201` or `2xx`"))
        }
    }
}

impl From<Statuses> for String {
    fn from(statuses: Statuses) -> Self {
        if statuses.first == statuses.last {
            statuses.first.to_string()
        } else {
            format!("{}xx", statuses.first / 100)
        }
    }
}

/// What a request was made of: whose fault a missing resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The URL reads the message.
    OfThisMessage,
    /// The URL is the same for all messages.
    OfAll,
}

/// What a status means that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The endpoint takes nothing now.
    NotNow,
    /// Nobody can tell.
    Unknown,
    /// This message is refused.
    Refused,
}

/// What an answer permits.
pub(crate) fn judge(answer: Answer, success: &[Statuses], asked: Asked) -> Result<Response, SendError> {
    let Answer { status, headers, body } = answer;
    let says = format!("the server answered {}", status.as_u16());
    if success.iter().any(|statuses| statuses.holds(status)) {
        return match body {
            AnswerBody::Whole(body) => Ok(response(status, &headers, body)),
            AnswerBody::Long(beginning) => {
                let mut response = response(status, &headers, beginning);
                response.facts.insert("cut".to_owned(), true.into());
                Ok(response)
            }
            AnswerBody::Cut(why) => Err(SendError::unknown(format!("{says}, but {why}"))),
        };
    }
    match meaning(status, asked) {
        Meaning::NotNow => {
            let (by, not_before) = (hindrance(status), pause(&headers));
            Err(SendError::NotDelivered { why: says, by, not_before })
        }
        Meaning::Unknown => Err(SendError::unknown(says)),
        Meaning::Refused => {
            let response = match body {
                AnswerBody::Whole(body) | AnswerBody::Long(body) => Some(body),
                AnswerBody::Cut(_) => None,
            };
            Err(SendError::Refused { why: says, code: Some(status.as_u16().to_string()), response })
        }
    }
}

/// What a status means that is no success.
pub(crate) fn meaning(status: StatusCode, asked: Asked) -> Meaning {
    match status.as_u16() {
        404 | 405 if asked == Asked::OfAll => Meaning::NotNow,
        // It lives elsewhere, or speaks otherwise: nothing was taken here.
        101 | 300..=302 | 305..=399 | 421 | 426 | 501 | 505
        // It does not know us, has too much to do, or no room.
        | 401 | 403 | 407 | 408 | 425 | 429 | 503 | 507 | 511 => Meaning::NotNow,
        200..=299 | 304 | 400..=499 => Meaning::Refused,
        // Of 303 too: it was done and its outcome stands elsewhere, or it was not.
        _ => Meaning::Unknown,
    }
}

/// What a status says that keeps a server from taking anything.
pub(crate) fn hindrance(status: StatusCode) -> Option<Hindrance> {
    match status.as_u16() {
        401 | 403 | 407 | 511 => Some(Hindrance::SignedOut),
        408 | 425 | 429 | 503 => Some(Hindrance::Busy),
        507 => Some(Hindrance::NoRoom),
        _ => None,
    }
}

/// Why something was not answered, where nothing was at stake.
pub(crate) fn plain(error: &SendError) -> String {
    hindered(error).words
}

/// The same with what hinders the server.
pub(crate) fn hindered(error: &SendError) -> Hindered {
    match error {
        SendError::NotDelivered { why, by, .. } | SendError::Unknown { why, by } => {
            Hindered { words: why.clone(), by: *by }
        }
        SendError::Refused { why, .. } => why.clone().into(),
    }
}

/// How long the server wants to be left alone.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = DateTimeParser::new().parse_timestamp(text).ok()?;
        date.duration_since(Timestamp::now()).try_into().ok()?
    };
    Some(pause.min(LONGEST_PAUSE))
}

fn response(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Response {
    let mut kept = serde_json::Map::new();
    for (name, value) in headers.iter().filter(|(name, _)| !UNKEPT.contains(name)) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        kept.insert(name.as_str().to_owned(), value.into());
    }
    let mut facts = Facts::new();
    facts.insert("status".to_owned(), status.as_u16().into());
    facts.insert("headers".to_owned(), kept.into());
    Response { body: Some(body), facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, asked: Asked) -> Result<Response, SendError> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: AnswerBody::Whole(Bytes::new()),
        };
        judge(answer, &[Statuses::SUCCESS], asked)
    }

    #[test]
    fn each_status_permits_what_the_table_says() {
        for status in [200, 201, 202, 204] {
            assert!(judged(status, Asked::OfAll).is_ok(), "{status}");
        }
        for status in [400, 402, 406, 409, 410, 412, 413, 414, 415, 422] {
            let judged = judged(status, Asked::OfAll);
            assert!(matches!(judged, Err(SendError::Refused { .. })), "{status}: {judged:?}");
        }
        for status in [301, 302, 307, 308, 401, 403, 404, 405, 407, 408, 425, 429, 503] {
            let judged = judged(status, Asked::OfAll);
            assert!(matches!(judged, Err(SendError::NotDelivered { .. })), "{status}: {judged:?}");
        }
        for status in [303, 500, 502, 504, 599] {
            let judged = judged(status, Asked::OfAll);
            assert!(matches!(judged, Err(SendError::Unknown { .. })), "{status}: {judged:?}");
        }
        for status in [404, 405] {
            assert!(
                matches!(judged(status, Asked::OfThisMessage), Err(SendError::Refused { .. })),
                "{status}"
            );
        }
    }

    #[test]
    fn an_answer_that_was_cut_proves_nothing() {
        let cut = |status| Answer {
            status,
            headers: HeaderMap::new(),
            body: AnswerBody::Cut("the server hung up within its answer".to_owned()),
        };
        let judged = |status| judge(cut(status), &[Statuses::SUCCESS], Asked::OfAll);
        assert!(matches!(judged(StatusCode::OK), Err(SendError::Unknown { .. })));
        assert!(matches!(judged(StatusCode::CONFLICT), Err(SendError::Refused { response: None, .. })));
    }

    #[test]
    fn a_server_may_ask_for_a_pause_in_seconds_or_until_a_date() {
        let asked = |text: &str| pause(&HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked("120"), Some(Duration::from_mins(2)));
        assert_eq!(asked("99999999999"), Some(LONGEST_PAUSE));
        assert_eq!(asked("Fri, 31 Dec 2100 23:59:59 GMT"), Some(LONGEST_PAUSE));
        assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn statuses_are_read_one_by_one_or_by_the_hundred() {
        let holds = |text: &str, status| {
            Statuses::try_from(text.to_owned()).unwrap().holds(StatusCode::from_u16(status).unwrap())
        };
        assert!(holds("2xx", 204) && !holds("2xx", 304) && holds("409", 409) && !holds("409", 410));
        for wrong in ["", "xx", "2x", "700", "099", "9xx"] {
            assert!(Statuses::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
