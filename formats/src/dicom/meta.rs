//! The beginning of a DICOM file: 128 bytes of anything, `DICM`, and the group that says how the rest is written.

use std::io::{Read, Seek};

use super::{
    element::Element,
    error::{DicomError, Why},
    syntax::{Encoding, TransferSyntax},
    tag::tags,
    uid::is_uid,
    window::Window,
};

/// Where the file meta group begins.
pub(crate) const STARTS: u64 = 132;
/// A value of this group that is longer is passed over.
const LONGEST: u32 = 1024;

/// What the file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub syntax: TransferSyntax,
    pub sop_class: Option<String>,
    pub sop_instance: Option<String>,
    /// Where the data set begins.
    pub ends: u64,
}

impl Meta {
    /// Reads the beginning of a file.
    pub fn read<R: Read + Seek>(window: &mut Window<R>) -> Result<Self, DicomError> {
        if window.length() < STARTS || &window.few::<4>(128)? != b"DICM" {
            return Err(DicomError::new(128, None, Why::NoPrefix));
        }
        let mut at = STARTS;
        let (mut syntax, mut sop_class, mut sop_instance) = (None, None, None);
        while at + 8 <= window.length() {
            // The data set behind it may be written in another way; its first group is not this one in any.
            let [first, second] = window.few(at)?;
            if (first, second) != (2, 0) {
                break;
            }
            let element = Element::read(window, at, Encoding::META)?;
            let end = end_of(&element, window.length())?;
            let kept = match element.tag {
                tags::TRANSFER_SYNTAX => &mut syntax,
                tags::MEDIA_SOP_CLASS => &mut sop_class,
                tags::MEDIA_SOP_INSTANCE => &mut sop_instance,
                _ => &mut None,
            };
            if kept.is_some() {
                return Err(DicomError::new(at, element.tag, Why::Twice));
            }
            if element.length.is_some_and(|length| length <= LONGEST) {
                *kept = Some((window.bytes(element.value, end - element.value)?, element));
            }
            at = end;
        }
        let uid =
            |found: Option<(Vec<u8>, Element)>| found.map(|(bytes, element)| read_uid(&bytes, &element));
        let syntax = uid(syntax).transpose()?.flatten().and_then(|uid| TransferSyntax::of(&uid));
        let Some(syntax) = syntax else {
            return Err(DicomError::new(STARTS, tags::TRANSFER_SYNTAX, Why::NoSyntax));
        };
        let (sop_class, sop_instance) = (uid(sop_class).transpose()?, uid(sop_instance).transpose()?);
        Ok(Self { syntax, sop_class: sop_class.flatten(), sop_instance: sop_instance.flatten(), ends: at })
    }
}

fn end_of(element: &Element, length: u64) -> Result<u64, DicomError> {
    let Some(end) = element.end() else {
        return Err(DicomError::new(element.at, element.tag, Why::OpenLength(element.vr)));
    };
    if end > length {
        let (says, left) = (end - element.value, length - element.value.min(length));
        return Err(DicomError::new(element.at, element.tag, Why::TooLong { length: says, left }));
    }
    Ok(end)
}

/// A UID without what fills it up; none where nothing stands there.
pub(crate) fn read_uid(bytes: &[u8], element: &Element) -> Result<Option<String>, DicomError> {
    let text = std::str::from_utf8(bytes).unwrap_or("?").trim_end_matches(['\0', ' ']);
    if text.is_empty() {
        return Ok(None);
    }
    if is_uid(text) {
        return Ok(Some(text.to_owned()));
    }
    Err(DicomError::new(element.at, element.tag, Why::BadUid))
}
