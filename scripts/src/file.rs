//! A channel's steps as its file writes them: plain values, with the place of each for complaints.

use std::{fmt, sync::Arc, time::Duration};

use formats::{
    dicom::{Dates, Patient, Uids},
    rows::{Csv, Fixed},
};
use jiff::tz::TimeZone;

/// A value and where it stands in the channel's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// From the file's top: `steps.3`, `destinations.0.to.file.name`.
    pub path: engine::Path,
    /// What stands there.
    pub value: T,
}

impl<T> At<T> {
    /// Puts a value at its place.
    pub fn new(path: engine::Path, value: T) -> Self {
        Self { path, value }
    }
}

/// What a channel's messages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// HL7 version 2.
    Hl7,
    /// JSON, FHIR resources among it.
    Json,
    /// XML.
    Xml,
    /// CSV.
    Csv(Csv),
    /// Rows of fields at fixed places.
    Fixed(Fixed),
    /// HPRIM Santé or HPRIM Médecins.
    Hprim,
    /// DICOM: an instance as a file.
    Dicom,
    /// Text without a shape.
    Text,
    /// Bytes.
    Binary,
}

/// One step. Its place is the step's own (`steps.3`); the words `filter`, `set`… are added for complaints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepFile {
    /// `filter:` code that says whether the message goes on.
    Filter(String),
    /// `require:` paths that must be there.
    Require(Vec<String>),
    /// `set:` paths and templates, in the order of the file.
    Set(Vec<(String, String)>),
    /// `script:` `relais/NAME`, a path ending in `.rhai`, or code; `as: text` lets its text leave as text.
    Script {
        /// What stands there.
        code: String,
        /// `as: text`.
        as_text: bool,
    },
    /// `deidentify:` takes away whose DICOM instance it is.
    Deidentify(DeidentifyFile),
    /// `split:` code that makes a list of messages. Only among the channel's own steps.
    Split(SplitFile),
}

/// How a DICOM instance is de-identified.
#[derive(Clone, PartialEq, Eq)]
pub struct DeidentifyFile {
    /// What pseudonyms, new UIDs and the days of a shift are made with. Never shown.
    pub key: String,
    /// What becomes of dates.
    pub dates: Dates,
    /// What becomes of UIDs.
    pub uids: Uids,
    /// What stands where the patient's name and number stood.
    pub patient: Patient,
    /// Elements that are left as they are.
    pub keep: Vec<String>,
}

impl fmt::Debug for DeidentifyFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DeidentifyFile").field("keep", &self.keep).finish_non_exhaustive()
    }
}

/// How one message becomes several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitFile {
    /// Makes the list.
    pub code: String,
    /// A part that fails lets the others go.
    pub each: bool,
    /// `control_id: keep`: the parts keep the MSH-10 they have.
    pub keep_control_id: bool,
}

/// One destination, as far as code goes.
#[derive(Debug, Clone)]
pub struct OutletFile {
    /// Its name.
    pub name: String,
    /// Its place: `destinations.0`.
    pub path: engine::Path,
    /// `when:`, at its value.
    pub when: Option<At<String>>,
    /// Its own steps.
    pub steps: Vec<At<StepFile>>,
    /// The values of its `to:` that hold a template: the name under which the destination looks them up
    /// ([`engine::Outbound::text`]), and the template at its place.
    pub texts: Vec<(String, At<String>)>,
    /// `order: { key: … }`: paths, or one expression; empty without.
    pub key: Vec<At<String>>,
    /// `on_response:`. Only `script` steps.
    pub on_response: Vec<At<StepFile>>,
    /// The destination this one waits for.
    pub after: Option<String>,
}

/// `expect:`, as far as code goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectFile {
    /// What asks.
    pub asks: KnownBy,
    /// What answers, one for each channel that may.
    pub answers: Vec<KnownBy>,
}

/// By what a question or an answer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBy {
    /// `when:`, at its value: other messages are none.
    pub when: Option<At<String>>,
    /// `key:` paths, or one expression.
    pub key: Vec<At<String>>,
}

/// `group:`, as far as code goes. Each holds paths, or one expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupFile {
    /// `by:` which group a message belongs to.
    pub by: Vec<At<String>>,
    /// `member:` what the group knows of it; empty: what is usual for the format.
    pub member: Vec<At<String>>,
    /// `count:` how many members there are; or a number.
    pub count: Vec<At<String>>,
}

/// Everything of a channel's file that is code, or that code needs.
#[derive(Debug, Clone)]
pub struct ProgramFile {
    /// What its messages are.
    pub format: Format,
    /// The charset of messages that do not say.
    pub charset: Option<String>,
    /// The zone of times without an offset.
    pub zone: TimeZone,
    /// The channel's steps.
    pub steps: Vec<At<StepFile>>,
    /// Its destinations, in the order of the file.
    pub outlets: Vec<OutletFile>,
    /// `reply: { script: … }`, at its value.
    pub reply: Option<At<String>>,
    /// `expect:`, the answers that it waits for.
    pub expect: Option<ExpectFile>,
    /// `group:`, by which its messages are run together.
    pub group: Option<GroupFile>,
    /// `index:` more search keys: a name, and a path at its value.
    pub index: Vec<(String, At<String>)>,
    /// Names a place for people, when a step fails.
    pub whereabouts: Whereabouts,
}

/// What a script may use up; one at its bound fails the message and never stops the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps of the language, for each piece of code.
    pub operations: u64,
    /// Wall clock, for all the code that one message runs through at once.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operations: 5_000_000, time: Duration::from_secs(2) }
    }
}

/// Turns a path, and a line and column inside the text there, into `channels/lab.yaml:12:9`.
#[derive(Clone)]
pub struct Whereabouts(pub Arc<Name>);

type Name = dyn Fn(&engine::Path, usize, usize) -> String + Send + Sync;

/// Without a file: the path itself, with the line and column inside.
impl Default for Whereabouts {
    fn default() -> Self {
        Self(Arc::new(|path, line, column| format!("{path}:{line}:{column}")))
    }
}

impl fmt::Debug for Whereabouts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Whereabouts")
    }
}
