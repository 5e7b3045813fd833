//! A channel in a test: a project's folder, the steps of a channel, and messages to run through them.

// Each test file uses its own part of it; it is all test code.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use engine::{
    Content, Context, Facts, Halt, Hash, Inbound, Inputs, Leaving, Message, MessageId, Piece, Route, Script,
};
use jiff::tz::TimeZone;
use scripts::{
    At, Fault, Format, Library, Limits, OutletFile, Program, ProgramFile, SplitFile, StepFile, Whereabouts,
    compile,
};
use tempfile::TempDir;

/// The message of the reference's examples.
pub const ORU: &str = "MSH|^~\\&|LAB|HOP|REC|HOP|20260301080000||ORU^R01^ORU_R01|MSG001|P|2.5\r\
PID|1||12345678^^^HOP^PI~1850312075123^^^INS^INS||DUPONT^JEAN||19850312|M\r\
PV1|1|I|CAR^101^1||||||||||||||||V42\r\
ORC|RE|PL1|FI1\r\
OBR|1|PL1|FI1|K^Potassium^L\r\
OBX|1|NM|K^Potassium^L||6.1|mmol/L|||||P\r\
OBX|2|NM|NA^Sodium^L||4.20|mmol/L|||||P\r";

pub const JSON: &str = r#"{"resourceType":"Patient", "id":"p1","value":1.50,"big":12345678901234567890,"name":[{"family":"DUPONT"}]}"#;

pub struct Project {
    pub root: TempDir,
}

impl Project {
    pub fn new() -> Self {
        let project = Self { root: TempDir::new().unwrap() };
        project.file("tables/wards.csv", "code,name\nCAR,Cardiologie\nREA,Réanimation\n")
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn library(&self) -> Library {
        let (library, faults) = Library::load(self.root.path());
        assert_eq!(faults, []);
        library
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }
}

/// A channel of steps and destinations, as its file would have them.
pub struct Channel {
    pub file: ProgramFile,
    pub project: Project,
    pub limits: Limits,
}

impl Channel {
    pub fn new(format: Format) -> Self {
        let file = ProgramFile {
            format,
            charset: None,
            zone: TimeZone::get("Europe/Paris").unwrap(),
            steps: Vec::new(),
            outlets: Vec::new(),
            expect: None,
            group: None,
            reply: None,
            index: Vec::new(),
            whereabouts: Whereabouts::default(),
        };
        Self { file, project: Project::new(), limits: Limits::default() }
    }

    pub fn hl7() -> Self {
        Self::new(Format::Hl7)
    }

    pub fn json() -> Self {
        Self::new(Format::Json)
    }

    pub fn with_file(mut self, path: &str, text: &str) -> Self {
        self.project = self.project.file(path, text);
        self
    }

    pub fn charset(mut self, name: &str) -> Self {
        self.file.charset = Some(name.to_owned());
        self
    }

    pub fn step(mut self, step: StepFile) -> Self {
        let path = engine::Path::parse("steps").join(self.file.steps.len());
        self.file.steps.push(At::new(path, step));
        self
    }

    pub fn filter(self, code: &str) -> Self {
        self.step(StepFile::Filter(code.to_owned()))
    }

    pub fn require(self, paths: &[&str]) -> Self {
        self.step(StepFile::Require(paths.iter().map(|path| (*path).to_owned()).collect()))
    }

    pub fn set(self, path: &str, text: &str) -> Self {
        self.step(StepFile::Set(vec![(path.to_owned(), text.to_owned())]))
    }

    pub fn script(self, code: &str) -> Self {
        self.step(script(code))
    }

    pub fn split(self, code: &str) -> Self {
        self.step(StepFile::Split(SplitFile { code: code.to_owned(), each: false, keep_control_id: false }))
    }

    pub fn outlet(mut self, outlet: OutletFile) -> Self {
        self.file.outlets.push(outlet);
        self
    }

    pub fn compile(&self) -> Result<Program, Vec<Fault>> {
        compile(self.file.clone(), &self.project.library(), self.limits)
    }

    pub fn program(&self) -> Program {
        self.compile().unwrap_or_else(|faults| panic!("{faults:#?}"))
    }

    /// What the steps make of a message.
    pub fn run(&self, body: impl Into<Content>) -> Result<Vec<Piece>, Halt> {
        self.program().transform(&message(body), &context())
    }

    /// The text that one message leaves as.
    pub fn text(&self, body: &str) -> String {
        let pieces = self.run(body.to_owned()).unwrap();
        let [piece] = &*pieces else { panic!("{} pieces", pieces.len()) };
        assert_eq!(piece.halt, None);
        text(&piece.body)
    }

    /// Every fault, as its code, its place and its words.
    pub fn faults(&self) -> Vec<String> {
        let Err(faults) = self.compile() else { return Vec::new() };
        faults.iter().map(told).collect()
    }

    /// What a destination gets of a message.
    pub fn route(&self, body: &str, outlet: usize) -> Result<Route, Halt> {
        let program = self.program();
        let context = context();
        let pieces = program.transform(&message(body.to_owned()), &context)?;
        program.route(&pieces[0], outlet, &context)
    }

    pub fn leaving(&self, body: &str) -> Leaving {
        match self.route(body, 0).unwrap() {
            Route::Goes(leaving) => leaving,
            other => panic!("{other:?}"),
        }
    }
}

pub fn script(code: &str) -> StepFile {
    StepFile::Script { code: code.to_owned(), as_text: false }
}

pub fn outlet(name: &str) -> OutletFile {
    OutletFile {
        name: name.to_owned(),
        path: engine::Path::parse("destinations.0"),
        when: None,
        steps: Vec::new(),
        texts: Vec::new(),
        key: Vec::new(),
        on_response: Vec::new(),
        after: None,
    }
}

pub fn at(path: &str, value: &str) -> At<String> {
    At::new(engine::Path::parse(path), value.to_owned())
}

pub fn told(fault: &Fault) -> String {
    match fault {
        Fault::Channel(one) => format!("{} {} {:?}: {}", one.code, one.at, one.place, one.message),
        Fault::File(one) => format!(
            "{} {}:{}:{}: {}",
            one.diagnostic.code,
            one.file.display(),
            one.line,
            one.column,
            one.diagnostic.message
        ),
    }
}

pub fn message(body: impl Into<Content>) -> Message {
    Message {
        id: MessageId(1),
        body: body.into(),
        facts: Arc::default(),
        control_id: Some("MSG001".to_owned()),
        identity: Hash::of(&[b"identity"]),
        received: SystemTime::UNIX_EPOCH,
    }
}

pub fn inbound(body: impl Into<Content>) -> Inbound {
    Inbound::new(body)
}

/// 2026-03-01 08:00 in Paris.
pub fn context() -> Context {
    let facts: Facts = serde_json::from_str(r#"{"name": "a.hl7", "size": 12}"#).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_hours(492_319);
    Context::new(Arc::from("lab-results"), MessageId(1), Arc::new(facts), Inputs::Pinned { at, seed: 7 })
}

pub fn text(content: &Content) -> String {
    String::from_utf8(content.bytes().unwrap().to_vec()).unwrap()
}

pub fn failed(halt: Halt) -> (String, String, Option<String>) {
    match halt {
        Halt::Failed { step, why, place } => (step, why, place),
        other => panic!("{other:?}"),
    }
}
