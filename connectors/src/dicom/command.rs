//! Command sets (PS3.7): what one application asks of another, and what it answers.

use crate::part10::{padded, unpadded};

/// A command is a few names and numbers: no command is longer.
pub(super) const LONGEST: usize = 16 * 1024;

/// So many bytes of words fit beside a status.
const LONGEST_COMMENT: usize = 64;

const LENGTH: u16 = 0x0000;
const CLASS: u16 = 0x0002;
const ASKED_CLASS: u16 = 0x0003;
const FIELD: u16 = 0x0100;
const NUMBER: u16 = 0x0110;
const ANSWERED: u16 = 0x0120;
const PRIORITY: u16 = 0x0700;
const DATA_SET: u16 = 0x0800;
const STATUS: u16 = 0x0900;
const COMMENT: u16 = 0x0902;
const INSTANCE: u16 = 0x1000;
const ASKED_INSTANCE: u16 = 0x1001;
const EVENT: u16 = 0x1002;
const ACTION: u16 = 0x1008;

/// Said in place of a data set's kind where none follows.
const NONE_FOLLOWS: u16 = 0x0101;
const ONE_FOLLOWS: u16 = 0x0000;

/// An answer is its request with this bit.
const IS_ANSWER: u16 = 0x8000;

pub(super) const STORE: u16 = 0x0001;
pub(super) const FIND: u16 = 0x0020;
pub(super) const ECHO: u16 = 0x0030;
pub(super) const REPORT: u16 = 0x0100;
pub(super) const ACT: u16 = 0x0130;

/// The class of whoever asks whether we are there.
pub(super) const VERIFICATION: &str = "1.2.840.10008.1.1";

/// A command: its elements by their numbers, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Command(Vec<(u16, Vec<u8>)>);

impl Command {
    /// Asks the other side to keep an instance, whose data set follows.
    pub(super) fn store(number: u16, class: &str, instance: &str) -> Self {
        Self::default()
            .with(CLASS, padded(class))
            .with_number(FIELD, STORE)
            .with_number(NUMBER, number)
            .with_number(PRIORITY, 0)
            .with_number(DATA_SET, ONE_FOLLOWS)
            .with(INSTANCE, padded(instance))
    }

    /// Asks for the entries that are like one, whose data set follows.
    pub(super) fn find(number: u16, class: &str) -> Self {
        Self::default()
            .with(CLASS, padded(class))
            .with_number(FIELD, FIND)
            .with_number(NUMBER, number)
            .with_number(PRIORITY, 0)
            .with_number(DATA_SET, ONE_FOLLOWS)
    }

    /// Asks for the first action that a class has (N-ACTION), with a data set that follows.
    pub(super) fn act(number: u16, class: &str, instance: &str) -> Self {
        Self::default()
            .with(ASKED_CLASS, padded(class))
            .with_number(FIELD, ACT)
            .with_number(NUMBER, number)
            .with_number(DATA_SET, ONE_FOLLOWS)
            .with(ASKED_INSTANCE, padded(instance))
            .with_number(ACTION, 1)
    }

    /// Asks whether the other side is there.
    pub(super) fn echo(number: u16) -> Self {
        Self::default()
            .with(CLASS, padded(VERIFICATION))
            .with_number(FIELD, ECHO)
            .with_number(NUMBER, number)
            .with_number(DATA_SET, NONE_FOLLOWS)
    }

    /// The answer to this one.
    pub(super) fn answer(&self, status: u16, comment: Option<&str>) -> Self {
        let echoed = |command: Self, element| match self.get(element) {
            Some(value) => command.with(element, value.to_vec()),
            None => command,
        };
        let mut answer = echoed(Self::default(), CLASS)
            .with_number(FIELD, self.field() | IS_ANSWER)
            .with_number(ANSWERED, self.number(NUMBER).unwrap_or_default())
            .with_number(DATA_SET, NONE_FOLLOWS)
            .with_number(STATUS, status);
        if let Some(comment) = comment {
            answer = answer.with(COMMENT, said(comment));
        }
        echoed(echoed(answer, INSTANCE), EVENT)
    }

    /// Reads a command set, which is written in implicit little endian whatever was agreed.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut elements = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let wrong =
                || format!("a command that cannot be read: see its byte {}", bytes.len() - rest.len());
            let (head, behind) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
            let group = u16::from_le_bytes([head[0], head[1]]);
            let element = u16::from_le_bytes([head[2], head[3]]);
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let value = behind.get(..length).filter(|_| group == 0).ok_or_else(wrong)?;
            if element != LENGTH {
                elements.push((element, value.to_vec()));
            }
            rest = &behind[length..];
        }
        let command = Self(elements);
        if command.number(FIELD).is_none() || command.number(DATA_SET).is_none() {
            return Err("a command that does not say what it is".to_owned());
        }
        Ok(command)
    }

    pub(super) fn written(&self) -> Vec<u8> {
        let mut elements = Vec::new();
        for (number, value) in &self.0 {
            element(&mut elements, *number, value);
        }
        let mut command = Vec::with_capacity(elements.len() + 12);
        element(&mut command, LENGTH, &(elements.len() as u32).to_le_bytes());
        command.extend_from_slice(&elements);
        command
    }

    /// What is asked, or answered.
    pub(super) fn field(&self) -> u16 {
        self.number(FIELD).unwrap_or_default()
    }

    pub(super) fn is_answer(&self) -> bool {
        self.field() & IS_ANSWER != 0
    }

    /// Whether this answers the request of that number.
    pub(super) fn answers(&self, field: u16, number: u16) -> bool {
        self.field() == field | IS_ANSWER && self.number(ANSWERED) == Some(number)
    }

    pub(super) fn has_data_set(&self) -> bool {
        self.number(DATA_SET) != Some(NONE_FOLLOWS)
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.number(STATUS)
    }

    pub(super) fn class(&self) -> &str {
        self.text(CLASS)
    }

    pub(super) fn instance(&self) -> &str {
        self.text(INSTANCE)
    }

    fn text(&self, element: u16) -> &str {
        self.get(element).and_then(unpadded).unwrap_or_default()
    }

    fn number(&self, element: u16) -> Option<u16> {
        Some(u16::from_le_bytes(self.get(element)?.try_into().ok()?))
    }

    fn get(&self, element: u16) -> Option<&[u8]> {
        self.0.iter().find(|(number, _)| *number == element).map(|(_, value)| value.as_slice())
    }

    fn with(mut self, element: u16, value: Vec<u8>) -> Self {
        self.0.push((element, value));
        self
    }

    fn with_number(self, element: u16, number: u16) -> Self {
        self.with(element, number.to_le_bytes().to_vec())
    }
}

fn element(into: &mut Vec<u8>, number: u16, value: &[u8]) {
    into.extend_from_slice(&[0, 0]);
    into.extend_from_slice(&number.to_le_bytes());
    into.extend_from_slice(&(value.len() as u32).to_le_bytes());
    into.extend_from_slice(value);
}

/// Words as an element can hold them: of ASCII, not too long, of an even length.
fn said(words: &str) -> Vec<u8> {
    let plain =
        words.chars().map(|c| if c.is_ascii_graphic() && c != '\\' || c == ' ' { c as u8 } else { b'?' });
    let mut bytes: Vec<u8> = plain.take(LONGEST_COMMENT).collect();
    if bytes.len() % 2 == 1 {
        bytes.push(b' ');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_it_was_written() {
        let store = Command::store(7, "1.2.840.10008.5.1.4.1.1.2", "1.2.3");
        let read = Command::read(&store.written()).unwrap();
        assert_eq!(read, store);
        assert_eq!(
            (read.field(), read.class(), read.instance()),
            (STORE, "1.2.840.10008.5.1.4.1.1.2", "1.2.3")
        );
        assert!(read.has_data_set() && !Command::echo(1).has_data_set());
    }

    #[test]
    fn an_answer_names_its_request() {
        let request = Command::store(7, "1.2", "1.2.3");
        let answer = Command::read(&request.answer(0xA700, Some("no room\u{e9}\n")).written()).unwrap();
        assert!(answer.is_answer() && answer.answers(STORE, 7) && !answer.answers(STORE, 8));
        assert!(!answer.answers(ECHO, 7) && !answer.has_data_set());
        assert_eq!((answer.status(), answer.instance()), (Some(0xA700), "1.2.3"));
        assert_eq!(answer.get(COMMENT), Some(&b"no room?? "[..]));
    }

    #[test]
    fn what_is_no_command_is_refused_whatever_it_says() {
        let written = Command::echo(1).written();
        for end in 1..written.len() {
            assert!(Command::read(&written[..end]).is_err(), "{end}");
        }
        assert!(Command::read(&[]).is_err());
        assert!(Command::read(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0]).is_err());
        assert!(Command::read(&[8, 0, 0, 1, 0, 0, 0, 0]).is_err());
    }
}
