//! Documents in a message (ED, RP) as FHIR's Attachment.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rhai::Map;

use super::{Element, Parts, Site};

/// How much of a document is looked at to see what it is.
const BEGINNING: usize = 4096;

/// An encapsulated document (ED), its content as base64 however it came.
pub(crate) fn attachment(ed: &Parts<'_>, _: &Site) -> Option<Map> {
    let content = ed.text(5);
    if content.is_empty() {
        return None;
    }
    let (kind, encoding) = (media_type(&ed.text(2), &ed.text(3)), ed.text(4).to_ascii_lowercase());
    let bytes = match encoding.as_str() {
        "hex" => from_hex(&content),
        "a" | "ascii" | "8bit" | "7bit" => Some(content.as_bytes().to_vec()),
        _ => STANDARD
            .decode(content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<u8>>())
            .ok(),
    };
    // What is not what it says it is stays as the text that it is.
    let (bytes, kind) = match bytes {
        Some(bytes) => (bytes, kind),
        None => (content.into_owned().into_bytes(), "text/plain".to_owned()),
    };
    let kind = if is_cda(&bytes) { "text/xml".to_owned() } else { kind };
    Element::default()
        .with("contentType", kind)
        .with("data", STANDARD.encode(&bytes))
        .with("title", ed.part(1).text(1))
        .map()
}

/// Text that is a document: its lines, as base64.
pub(crate) fn text_attachment(text: &str) -> Map {
    Element::default()
        .with("contentType", "text/plain; charset=utf-8")
        .with("data", STANDARD.encode(text))
        .map()
        .unwrap_or_default()
}

/// A document that lies elsewhere (RP).
pub(crate) fn pointer(rp: &Parts<'_>, site: &Site) -> Option<Map> {
    let url = rp.text(1);
    if url.is_empty() {
        return None;
    }
    let application = site.authority(&rp.part(2));
    let is_url = !url.contains(char::is_whitespace);
    let address = if is_url { &*url } else { "" };
    Element::default()
        .with("contentType", media_type(&rp.text(3), &rp.text(4)))
        .with("url", address)
        .with("title", if is_url { application } else { url.to_string() })
        .map()
}

/// `application/pdf`, of what HL7's tables 0191 and 0291 say.
fn media_type(kind: &str, subtype: &str) -> String {
    let (kind, subtype) = (kind.to_ascii_lowercase(), subtype.to_ascii_lowercase());
    match (kind.as_str(), subtype.as_str()) {
        (_, "pdf") | ("pdf", _) => "application/pdf".to_owned(),
        (_, "rtf") => "application/rtf".to_owned(),
        (_, "html") => "text/html".to_owned(),
        (_, "xml" | "x-hl7-cda-level-one") => "text/xml".to_owned(),
        (_, "jpeg" | "jpg" | "pict" | "tiff" | "gif" | "png") => {
            format!("image/{}", subtype.replace("jpg", "jpeg"))
        }
        (_, "dicom") => "application/dicom".to_owned(),
        ("text" | "tx" | "ft", "") => "text/plain".to_owned(),
        ("multipart" | "text" | "image" | "audio" | "video" | "application", _) if is_token(&subtype) => {
            format!("{kind}/{subtype}")
        }
        _ => "application/octet-stream".to_owned(),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.+_".contains(&byte))
}

fn is_cda(bytes: &[u8]) -> bool {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(BEGINNING)]);
    beginning.trim_start_matches('\u{feff}').trim_start().starts_with('<')
        && beginning.contains("<ClinicalDocument")
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}
