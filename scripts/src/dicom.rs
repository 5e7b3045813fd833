//! `msg` of a DICOM channel: a handle on one instance, and handles on the items of its sequences.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use engine::{Content, Reading, Study, Unreadable};
use formats::dicom::{self, Deidentification, Header, Instance, Path, PathError, Vr, tags};
use rhai::{Array, Blob, Dynamic, Engine, INT, ImmutableString, Map};

use crate::{
    DeidentifyFile,
    compile::Compiler,
    functions::{Outcome, broke},
    nearest::nearest,
    part,
    pieces::list_of,
    run,
    shape::Shape,
};

/// An instance that scripts read and change. Its copies are the same instance; `copy()` makes another.
#[derive(Clone)]
pub(crate) struct DicomHandle(Arc<Mutex<Instance>>);

/// One item of a sequence: what it holds is named from it on.
#[derive(Clone)]
pub(crate) struct ItemHandle {
    instance: DicomHandle,
    path: Path,
}

impl DicomHandle {
    pub(crate) fn new(instance: Instance) -> Self {
        Self(Arc::new(Mutex::new(instance)))
    }

    /// The instance as it now is.
    pub(crate) fn instance(&self) -> Instance {
        self.lock().clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Instance> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance as if it were an item that holds all.
    pub(crate) fn whole(&self) -> ItemHandle {
        ItemHandle { instance: self.clone(), path: Path::default() }
    }
}

impl ItemHandle {
    fn at(&self, path: &str) -> Outcome<Path> {
        Path::parse(path).map(|path| self.path.and(&path)).or_else(broke)
    }

    pub(crate) fn get(&self, path: &str) -> Outcome<ImmutableString> {
        let path = self.at(path)?;
        self.instance.lock().get(&path).map(Into::into).or_else(broke)
    }

    pub(crate) fn set(&self, path: &str, value: &Dynamic) -> Outcome<()> {
        let path = self.at(path)?;
        if let Some(bytes) = value.read_lock::<Blob>() {
            run::count_written(bytes.len())?;
            let bytes = Bytes::from(bytes.clone());
            return self.instance.lock().set_bytes(&path, bytes).or_else(broke);
        }
        let text = text_for(&path, value)?;
        self.instance.lock().set(&path, &text).or_else(broke)
    }

    pub(crate) fn set_as(&self, path: &str, kind: &str, value: &Dynamic) -> Outcome<()> {
        let path = self.at(path)?;
        let letters = kind.as_bytes().first_chunk::<2>().copied().filter(|_| kind.len() == 2);
        let Some(vr) = letters.and_then(Vr::known) else {
            return broke(format!("`{kind}` is not a value representation"));
        };
        let text = text_for(&path, value)?;
        self.instance.lock().set_as(&path, vr, &text).or_else(broke)
    }

    pub(crate) fn has(&self, path: &str) -> Outcome<bool> {
        let path = self.at(path)?;
        self.instance.lock().has(&path).or_else(broke)
    }

    pub(crate) fn bytes(&self, path: &str) -> Outcome<Blob> {
        let path = self.at(path)?;
        let bytes = self.instance.lock().bytes(&path).or_else(broke)?.unwrap_or_default();
        run::count_written(bytes.len())?;
        Ok(bytes.to_vec())
    }

    pub(crate) fn count(&self, path: &str) -> Outcome<INT> {
        let path = self.at(path)?;
        self.instance.lock().count(&path).map(|count| count as INT).or_else(broke)
    }

    pub(crate) fn items(&self, path: &str) -> Outcome<Array> {
        let path = self.at(path)?;
        let count = self.instance.lock().count(&path).or_else(broke)?;
        let item = |place| Self { instance: self.instance.clone(), path: path.item(place) };
        list_of((1..=count).map(|place| Dynamic::from(item(place))))
    }

    pub(crate) fn add(&self, path: &str) -> Outcome<Self> {
        let path = self.at(path)?;
        run::count_written(8)?;
        let place = self.instance.lock().add(&path).or_else(broke)?;
        Ok(Self { instance: self.instance.clone(), path: path.item(place) })
    }

    pub(crate) fn remove(&self, path: &str) -> Outcome<bool> {
        let path = self.at(path)?;
        self.instance.lock().remove(&path).or_else(broke)
    }

    pub(crate) fn elements(&self) -> Outcome<Array> {
        let item = Some(&self.path).filter(|path| **path != Path::default());
        let listed = self.instance.lock().list(item).or_else(broke)?;
        let element = |element: dicom::Listed| {
            let keyword = dicom::keyword_of(element.tag).unwrap_or_default();
            let mut map = Map::new();
            map.insert("tag".into(), element.tag.to_string().into());
            map.insert("keyword".into(), keyword.into());
            map.insert("vr".into(), element.vr.to_string().into());
            map.insert("is_sequence".into(), element.is_sequence.into());
            Dynamic::from_map(map)
        };
        list_of(listed.into_iter().map(element))
    }
}

pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<DicomHandle>("instance").register_type_with_name::<ItemHandle>("item");
}

fn text_for(path: &Path, value: &Dynamic) -> Outcome<String> {
    let text = match value.read_lock::<crate::time::Time>() {
        Some(time) => fitting_time(path, &time.hl7()),
        None => part::for_field(value)?.into_text(),
    };
    run::count_written(text.len())?;
    Ok(text)
}

/// A text as an element takes it: of a time, the part that the element's kind holds.
pub(crate) fn fitting(path: &Path, text: String) -> String {
    // What a template made of a time has its offset behind it; nothing else of these kinds is so long.
    let is_time =
        text.len() >= 19 && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    if is_time { fitting_time(path, &text) } else { text }
}

/// `20260301080000+0100` as a date, as a time, or as both.
fn fitting_time(path: &Path, time: &str) -> String {
    let kind = path.tag().map(dicom::vr_of);
    let part = match kind.map(|vr| vr.0) {
        Some([b'D', b'A']) => time.get(..8),
        Some([b'T', b'M']) => time.get(8..14),
        _ => Some(time),
    };
    part.unwrap_or(time).to_owned()
}

/// The keyword that was meant, perhaps.
pub(crate) fn nearest_keyword(error: &PathError) -> Option<String> {
    match error {
        PathError::Unknown(written) => nearest(written, dicom::keywords()),
        _ => None,
    }
}

/// Which instance this is, and that it is sound in its structure.
pub(crate) fn read_header(content: &Content) -> Result<Reading, Unreadable> {
    let header = Header::read(content.reader()).map_err(|error| Unreadable { why: error.to_string() })?;
    Ok(Reading {
        control_id: Some(header.sop_instance),
        kind: Some(header.modality).filter(|modality| !modality.is_empty()),
        study: study_of(header.study, header.patient_id),
        ..Reading::default()
    })
}

/// An instance that says no patient, as one of an emergency, is of no one's study.
fn study_of(uid: Option<String>, patient: String) -> Option<Study> {
    let uid = uid.filter(|uid| !uid.is_empty() && !patient.is_empty())?;
    Some(Study { uid, patient })
}

/// What people search an instance by.
pub(crate) fn usual_keys(instance: &Instance) -> Vec<(&'static str, String)> {
    let keys = [
        ("patient", tags::PATIENT_ID),
        ("accession", tags::ACCESSION),
        ("study", tags::STUDY),
        ("series", tags::SERIES),
        ("instance", tags::SOP_INSTANCE),
    ];
    keys.into_iter()
        .filter_map(|(name, tag)| Some((name, instance.get(&Path::to(tag)).ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// A shorter key can be guessed.
const SHORTEST_KEY: usize = 16;

impl Compiler<'_> {
    /// Reads how instances are de-identified.
    pub(crate) fn deidentification(
        &mut self,
        at: &engine::Path,
        file: &DeidentifyFile,
        shape: Shape,
    ) -> Option<Deidentification> {
        if !matches!(shape, Shape::Dicom | Shape::Unknown) {
            let message = "only a DICOM instance is de-identified so".to_owned();
            self.complain("step-not-here", at, message, Some("the channel's `format` is `dicom`".to_owned()));
            return None;
        }
        // A secret that the check takes as present stands as it is written.
        if file.key.len() < SHORTEST_KEY && !file.key.contains("${") {
            let message = format!("a key has {SHORTEST_KEY} characters at least");
            let help = Some("`openssl rand -hex 32` makes one".to_owned());
            self.complain("wrong-value", &at.join("key"), message, help);
        }
        let mut how = Deidentification::new(file.key.as_bytes());
        (how.dates, how.uids, how.patient) = (file.dates, file.uids, file.patient);
        for (place, written) in file.keep.iter().enumerate() {
            match Path::parse(written).map(|path| path.alone()) {
                Ok(Some(tag)) => {
                    how.keep.insert(tag);
                }
                Ok(None) => {
                    let message = format!("`{written}` is no single element");
                    self.complain("not-a-path", &at.join("keep").join(place), message, None);
                }
                Err(error) => {
                    let help = nearest_keyword(&error);
                    self.complain("not-a-path", &at.join("keep").join(place), error.to_string(), help);
                }
            }
        }
        Some(how)
    }
}
