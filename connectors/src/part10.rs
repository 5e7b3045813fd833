//! A DICOM file's beginning (PS3.10): what it says of itself before its data set, and how it is written.

use engine::{Content, NotWhole, SendError};
use formats::dicom::Header;

/// The first bytes that have no meaning, and those that say what it is.
const PREAMBLE: usize = 128;
const MARK: &[u8] = b"DICM";

/// No file's meta information is longer.
pub(crate) const LONGEST_META: usize = 64 * 1024;

/// Explicit values of these kinds have a long length.
const LONG: [&[u8; 2]; 12] =
    [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"];

/// The longest name that a DICOM object can have.
const LONGEST_UID: usize = 64;

/// Who wrote a file that came without its meta information. It stays the same, so that the same instance is the same bytes.
const IMPLEMENTATION: &str = "2.25.329800735698586629295641978511506172918";

/// What a file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) sop_class: String,
    pub(crate) sop_instance: String,
    pub(crate) transfer_syntax: String,
    /// Where the data set begins.
    pub(crate) data_set: usize,
}

impl Meta {
    /// Reads the beginning of a file; the words say at which byte it is none.
    pub(crate) fn read(file: &[u8]) -> Result<Self, String> {
        let beginning = &file[..file.len().min(LONGEST_META)];
        if beginning.get(PREAMBLE..PREAMBLE + MARK.len()) != Some(MARK) {
            return Err("it is no DICOM file: `DICM` does not stand at byte 128".to_owned());
        }
        let mut meta = Self { data_set: PREAMBLE + MARK.len(), ..Self::default() };
        while let Some(element) = Element::at(beginning, meta.data_set)? {
            let value = || uid(element.value, meta.data_set);
            match element.number {
                0x0002 => meta.sop_class = value()?,
                0x0003 => meta.sop_instance = value()?,
                0x0010 => meta.transfer_syntax = value()?,
                _ => {}
            }
            meta.data_set = element.end;
        }
        if meta.transfer_syntax.is_empty() {
            return Err("its meta information names no transfer syntax (0002,0010)".to_owned());
        }
        Ok(meta)
    }

    /// The beginning of a file, wherever it lies.
    pub(crate) fn of(file: &Content) -> Result<Self, SendError> {
        Self::read(&file.head(LONGEST_META).map_err(NotWhole::from)?).map_err(SendError::refused)
    }

    /// The same, by the names that the data set gives itself where it can be read: archives go by those.
    pub(crate) async fn named_within(file: &Content) -> Result<Self, SendError> {
        looked_into(file, |file| {
            let meta = Self::of(file)?;
            Ok(match Header::read(file.reader()) {
                Ok(Header { sop_class, sop_instance, .. }) => Self { sop_class, sop_instance, ..meta },
                Err(_) => meta,
            })
        })
        .await
    }

    /// The beginning of a file, whose data set is to follow.
    pub(crate) fn written(&self) -> Vec<u8> {
        let mut elements = Vec::new();
        element(&mut elements, 0x0001, *b"OB", &[0, 1]);
        element(&mut elements, 0x0002, *b"UI", &padded(&self.sop_class));
        element(&mut elements, 0x0003, *b"UI", &padded(&self.sop_instance));
        element(&mut elements, 0x0010, *b"UI", &padded(&self.transfer_syntax));
        element(&mut elements, 0x0012, *b"UI", &padded(IMPLEMENTATION));
        element(&mut elements, 0x0013, *b"SH", b"RELAIS");
        let mut file = vec![0; PREAMBLE];
        file.extend_from_slice(MARK);
        element(&mut file, 0x0000, *b"UL", &(elements.len() as u32).to_le_bytes());
        file.extend_from_slice(&elements);
        file
    }
}

/// What a look into a file finds; one that lies on the disk keeps nobody else waiting.
pub(crate) async fn looked_into<T: Send + 'static>(
    file: &Content,
    look: impl FnOnce(&Content) -> T + Send + 'static,
) -> T {
    if file.bytes().is_some() {
        return look(file);
    }
    let file = file.clone();
    let looked = tokio::task::spawn_blocking(move || look(&file)).await;
    looked.unwrap_or_else(|cut| std::panic::resume_unwind(cut.into_panic()))
}

/// The name that we go by among DICOM's implementations.
pub(crate) fn implementation() -> String {
    IMPLEMENTATION.to_owned()
}

/// Whether this can be the name of an object: digits in groups, with dots between them.
pub(crate) fn is_uid(text: &str) -> bool {
    let is_group = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    !text.is_empty() && text.len() <= LONGEST_UID && text.split('.').all(is_group)
}

/// A UID as it stands in an element: filled up to an even length by a null byte.
pub(crate) fn padded(uid: &str) -> Vec<u8> {
    let mut bytes = uid.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

/// A UID without what fills it up.
pub(crate) fn unpadded(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(|text| text.trim_matches(['\0', ' ']))
}

fn uid(value: &[u8], at: usize) -> Result<String, String> {
    let found = unpadded(value).filter(|text| text.is_empty() || is_uid(text));
    found.map(str::to_owned).ok_or_else(|| format!("its meta information holds no UID at byte {at}"))
}

/// One element of the meta information.
struct Element<'f> {
    number: u16,
    value: &'f [u8],
    end: usize,
}

impl<'f> Element<'f> {
    /// The element at this place; `None` where the data set begins.
    fn at(file: &'f [u8], at: usize) -> Result<Option<Self>, String> {
        let Some(head) = file.get(at..at + 8) else {
            // A file may end with its meta information.
            return if at == file.len() { Ok(None) } else { Err(cut(at)) };
        };
        if u16::from_le_bytes([head[0], head[1]]) != 0x0002 {
            return Ok(None);
        }
        let number = u16::from_le_bytes([head[2], head[3]]);
        let (begin, length) = if LONG.iter().any(|kind| kind[..] == head[4..6]) {
            let length = file.get(at + 8..at + 12).ok_or_else(|| cut(at))?;
            (at + 12, u32::from_le_bytes(length.try_into().expect("four bytes")) as usize)
        } else {
            (at + 8, usize::from(u16::from_le_bytes([head[6], head[7]])))
        };
        let end = begin.checked_add(length).ok_or_else(|| cut(at))?;
        let value = file.get(begin..end).ok_or_else(|| cut(at))?;
        Ok(Some(Self { number, value, end }))
    }
}

fn cut(at: usize) -> String {
    format!("its meta information does not come to its end: see byte {at}")
}

fn element(into: &mut Vec<u8>, number: u16, kind: [u8; 2], value: &[u8]) {
    into.extend_from_slice(&[0x02, 0x00]);
    into.extend_from_slice(&number.to_le_bytes());
    into.extend_from_slice(&kind);
    if LONG.contains(&&kind) {
        into.extend_from_slice(&[0, 0]);
        into.extend_from_slice(&(value.len() as u32).to_le_bytes());
    } else {
        into.extend_from_slice(&(value.len() as u16).to_le_bytes());
    }
    into.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            sop_class: "1.2.840.10008.5.1.4.1.1.7".to_owned(),
            sop_instance: "1.2.3.4".to_owned(),
            transfer_syntax: "1.2.840.10008.1.2.1".to_owned(),
            data_set: 0,
        }
    }

    #[test]
    fn what_is_written_is_read_and_has_its_data_set_behind_it() {
        let mut file = meta().written();
        let begins = file.len();
        file.extend_from_slice(&[0x08, 0x00, 0x05, 0x00, b'C', b'S', 0, 0]);
        assert_eq!(Meta::read(&file), Ok(Meta { data_set: begins, ..meta() }));
        assert_eq!(begins % 2, 0);
    }

    #[test]
    fn a_beginning_that_is_cut_or_lies_is_told_by_its_byte() {
        let file = meta().written();
        for end in 0..file.len() {
            let _ = Meta::read(&file[..end]);
        }
        assert!(Meta::read(b"MSH|").unwrap_err().contains("byte 128"));
        let mut lying = file.clone();
        // The length of (0002,0001), which comes first after the group's length.
        lying[152..156].copy_from_slice(&[0xff; 4]);
        assert!(Meta::read(&lying).unwrap_err().contains("byte 144"), "{:?}", Meta::read(&lying));
    }

    #[test]
    fn a_uid_is_digits_and_dots() {
        assert!(is_uid("1.2.840.10008.1.2") && is_uid("0"));
        for wrong in ["", ".", "1.", "1..2", "1.2/../3", "a", &"1".repeat(65)] {
            assert!(!is_uid(wrong), "{wrong}");
        }
    }
}
