//! A message between two steps: what it is, and the bytes it is written in.

use std::{any::Any, io, sync::Arc};

use bytes::Bytes;
use engine::{Content, NotWhole, Unreadable};
use formats::{
    charset::{self, Charset, CharsetError, Decoded, Flag},
    dicom::{Instance, Piece, Source},
    hl7,
    hprim::{self, Hprim},
    rows::Sheet,
    xml,
};
use rhai::{Blob, Dynamic, ImmutableString};
use serde_json::Value;

use crate::{
    Format, dicom::DicomHandle, document::Document, elements::XmlHandle, handle::Hl7, json, paths,
    sheet::SheetHandle, tree::Tree,
};

/// The shape that steps see.
#[derive(Clone)]
pub(crate) enum Form {
    Hl7(hl7::Message),
    Json(Arc<Document>),
    Xml(Arc<xml::Document>),
    Rows(Sheet),
    Dicom(Arc<Instance>),
    Text(Arc<str>),
    Binary,
}

/// A message as it now is. `content` always says the same as `form`.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) form: Form,
    pub(crate) charset: Charset,
    pub(crate) content: Content,
}

/// What was odd about the bytes.
pub(crate) type Flags = Vec<Flag>;

impl Body {
    /// Reads bytes of a format; `fallback` is the charset of those that do not say.
    pub(crate) fn read(
        content: &Content,
        format: &Format,
        fallback: Option<&Charset>,
    ) -> Result<(Self, Flags), Unreadable> {
        if *format == Format::Binary {
            return Ok((Self::binary(content.clone()), Flags::new()));
        }
        if *format == Format::Dicom {
            return Ok((Self::dicom(content).map_err(unreadable)?, Flags::new()));
        }
        let bytes = content.whole()?;
        let decoded = match format {
            Format::Hl7 => charset::decode_hl7(&bytes, fallback),
            Format::Xml => decode_xml(&bytes, fallback)?,
            _ => charset::decode_text(&bytes, fallback),
        };
        let Decoded { text, charset, flags, .. } = decoded.map_err(unreadable)?;
        let form = match format {
            Format::Hl7 => Form::Hl7(hl7::Message::parse(text).map_err(unreadable)?.in_charset(charset)),
            Format::Json => Form::Json(Arc::new(Document::read(json::read(&text).map_err(unreadable)?))),
            Format::Xml => Form::Xml(Arc::new(xml::Document::parse(text).map_err(unreadable)?)),
            Format::Csv(csv) => Form::Rows(csv.read(text).map_err(unreadable)?),
            Format::Fixed(fixed) => Form::Rows(fixed.read(text).map_err(unreadable)?),
            Format::Hprim => match hprim::read(text).map_err(unreadable)? {
                Hprim::Sante(message) => Form::Hl7(message.in_charset(charset)),
                Hprim::Medecins(letter) => Form::Rows(letter),
            },
            Format::Text | Format::Binary | Format::Dicom => Form::Text(text),
        };
        Ok((Self { form, charset, content: content.clone() }, flags))
    }

    /// Reads bytes whose format nobody wrote down: as HL7, else as JSON, else as text, else as they are.
    pub(crate) fn guess(content: &Content, fallback: Option<&Charset>) -> Self {
        let head = content.head(4096).unwrap_or_default();
        if head.get(128..132) == Some(b"DICM")
            && let Ok(body) = Self::dicom(content)
        {
            return body;
        }
        let start = head.iter().find(|byte| !byte.is_ascii_whitespace());
        let structured = match start {
            Some(b'{' | b'[') => Self::read(content, &Format::Json, fallback),
            Some(b'<') => Self::read(content, &Format::Xml, fallback),
            _ => Self::read(content, &Format::Hl7, fallback),
        };
        structured
            .or_else(|_| Self::read(content, &Format::Text, fallback))
            .map_or_else(|_| Self::binary(content.clone()), |(body, _)| body)
    }

    /// An instance: what is in it is read when it is asked for.
    fn dicom(content: &Content) -> Result<Self, formats::dicom::DicomError> {
        let instance = Instance::read(Arc::new(Lying(content.clone())))?;
        let form = Form::Dicom(Arc::new(instance));
        Ok(Self { form, charset: Charset::UTF_8, content: content.clone() })
    }

    fn binary(content: Content) -> Self {
        Self { form: Form::Binary, charset: Charset::UTF_8, content }
    }

    /// As a script sees it in `msg`; bytes that are too many for it are not given at all.
    pub(crate) fn value(&self) -> Result<Dynamic, NotWhole> {
        Ok(match &self.form {
            Form::Hl7(message) => Dynamic::from(Hl7::new(message.clone())),
            Form::Json(document) => Dynamic::from(Tree::of(Arc::clone(document))),
            Form::Xml(document) => Dynamic::from(XmlHandle::new(xml::Document::clone(document))),
            Form::Rows(sheet) => Dynamic::from(SheetHandle::new(sheet.clone())),
            Form::Dicom(instance) => Dynamic::from(DicomHandle::new(Instance::clone(instance))),
            Form::Text(text) => Dynamic::from(ImmutableString::from(&**text)),
            Form::Binary => Dynamic::from_blob(self.content.whole()?.to_vec()),
        })
    }

    /// What goes on after a script whose last value is `value` and whose `msg` is left as `left`.
    pub(crate) fn after(&self, value: Dynamic, left: Dynamic, text: TextMay) -> Result<Self, String> {
        let value = if value.is_unit() { left } else { value };
        let value = match value.try_cast_result::<Hl7>() {
            Ok(handle) => return self.with_hl7(handle.message()),
            Err(value) => value,
        };
        let value = match value.try_cast_result::<SheetHandle>() {
            Ok(handle) => return self.with_rows(handle.sheet()),
            Err(value) => value,
        };
        let value = match value.try_cast_result::<DicomHandle>() {
            Ok(handle) => return self.with_dicom(&handle.instance()),
            Err(value) => value,
        };
        if let Some(document) = XmlHandle::document_of(&value)? {
            return self.with_xml(&document);
        }
        if json::is_document(&value) {
            return self.with_document(value);
        }
        if value.is_blob() {
            return Ok(self.with_bytes(value.cast::<Blob>()));
        }
        match value.try_cast_result::<ImmutableString>() {
            Ok(written) => self.with_text(&written, text),
            Err(other) => Err(format!(
                "its last value is {}: a message, a map, a list, text, bytes or `()` goes on",
                named(&other)
            )),
        }
    }

    /// The same message, changed.
    pub(crate) fn with_hl7(&self, message: hl7::Message) -> Result<Self, String> {
        if let Form::Hl7(before) = &self.form
            && before.text() == message.text()
        {
            return Ok(self.clone());
        }
        if message.is_hprim() {
            return self.with_hprim(message);
        }
        let charset = self.charset_of(&message);
        let content = charset.encode(message.text()).map_err(|lacks| lacks.to_string())?;
        Ok(Self { form: Form::Hl7(message), charset, content: content.into() })
    }

    /// HPRIM Santé: segments that were not changed go on in the lines in which they came.
    fn with_hprim(&self, message: hl7::Message) -> Result<Self, String> {
        let came = self.content.whole().map_err(|not_whole| not_whole.to_string())?;
        let came = self.charset.decode(&came).unwrap_or_default();
        let written = hprim::written(message.text(), &came);
        let content = self.charset.encode(&written).map_err(|lacks| lacks.to_string())?;
        Ok(Self { form: Form::Hl7(message), charset: self.charset, content: content.into() })
    }

    /// The same rows, changed, or others.
    pub(crate) fn with_rows(&self, sheet: Sheet) -> Result<Self, String> {
        if let Form::Rows(before) = &self.form
            && before.text() == sheet.text()
        {
            return Ok(self.clone());
        }
        let content = self.charset.encode(sheet.text()).map_err(|lacks| lacks.to_string())?;
        Ok(Self { form: Form::Rows(sheet), charset: self.charset, content: content.into() })
    }

    /// The same instance, changed, or another one.
    pub(crate) fn with_dicom(&self, instance: &Instance) -> Result<Self, String> {
        if let Form::Dicom(before) = &self.form
            && before.has_same_source(instance)
            && !instance.is_changed()
        {
            return Ok(self.clone());
        }
        let content = match instance.source().as_any().downcast_ref::<Lying>() {
            Some(lying) => lying.with(instance).map_err(|error| error.to_string())?,
            None => instance.written().map_err(|error| error.to_string())?.into(),
        };
        Self::dicom(&content).map_err(|error| error.to_string())
    }

    /// The same document, changed, or another one.
    pub(crate) fn with_xml(&self, document: &xml::Document) -> Result<Self, String> {
        let text = document.text();
        if let Form::Xml(before) = &self.form
            && before.text() == text
        {
            return Ok(self.clone());
        }
        let named = xml::declared_charset(text.as_bytes()).and_then(|name| Charset::named(&name));
        let charset = match (&self.form, named) {
            (Form::Xml(_), _) => self.charset,
            (_, named) => named.unwrap_or(Charset::UTF_8),
        };
        let content = charset.encode(&text).map_err(|lacks| lacks.to_string())?;
        Ok(Self { form: Form::Xml(Arc::new(document.clone())), charset, content: content.into() })
    }

    /// The charset that a changed message leaves in: its own MSH-18 where a step wrote another one.
    fn charset_of(&self, message: &hl7::Message) -> Charset {
        let declared = message.get(&paths::CHARSET);
        let before = match &self.form {
            Form::Hl7(before) => before.get(&paths::CHARSET),
            _ => "".into(),
        };
        if declared == before {
            return self.charset;
        }
        Charset::named(&declared).unwrap_or(self.charset)
    }

    /// What a script made: a JSON message that it changed, or one that is new.
    fn with_document(&self, value: Dynamic) -> Result<Self, String> {
        if let Form::Json(before) = &self.form {
            return self.with_json(before, json::from_dynamic(&value)?);
        }
        let text = Bytes::from(json::written(&value)?);
        let form = Form::Json(Arc::new(Document::written(text.clone(), value)));
        Ok(Self { form, charset: Charset::UTF_8, content: text.into() })
    }

    /// The same JSON message, changed.
    pub(crate) fn with_json(&self, before: &Document, value: Value) -> Result<Self, String> {
        if *before.tree() == value {
            return Ok(self.clone());
        }
        let value = json::ordered_like(before.tree(), value);
        let content = self.charset.encode(&value.to_string()).map_err(|lacks| lacks.to_string())?;
        let form = Form::Json(Arc::new(Document::read(value)));
        Ok(Self { form, charset: self.charset, content: content.into() })
    }

    fn with_bytes(&self, bytes: Blob) -> Self {
        if matches!(self.form, Form::Binary) && self.content.bytes().is_some_and(|before| *before == bytes) {
            return self.clone();
        }
        Self::binary(bytes.into())
    }

    fn with_text(&self, text: &str, may: TextMay) -> Result<Self, String> {
        if may == TextMay::BeHl7
            && !matches!(self.form, Form::Text(_))
            && let Ok(message) = hl7::Message::parse(text)
        {
            return self.with_hl7(message.in_charset(self.charset));
        }
        if may == TextMay::BeHl7 && !matches!(self.form, Form::Text(_)) {
            return Err("its last value is text and not HL7: `as: text` lets it leave so".to_owned());
        }
        if let Form::Text(before) = &self.form
            && **before == *text
        {
            return Ok(self.clone());
        }
        let content = self.charset.encode(text).map_err(|lacks| lacks.to_string())?;
        Ok(Self { form: Form::Text(text.into()), charset: self.charset, content: content.into() })
    }
}

/// An instance where its body lies: its header is read from there, and its pixels stay there.
struct Lying(Content);

impl Source for Lying {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(at, into)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Lying {
    /// A changed instance: new bytes, and of this body what was not changed.
    fn with(&self, instance: &Instance) -> io::Result<Content> {
        let piece = |piece| match piece {
            Piece::Kept(range) => self.0.slice(range),
            Piece::Written(bytes) => bytes.into(),
        };
        Content::of(instance.pieces().into_iter().map(piece))
    }
}

/// What a script's text may be, where the message was not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextMay {
    /// HL7 again.
    BeHl7,
    /// Any text (`as: text`).
    BeText,
}

/// In the charset that the document names, else as any text.
fn decode_xml(bytes: &[u8], fallback: Option<&Charset>) -> Result<Result<Decoded, CharsetError>, Unreadable> {
    let Some(name) = xml::declared_charset(bytes) else { return Ok(charset::decode_text(bytes, fallback)) };
    let Some(declared) = Charset::named(&name) else {
        return Err(Unreadable { why: "line 1: the document names a charset that is not known".to_owned() });
    };
    Ok(charset::decode_text(bytes, Some(&declared)))
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unreadable(error: impl ToString) -> Unreadable {
    Unreadable { why: error.to_string() }
}

/// A value's kind, for a person.
pub(crate) fn named(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "i64" => "a number",
        "string" => "text",
        "bool" => "true or false",
        "()" => "nothing",
        "array" => "a list",
        "map" => "a map",
        "blob" => "bytes",
        "Fn" => "a function",
        name if name.ends_with("Decimal") || name == "decimal" => "a number",
        name if name.ends_with("Segment") => "a segment",
        name if name.ends_with("RowHandle") => "a row",
        name if name.ends_with("ItemHandle") => "an item",
        name if name.ends_with("Part") => "a part",
        name if name.ends_with("Time") => "a time",
        _ => "something else",
    }
}
