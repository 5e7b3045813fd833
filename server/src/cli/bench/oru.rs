//! The message that is sent: a laboratory's result of 1.5 KB, made up, each with a control id of its own.

use std::{
    fmt::Write as _,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// As an analyser sends it; every name and number is made up.
const TEMPLATE: &str = include_str!("oru.hl7");
/// Over so many patients the messages of a load are spread.
const PATIENTS: u64 = 5000;

/// When this process began to count time.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The next connection's number: no two of this process have the same.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// How long this process has counted time: what a message carries, to be compared where it arrives.
pub(super) fn now() -> Duration {
    EPOCH.elapsed()
}

/// What a control id says about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The sender's connection.
    pub(super) connection: u64,
    /// The message's place on it.
    pub(super) number: u64,
    pub(super) patient: u64,
    /// When it was sent.
    pub(super) sent: Duration,
}

impl Mark {
    /// Reads MSH-10.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(message.split(|byte| *byte == b'|').nth(9)?).ok()?)
    }

    pub(super) fn parse(control_id: &str) -> Option<Self> {
        let mut numbers = control_id.split('-').map(|number| u64::from_str_radix(number, 16));
        let mut next = || numbers.next()?.ok();
        Some(Self {
            connection: next()?,
            number: next()?,
            patient: next()?,
            sent: Duration::from_micros(next()?),
        })
    }

    pub(super) fn control_id(self) -> String {
        let Self { connection, number, patient, sent } = self;
        format!("{connection:x}-{number:x}-{patient:x}-{:x}", sent.as_micros())
    }
}

/// The messages of one connection, one after the other.
pub(super) struct Letters {
    connection: u64,
    number: u64,
    /// Its own patients: the order of a patient's messages is that of one connection.
    first_patient: u64,
    patients: u64,
    parts: [&'static str; 3],
}

impl Letters {
    /// Those of connection `place` of `connections`.
    pub(super) fn new(place: u16, connections: u16) -> Self {
        let patients = PATIENTS.div_ceil(u64::from(connections.max(1)));
        let (head, rest) = TEMPLATE.split_once("{ID}").expect("the message has a place for its id");
        let (middle, tail) = rest.split_once("{PATIENT}").expect("the message has a place for a patient");
        Self {
            connection: CONNECTIONS.fetch_add(1, Ordering::SeqCst),
            number: 0,
            first_patient: u64::from(place) * patients,
            patients,
            parts: [head, middle, tail],
        }
    }

    /// Adds the next one in its frame; returns its control id.
    pub(super) fn write(&mut self, frames: &mut Vec<u8>) -> String {
        let (control_id, text) = self.next();
        frames.push(0x0b);
        frames.extend_from_slice(text.as_bytes());
        frames.extend_from_slice(&[0x1c, 0x0d]);
        control_id
    }

    /// The next one, with its control id.
    pub(super) fn next(&mut self) -> (String, String) {
        let patient = self.first_patient + self.number % self.patients;
        let mark = Mark { connection: self.connection, number: self.number, patient, sent: now() };
        self.number += 1;
        let control_id = mark.control_id();
        let [head, middle, tail] = self.parts;
        let mut text = String::with_capacity(TEMPLATE.len() + 32);
        text.push_str(head);
        text.push_str(&control_id);
        text.push_str(middle);
        text.push_str(&patient_name(patient));
        text.push_str(tail);
        (control_id, text)
    }
}

/// PID-3.1 of a patient.
pub(super) fn patient_name(patient: u64) -> String {
    format!("7{patient:05}")
}

/// A message with so many segments in all.
pub(super) fn with_segments(count: usize) -> String {
    let (_, mut text) = Letters::new(0, 1).next();
    for number in text.matches('\r').count() + 1..=count {
        let _ = write!(
            text,
            "OBX|{number}|NM|1{number:03}-1^Analyte number {number}^LN||1.1|mmol/L|3.5-5.1|N|||F|||20260301073000+0100\r"
        );
    }
    text
}

/// A document of so many bytes, in base64. Noise: a compressed document has no pattern either.
pub(super) fn document(bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(state >> 58) as usize])
    };
    (0..bytes).map(letter).collect()
}

/// A message with a document in OBX-5.
pub(super) fn with_document(document: &str) -> String {
    let (_, text) = Letters::new(0, 1).next();
    let before = "OBX|12|ED|PDF^Report^L||ANALYSER^application^pdf^Base64^JVBERi0x";
    [&text, before, document, "||||||F\r"].concat()
}

/// How long the message is.
pub(super) fn length() -> usize {
    Letters::new(0, 1).next().1.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_where_it_comes_from() {
        let mut letters = Letters::new(3, 64);
        letters.next();
        let (control_id, text) = letters.next();
        let mark = Mark::read(text.as_bytes()).unwrap();
        assert_eq!((mark.number, mark.patient, mark.control_id()), (1, 3 * 79 + 1, control_id));
        assert!(text.contains(&format!("PID|1||{}^^^HOP", patient_name(mark.patient))));
        assert_eq!(Mark::read(b"MSH|^~\\&|A|B|C|D|7||ORU|hello|P|2.5\r"), None);
    }

    #[test]
    fn it_is_about_as_long_as_it_says() {
        assert!((1400..1700).contains(&length()), "{}", length());
        assert_eq!(with_segments(30).matches('\r').count(), 30);
        assert!(with_document(&document(10_000)).len() > 11_000);
    }
}
