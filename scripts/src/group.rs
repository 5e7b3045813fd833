//! `group:`, compiled: which group a message belongs to, and what it brings there.

use engine::{Content, Context, Halt, Joins};
use rhai::Dynamic;
use serde_json::{Map, Value};

use crate::{
    At, Format, GroupFile,
    code::Code,
    compile::{Compiler, Kind},
    ending::Stopped,
    form::{Body, Form},
    given::Given,
    json,
    keys::Key,
    lint::Names,
    paths::AnyPath,
    shape::Shape,
    step,
};

/// What one member may bring.
const MOST: usize = 1 << 20;

/// What is brought of a DICOM instance, unless the channel says otherwise: what tells its patient, study, series and itself.
/// Never the pixels.
const HEADER: &[&str] = &[
    "SpecificCharacterSet",
    "TransferSyntaxUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "TimezoneOffsetFromUTC",
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "InstitutionName",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDate",
    "SeriesTime",
    "SeriesDescription",
    "Modality",
    "BodyPartExamined",
    "Laterality",
    "Manufacturer",
    "ManufacturerModelName",
    "StationName",
    "OperatorsName",
    "InstanceNumber",
    "NumberOfFrames",
    "RequestAttributesSequence[1].AccessionNumber",
    "RequestAttributesSequence[1].RequestedProcedureID",
    "RequestAttributesSequence[1].ScheduledProcedureStepID",
];

pub(crate) struct Group {
    by: Key,
    member: Brings,
    count: Option<Count>,
}

/// What a member brings.
enum Brings {
    /// Itself; of DICOM, what stands at these paths.
    Itself(Vec<(String, AnyPath)>),
    /// What stands at these paths, where something does.
    Paths(Vec<(String, AnyPath)>),
    Code(Code),
}

enum Count {
    Fixed(u64),
    Read(Key),
}

impl Compiler<'_> {
    pub(crate) fn group(&mut self, file: &GroupFile, format: &Format) -> Option<Group> {
        let shape = Shape::of(format);
        let kind = Kind { names: Names::STEP, shape, judges: false };
        let by = self.key(&file.by, kind);
        let member = self.brings(&file.member, kind);
        let count = match file.count.as_slice() {
            [] => Some(None),
            [one] if one.value.trim().parse::<u64>().is_ok() => {
                Some(one.value.trim().parse().ok().map(Count::Fixed))
            }
            written => self.key(written, kind).map(|key| Some(Count::Read(key))),
        };
        Some(Group { by: by?, member: member?, count: count? })
    }

    fn brings(&mut self, written: &[At<String>], kind: Kind) -> Option<Brings> {
        if let [one] = written
            && crate::assemble::is_expression(&one.value, kind.shape)
        {
            return self.code(&one.path, &one.value, kind).map(Brings::Code);
        }
        if !written.is_empty() {
            let path =
                |at: &At<String>| Some((at.value.clone(), self.path(&at.path, &at.value, kind.shape)?));
            return written.iter().map(path).collect::<Option<_>>().map(Brings::Paths);
        }
        let usual = if kind.shape == Shape::Dicom { HEADER } else { &[] };
        let at = engine::Path::parse("group.member");
        let path = |name: &&str| Some(((*name).to_owned(), self.path(&at, name, Shape::Dicom)?));
        usual.iter().map(path).collect::<Option<_>>().map(Brings::Itself)
    }
}

impl Group {
    pub(crate) fn joins(&self, given: &Given<'_>) -> Result<Joins, Halt> {
        let key = self.key(given)?;
        let brings = self.member.of(given).map_err(|stopped| step::halt("group.member", stopped))?;
        if brings.len() > MOST {
            let why = "it brings more than 1 MB into its group: take less of it".to_owned();
            return Err(Halt::Failed { step: "group.member".to_owned(), why, place: None });
        }
        let expected = match &self.count {
            None => None,
            Some(Count::Fixed(count)) => Some(*count),
            Some(Count::Read(key)) => {
                let read = key.keys(given).map_err(|stopped| step::halt("group.count", stopped))?;
                read.first().and_then(|count| count.trim().parse().ok()).filter(|count| *count > 0)
            }
        };
        Ok(Joins { key, brings, expected })
    }

    fn key(&self, given: &Given<'_>) -> Result<String, Halt> {
        let keys = self.by.keys(given).map_err(|stopped| step::halt("group.by", stopped))?;
        // A second patient's is no group of its own.
        let key = keys.into_iter().next().unwrap_or_default().replace('\u{1f}', " / ");
        if key.is_empty() {
            let why = "nothing stands where its group is read from (`group.by`)".to_owned();
            return Err(Halt::Refused { why, at: None });
        }
        Ok(key)
    }
}

impl Brings {
    fn of(&self, given: &Given<'_>) -> Result<String, Stopped> {
        let written = |value: &Dynamic| -> Result<String, String> {
            let bytes = json::written(value)?;
            String::from_utf8(bytes).map_err(|error| error.to_string())
        };
        match self {
            Self::Code(code) => {
                let value = code.run(given.engine, &mut given.scope(code.reads)?)?;
                written(&value).map_err(|why| code.misfit(why))
            }
            Self::Paths(paths) => at_paths(paths, given.msg),
            Self::Itself(paths) => match &given.msg.form {
                Form::Dicom(_) => at_paths(paths, given.msg),
                Form::Json(value) => Ok(value.tree().to_string()),
                Form::Binary => Ok("null".to_owned()),
                Form::Hl7(message) => Ok(Value::from(message.text()).to_string()),
                Form::Rows(sheet) => Ok(Value::from(sheet.text()).to_string()),
                Form::Xml(document) => Ok(Value::from(document.text()).to_string()),
                Form::Text(text) => Ok(Value::from(&**text).to_string()),
            },
        }
    }
}

/// A map of what stands there; what is empty is left out.
fn at_paths(paths: &[(String, AnyPath)], body: &Body) -> Result<String, Stopped> {
    let mut map = Map::new();
    for (name, path) in paths {
        let value = path.read(&body.form).ok_or_else(|| Stopped::broke(path.misfit(&body.form)))?;
        if !value.is_empty() {
            map.insert(name.clone(), value.into());
        }
    }
    Ok(Value::Object(map).to_string())
}

/// As what a message is read: a run of a group is JSON, whatever its members are.
pub(crate) fn format_of(own: &Format, is_run: bool) -> &Format {
    if is_run { &Format::Json } else { own }
}

impl crate::Program {
    /// Whether it is a run of a group, and not a member.
    pub(crate) fn is_run(&self, facts: &engine::Facts) -> bool {
        self.group.is_some() && engine::is_run(facts)
    }

    pub(crate) fn joining(&self, body: &Content, context: &Context) -> Result<Joins, Halt> {
        let unreadable =
            |why| Halt::Failed { step: "the reading of the message".to_owned(), why, place: None };
        let Some(group) = &self.group else { return Err(unreadable("the channel has no groups".to_owned())) };
        let (body, _) =
            Body::read(body, &self.format, self.charset.as_ref()).map_err(|unread| unreadable(unread.why))?;
        group.joins(&Given::new(self.engine(), &body, context))
    }
}
