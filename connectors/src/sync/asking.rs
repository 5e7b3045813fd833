//! What is asked of the server, and what its answers and its silence mean for the next try.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use serde_json::Value;
use url::Url;

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Asks one server.
#[async_trait]
pub(super) trait Ask: Send + Sync {
    /// Asks for a path beneath the server's root, with its query. `Err`: no answer came.
    async fn get(&self, target: &str) -> Result<Got, Trouble>;
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) date: Option<Timestamp>,
    /// How long the server wants to be left alone.
    pub(super) pause: Option<Duration>,
    pub(super) body: Bytes,
}

/// Which question it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    First,
    Link,
    One,
}

/// Why a question is not answered yet, or never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Too many questions: the same again, and no fault of anybody's.
    Busy(Option<Duration>),
    /// The same again.
    Again(String),
    /// Not before the next time: it will not end by itself within minutes.
    Later(String),
    /// The link has died: from the first page on.
    Anew(String),
    /// It is gone.
    Gone,
    /// Somebody must look.
    Person(String),
}

/// What an answer that is no success means.
pub(super) fn trouble(got: &Got, question: Question) -> Trouble {
    let outcome = Diagnostics::read(&got.body);
    let says = format!("it answered {}", got.status);
    let dead = |why: String| match question {
        Question::Link => Trouble::Anew(why),
        Question::First => Trouble::Person(why),
        Question::One => Trouble::Again(why),
    };
    match (got.status, &outcome) {
        (429, _) => Trouble::Busy(got.pause),
        (401, _) => Trouble::Person("the key was refused (401): set another one in the source".to_owned()),
        (403, _) => Trouble::Person("it answered 403: the key may not ask for this".to_owned()),
        (404, Some(_)) | (410, _) if question == Question::One => Trouble::Gone,
        (404, None) => Trouble::Again(format!("{says}, and not by FHIR: its gateway may have lost the way")),
        (400 | 404 | 410, Some(said)) => dead(format!("{says}{}", said.words())),
        (400 | 410, None) => dead(says),
        (500, Some(said)) if said.is_old_link() => dead(format!("{says}: the link to the page is too old")),
        (500, Some(said)) if said.is_refusal() => Trouble::Person(format!("{says}{}", said.words())),
        (408 | 425 | 500..=599, _) => Trouble::Again(says),
        _ => Trouble::Person(says),
    }
}

/// What an OperationOutcome says, of a server whose data are public: its words are told.
struct Diagnostics(String);

impl Diagnostics {
    fn read(body: &[u8]) -> Option<Self> {
        let outcome: Value = serde_json::from_slice(body).ok()?;
        let is_outcome = outcome["resourceType"] == "OperationOutcome";
        let said = outcome["issue"][0]["diagnostics"].as_str().unwrap_or_default();
        is_outcome.then(|| Self(said.to_owned()))
    }

    fn is_old_link(&self) -> bool {
        self.0.contains("too old or corrupted")
    }

    /// Whether the question itself is what the server does not take.
    fn is_refusal(&self) -> bool {
        [
            "not found for resource",
            "Bad value",
            "not supported",
            "Prefix ",
            "Unknown resource type",
            "BadConfiguration",
        ]
        .iter()
        .any(|words| self.0.contains(words))
    }

    fn words(&self) -> String {
        let words: String = self.0.chars().filter(|letter| !letter.is_control()).take(200).collect();
        if words.is_empty() { String::new() } else { format!(": {words}") }
    }
}

/// Where a link leads, asked of the base's own server: its path and query. The key goes to no other.
pub(super) fn follow(base: &str, also: &[String], link: &str) -> Result<String, String> {
    let own = Url::parse(base).map_err(|error| error.to_string())?;
    let beneath =
        Url::parse(&format!("{}/", base.trim_end_matches('/'))).map_err(|error| error.to_string())?;
    let there = beneath.join(link).map_err(|_| "the link to the next page is no address".to_owned())?;
    let host = |url: &Url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", url.host_str().unwrap_or_default())
    };
    let is_own = there.scheme() == own.scheme() && host(&there) == host(&own);
    if !is_own && !also.iter().any(|known| known.eq_ignore_ascii_case(&host(&there))) {
        let host = host(&there);
        return Err(format!(
            "the next page is at another host, `{host}`, which gets no key of ours: where it is the same server, name it in `also_known_as`"
        ));
    }
    let path = there.path();
    let within = |path: &str| path == own.path().trim_end_matches('/') || path.starts_with(beneath.path());
    if !within(path) {
        let base = own.path();
        return Err(format!(
            "the next page is at `{path}`, which is not beneath `{base}`: is `base` of the right version?"
        ));
    }
    Ok(there.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
}

/// How long the server wants to be left alone, by its headers. `Retry-After` is in seconds or a time, `Reset` in milliseconds since 1970, by its clock.
pub(super) fn pause(header: impl Fn(&str) -> Option<String>, date: Option<Timestamp>) -> Option<Duration> {
    let after = header("retry-after");
    let seconds = after.as_ref().and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let at = after.and_then(|text| DateTimeParser::new().parse_timestamp(text.trim()).ok());
    let reset = || Timestamp::from_millisecond(header("x-rate-limit-reset")?.trim().parse().ok()?).ok();
    let until = || Duration::try_from(at.or_else(reset)?.duration_since(date?)).ok();
    seconds.or_else(until).map(|pause| pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(status: u16, body: &str, question: Question) -> Trouble {
        trouble(&Got { status, body: body.to_owned().into(), ..Got::default() }, question)
    }

    fn outcome(words: &str) -> String {
        serde_json::json!({ "resourceType": "OperationOutcome", "issue": [{ "diagnostics": words }] })
            .to_string()
    }

    #[test]
    fn each_answer_permits_what_the_table_says() {
        use Question::{First, Link, One};
        let old = outcome("The url can't be processed. Maybe it is too old or corrupted.");
        let unknown = outcome("Parameter x not found for resource Practitioner");
        let missing = outcome("Resource not found with id: 1");
        assert!(matches!(asked(500, &old, Link), Trouble::Anew(_)));
        assert!(matches!(asked(500, &unknown, First), Trouble::Person(_)));
        assert!(matches!(asked(500, &outcome("Unknown error"), Link), Trouble::Again(_)));
        assert!(matches!(asked(400, &outcome("The parameter id is mandatory"), Link), Trouble::Anew(_)));
        assert!(matches!(asked(400, &outcome(""), First), Trouble::Person(_)));
        assert_eq!((asked(404, &missing, One), asked(410, "", One)), (Trouble::Gone, Trouble::Gone));
        for question in [First, Link, One] {
            let text = "No context-path matches the request URI.";
            assert!(matches!(asked(404, text, question), Trouble::Again(_)), "{question:?}");
            assert!(matches!(asked(401, "{}", question), Trouble::Person(_)));
            assert_eq!(asked(429, "{}", question), Trouble::Busy(None));
            for status in [502, 503, 504] {
                assert!(matches!(asked(status, "", question), Trouble::Again(_)));
            }
        }
    }

    #[test]
    fn the_key_goes_to_no_other_host_and_no_other_version() {
        let base = "https://gateway.api.esante.gouv.fr/fhir/v2";
        let at = |link: &str| follow(base, &["gateway.preprod.api.esante.gouv.fr".to_owned()], link);
        assert_eq!(
            at("https://gateway.api.esante.gouv.fr/fhir/v2/_page?id=u1").unwrap(),
            "/fhir/v2/_page?id=u1"
        );
        assert_eq!(
            at("https://gateway.preprod.api.esante.gouv.fr/fhir/v2/_page?id=u1").unwrap(),
            "/fhir/v2/_page?id=u1"
        );
        assert_eq!(at("_page?id=u1").unwrap(), "/fhir/v2/_page?id=u1");
        for wrong in [
            "https://elsewhere.example/fhir/v2/_page?id=u1",
            "http://gateway.api.esante.gouv.fr/fhir/v2/_page?id=u1",
            "https://gateway.api.esante.gouv.fr/fhir/v1?_getpages=1",
            "https://gateway.api.esante.gouv.fr/fhir/v20/_page",
        ] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pause_is_told_in_seconds_or_as_a_time_of_the_server_s() {
        let date = Timestamp::from_millisecond(1_767_225_599_500).ok();
        let reset = |name: &str| (name == "x-rate-limit-reset").then(|| "1767225600000".to_owned());
        assert_eq!(pause(reset, date), Some(Duration::from_millis(500)));
        assert_eq!(pause(reset, None), None);
        let after = |text: &'static str| move |name: &str| (name == "retry-after").then(|| text.to_owned());
        assert_eq!(pause(after("7"), date), Some(Duration::from_secs(7)));
        assert_eq!(pause(after("Thu, 01 Jan 2026 00:00:00 GMT"), date), Some(Duration::from_millis(500)));
    }
}
