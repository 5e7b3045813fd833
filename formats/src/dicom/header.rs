//! What an instance says of itself, read in one walk that leaves the pixels where they are.

use std::io::{Read, Seek};

use super::{
    element::Element,
    error::{DicomError, Why},
    inflate::Inflated,
    meta::{Meta, read_uid},
    syntax::TransferSyntax,
    tag::{Tag, tags},
    walk::{Step, Walker},
    window::Window,
};

/// No name or number that is read here is longer.
const LONGEST: u64 = 4096;

/// Which instance this is, and whose.
///
/// Reading one walks through the whole data set, so that what is read is sound in its structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub syntax: TransferSyntax,
    pub sop_class: String,
    pub sop_instance: String,
    pub study: Option<String>,
    pub series: Option<String>,
    pub patient_id: String,
    pub accession: String,
    pub modality: String,
    /// Where the data set begins: behind the file meta group.
    pub data_set: u64,
    /// Where the element with the pixels begins. Of a deflated one: in what is inflated.
    pub pixels: Option<u64>,
}

impl Header {
    /// Reads a DICOM file (part 10).
    pub fn read<R: Read + Seek>(reader: R) -> Result<Self, DicomError> {
        let mut window = Window::new(reader)?;
        let meta = Meta::read(&mut window)?;
        Self::behind(window, meta.ends, meta.syntax)
    }

    /// Reads a data set without the beginning of a file, as it comes over an association.
    pub fn read_data_set<R: Read + Seek>(reader: R, syntax: TransferSyntax) -> Result<Self, DicomError> {
        Self::behind(Window::new(reader)?, 0, syntax)
    }

    fn behind<R: Read + Seek>(
        mut window: Window<R>,
        starts: u64,
        syntax: TransferSyntax,
    ) -> Result<Self, DicomError> {
        let mut found = Found::default();
        if syntax.is_deflated() {
            let mut reader = window.into_reader();
            let ends = Inflated::measure(&mut reader, starts)?;
            let inflated =
                Inflated::new(&mut reader, starts).map_err(|error| DicomError::read(starts, error))?;
            window_walk(&mut Window::of_length(inflated, ends), starts, &syntax, &mut found)?;
        } else {
            window_walk(&mut window, starts, &syntax, &mut found)?;
        }
        found.header(syntax, starts)
    }
}

fn window_walk<R: Read + Seek>(
    window: &mut Window<R>,
    starts: u64,
    syntax: &TransferSyntax,
    found: &mut Found,
) -> Result<(), DicomError> {
    let ends = window.length();
    let mut walker = Walker::new(window, starts, ends, syntax.encoding());
    let mut depth = 0_usize;
    while let Some(step) = walker.next()? {
        match step {
            Step::Element(element) if depth == 0 => found.look(&element, &mut walker)?,
            Step::Item { .. } => depth += 1,
            Step::ItemEnd { .. } => depth -= 1,
            _ => {}
        }
    }
    Ok(())
}

const WANTED: [Tag; 7] = [
    tags::SOP_CLASS,
    tags::SOP_INSTANCE,
    tags::ACCESSION,
    tags::MODALITY,
    tags::PATIENT_ID,
    tags::STUDY,
    tags::SERIES,
];

#[derive(Default)]
struct Found {
    values: [Option<(Element, Vec<u8>)>; WANTED.len()],
    pixels: Option<u64>,
}

impl Found {
    fn look<R: Read + Seek>(
        &mut self,
        element: &Element,
        walker: &mut Walker<'_, R>,
    ) -> Result<(), DicomError> {
        if element.tag.is_pixels() {
            self.pixels.get_or_insert(element.at);
        }
        let Some(place) = WANTED.iter().position(|wanted| *wanted == element.tag) else { return Ok(()) };
        if self.values[place].is_some() {
            return Err(DicomError::new(element.at, element.tag, Why::Twice));
        }
        self.values[place] = Some((*element, walker.value(element, LONGEST)?));
        Ok(())
    }

    fn header(self, syntax: TransferSyntax, starts: u64) -> Result<Header, DicomError> {
        let [sop_class, sop_instance, accession, modality, patient_id, study, series] = self.values;
        let uid = |found: Option<(Element, Vec<u8>)>| {
            found.map_or(Ok(None), |(element, bytes)| read_uid(&bytes, &element))
        };
        let needed = |found: Option<(Element, Vec<u8>)>, tag| {
            let at = found.as_ref().map_or(starts, |(element, _)| element.at);
            uid(found)?.ok_or(DicomError::new(at, tag, Why::Missing))
        };
        Ok(Header {
            sop_class: needed(sop_class, tags::SOP_CLASS)?,
            sop_instance: needed(sop_instance, tags::SOP_INSTANCE)?,
            study: uid(study)?,
            series: uid(series)?,
            patient_id: trimmed(patient_id),
            accession: trimmed(accession),
            modality: trimmed(modality),
            syntax,
            data_set: starts,
            pixels: self.pixels,
        })
    }
}

/// A text without what fills it up. What is no UTF-8 has its bytes read one by one, so that two that differ stay two.
fn trimmed(found: Option<(Element, Vec<u8>)>) -> String {
    let bytes = found.map(|(_, bytes)| bytes).unwrap_or_default();
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().iter().map(|byte| char::from(*byte)).collect());
    text.trim_matches([' ', '\0']).to_owned()
}
