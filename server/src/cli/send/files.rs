//! The messages that stand in files.

use std::{fs, path::PathBuf};

use bytes::Bytes;

use crate::cli::Complaint;

const START: u8 = 0x0B;
const END: u8 = 0x1C;

/// One message of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// `orders.hl7`, or `orders.hl7#3` where the file holds several.
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// Every message of the files, in order.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Letter>, Complaint> {
    let mut letters = Vec::new();
    for file in files {
        let bytes = fs::read(file)
            .map_err(|error| Complaint::misused(format!("cannot read {}: {error}", file.display())))?;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        let found = messages(&bytes);
        let several = found.len() > 1;
        for (number, message) in found.into_iter().enumerate() {
            let name = if several { format!("{name}#{}", number + 1) } else { name.clone() };
            letters.push(Letter { name, bytes: Bytes::copy_from_slice(message) });
        }
    }
    if letters.iter().all(|letter| letter.bytes.is_empty()) {
        return Err(Complaint::misused("the files hold no message"));
    }
    Ok(letters)
}

/// The frames of a file that holds MLLP frames; else all of it, as it stands: a batch is one message.
fn messages(file: &[u8]) -> Vec<&[u8]> {
    if file.first() != Some(&START) {
        return vec![file];
    }
    let mut found = Vec::new();
    let mut rest = file;
    while let Some(start) = rest.iter().position(|byte| *byte == START) {
        let body = &rest[start + 1..];
        let end = body.iter().position(|byte| *byte == END).unwrap_or(body.len());
        found.push(&body[..end]);
        rest = body.get(end + 1..).unwrap_or_default();
    }
    found
}

/// The message with a control id of its own: the one it has, a dot and a number.
pub(super) fn numbered(message: &Bytes, run: &str, number: u64) -> Option<Bytes> {
    let control_id = format!("{run}{number}");
    formats::hl7::with_control_id(message, &control_id).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_frames_holds_as_many_messages() {
        let frames = b"\x0bMSH|one\r\x1c\x0d\x0bMSH|two\r\x1c\x0d";
        assert_eq!(messages(frames), [b"MSH|one\r".as_slice(), b"MSH|two\r"]);
    }

    #[test]
    fn any_other_file_is_one_message_as_it_stands() {
        for file in ["MSH|^~\\&|a\rPID|1\r", "FHS|^~\\&\rBHS|\rMSH|\rMSH|\rBTS|2\r", ""] {
            assert_eq!(messages(file.as_bytes()), [file.as_bytes()]);
        }
    }

    #[test]
    fn a_frame_without_an_end_goes_to_the_end_of_the_file() {
        assert_eq!(messages(b"\x0bMSH|cut"), [b"MSH|cut".as_slice()]);
    }

    #[test]
    fn a_numbered_message_differs_in_its_control_id_alone() {
        let message = Bytes::from_static(b"MSH|^~\\&|A|B|C|D|7||ADT^A01|OLD|P|2.5\rPID|1\r");
        let numbered = numbered(&message, "R", 7).unwrap();
        assert_eq!(numbered, &b"MSH|^~\\&|A|B|C|D|7||ADT^A01|R7|P|2.5\rPID|1\r"[..]);
    }
}
