//! Makes a program of a channel's file: every step, every text and every key in the order of the file.

use formats::charset::Charset;

use crate::{
    At, ExpectFile, Fault, KnownBy, Library, Limits, OutletFile, Program, ProgramFile, StepFile,
    compile::{Compiler, Kind},
    form::TextMay,
    keys::Key,
    lint::Names,
    paths::AnyPath,
    program::{Expect, Known, Outlet, Reply},
    run,
    shape::Shape,
    step::{Action, Split, Step},
    table::OnMissing,
};

/// Compiles all the code of a channel, or says everything that is wrong with it.
pub fn compile(file: ProgramFile, library: &Library, limits: Limits) -> Result<Program, Vec<Fault>> {
    run::on_enough_stack(|| assemble(file, library, limits))
}

fn assemble(file: ProgramFile, library: &Library, limits: Limits) -> Result<Program, Vec<Fault>> {
    let mut compiler = Compiler {
        library: &library.0,
        destinations: file.outlets.iter().map(|outlet| outlet.name.clone()).collect(),
        whereabouts: file.whereabouts.clone(),
        faults: Vec::new(),
        uses: crate::Uses::default(),
        imported: std::collections::BTreeSet::new(),
    };
    let charset = read_charset(&mut compiler, file.charset.as_deref());
    let own = Shape::of(&file.format);
    let group = file.group.as_ref().map(|group| compiler.group(group, &file.format));
    // Steps see the run of a group, whatever its members are.
    let start = if group.is_some() { Shape::Json } else { own };
    let (steps, shape) = compiler.steps(&file.steps, Stage::channel(start));
    let outlets = file.outlets.iter().map(|outlet| compiler.outlet(outlet, shape)).collect();
    let reply = file.reply.as_ref().and_then(|at| compiler.reply(at, start));
    let expect = file.expect.as_ref().and_then(|expect| compiler.expect(expect, shape));
    let index = file
        .index
        .iter()
        .filter_map(|(name, at)| compiler.path(&at.path, &at.value, own).map(|path| (name.clone(), path)));
    let index = index.collect();
    if !compiler.faults.is_empty() {
        return Err(compiler.faults);
    }
    let uses = compiler.uses;
    let tables = &library.0.tables;
    let holds = uses.strict_tables.iter().any(|name| tables.on_missing(name) == OnMissing::Hold);
    Ok(Program {
        library: library.clone(),
        limits,
        format: file.format,
        charset,
        zone: file.zone,
        steps,
        shape,
        outlets,
        reply,
        expect,
        group: group.flatten(),
        index,
        uses,
        holds,
    })
}

fn read_charset(compiler: &mut Compiler<'_>, name: Option<&str>) -> Option<Charset> {
    let name = name?;
    let charset = Charset::named(name);
    if charset.is_none() {
        let at = engine::Path::parse("charset");
        compiler.complain("unknown-charset", &at, format!("there is no charset `{name}`"), None);
    }
    charset
}

/// Where a list of steps stands.
#[derive(Clone)]
struct Stage {
    /// Goes before a step's name: `record: `.
    of: String,
    kind: Kind,
    may_split: bool,
}

impl Stage {
    fn channel(shape: Shape) -> Self {
        let kind = Kind { names: Names::STEP, shape, judges: false };
        Self { of: String::new(), kind, may_split: true }
    }
}

impl Compiler<'_> {
    /// Compiles steps; tells what the message is behind them.
    fn steps(&mut self, steps: &[At<StepFile>], mut stage: Stage) -> (Vec<Step>, Shape) {
        let mut compiled = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let (word, action) = self.step(step, &mut stage);
            let name = format!("{}step {} ({word})", stage.of, index + 1);
            compiled.extend(action.map(|action| Step { name, action }));
        }
        (compiled, stage.kind.shape)
    }

    fn step(&mut self, step: &At<StepFile>, stage: &mut Stage) -> (String, Option<Action>) {
        let at = |word: &str| step.path.join(word);
        match &step.value {
            StepFile::Filter(code) => {
                let compiled = self.condition(&at("filter"), code, stage.kind);
                let text = code.clone();
                ("filter".to_owned(), compiled.map(|code| Action::Filter { code, text }))
            }
            StepFile::Require(paths) => ("require".to_owned(), self.require(&at("require"), paths, stage)),
            StepFile::Set(places) => ("set".to_owned(), self.set(&at("set"), places, stage)),
            StepFile::Script { code, as_text } => self.script_step(&at("script"), code, *as_text, stage),
            StepFile::Deidentify(file) => {
                let how = self.deidentification(&at("deidentify"), file, stage.kind.shape);
                ("deidentify".to_owned(), how.map(|how| Action::Deidentify(Box::new(how))))
            }
            StepFile::Split(file) if stage.may_split => {
                let compiled = self.code(&at("split"), &file.code, stage.kind);
                let file = file.clone();
                let keeps = ["msg.groups(", "msg.records(", "msg.messages("];
                if !keeps.iter().any(|call| file.code.trim().starts_with(call)) {
                    stage.kind.shape = Shape::Unknown;
                }
                ("split".to_owned(), compiled.map(|code| Action::Split(Split { code, file })))
            }
            StepFile::Split(_) => {
                let message = "a message is split by the channel's own steps".to_owned();
                self.complain("step-not-here", &at("split"), message, None);
                ("split".to_owned(), None)
            }
        }
    }

    fn require(&mut self, at: &engine::Path, paths: &[String], stage: &Stage) -> Option<Action> {
        let read: Vec<Option<AnyPath>> = paths
            .iter()
            .enumerate()
            .map(|(index, path)| self.path(&at.join(index), path, stage.kind.shape))
            .collect();
        read.into_iter().collect::<Option<_>>().map(Action::Require)
    }

    fn set(&mut self, at: &engine::Path, places: &[(String, String)], stage: &Stage) -> Option<Action> {
        let mut compiled = Vec::with_capacity(places.len());
        for (path, text) in places {
            let at = at.join(path);
            let place = self.path(&at, path, stage.kind.shape);
            let template = self.template(&at, text, stage.kind);
            compiled.push(place.zip(template));
        }
        compiled.into_iter().collect::<Option<_>>().map(Action::Set)
    }

    fn script_step(
        &mut self,
        at: &engine::Path,
        written: &str,
        as_text: bool,
        stage: &mut Stage,
    ) -> (String, Option<Action>) {
        let code = self.script(at, written, stage.kind);
        let word = match &code {
            Some(code) => code.name().to_owned(),
            None => "script".to_owned(),
        };
        stage.kind.shape = match &code {
            Some(code) if !as_text => stage.kind.shape.after(&code.ast),
            _ => Shape::Unknown,
        };
        let text = if as_text { TextMay::BeText } else { TextMay::BeHl7 };
        (word, code.map(|code| Action::Script { code, text }))
    }

    fn outlet(&mut self, file: &OutletFile, shape: Shape) -> Outlet {
        let waits = if file.after.is_some() { Names::RESPONSES } else { Names::default() };
        let kind = |names: Names| Kind { names, shape, judges: false };
        let before = kind(Names::STEP);
        let when = file.when.as_ref().map(|at| self.condition(&at.path, &at.value, before));
        let own =
            Stage { of: format!("{}: ", file.name), kind: kind(Names::STEP.and(waits)), may_split: false };
        let (steps, _) = self.steps(&file.steps, own);
        let leaving = kind(Names::STEP.and(Names::OUT).and(waits));
        let texts = file.texts.iter().filter_map(|(name, at)| {
            self.template(&at.path, &at.value, leaving).map(|text| (name.clone(), text))
        });
        let texts = texts.collect();
        let ordering = if file.after.is_some() { before } else { kind(Names::STEP.and(Names::OUT)) };
        Outlet {
            name: file.name.clone(),
            when: when.flatten(),
            steps,
            texts,
            key: self.key(&file.key, ordering),
            waits: file.after.is_some(),
            on_response: self.on_response(file),
        }
    }

    /// Messages of another channel may have any shape.
    fn expect(&mut self, file: &ExpectFile, shape: Shape) -> Option<Expect> {
        let asks = self.known_by(&file.asks, shape);
        let answers: Vec<Option<Known>> =
            file.answers.iter().map(|answer| self.known_by(answer, Shape::Unknown)).collect();
        Some(Expect { asks: asks?, answers: answers.into_iter().collect::<Option<_>>()? })
    }

    fn known_by(&mut self, file: &KnownBy, shape: Shape) -> Option<Known> {
        let kind = Kind { names: Names::STEP, shape, judges: false };
        let when = file.when.as_ref().map(|at| self.condition(&at.path, &at.value, kind));
        let key = self.key(&file.key, kind);
        if matches!(when, Some(None)) { None } else { Some(Known { when: when.flatten(), key: key? }) }
    }

    pub(crate) fn key(&mut self, written: &[At<String>], kind: Kind) -> Option<Key> {
        let [first, rest @ ..] = written else { return None };
        if rest.is_empty() && is_expression(&first.value, kind.shape) {
            return self.code(&first.path, &first.value, kind).map(Key::Code);
        }
        let paths: Vec<Option<AnyPath>> =
            written.iter().map(|at| self.path(&at.path, &at.value, kind.shape)).collect();
        paths.into_iter().collect::<Option<_>>().map(Key::Paths)
    }

    fn on_response(&mut self, file: &OutletFile) -> Vec<Step> {
        let kind = Kind { names: Names::STEP.and(Names::RESPONSE), shape: Shape::Unknown, judges: true };
        let stage = Stage { of: format!("{}: response ", file.name), kind, may_split: false };
        for step in &file.on_response {
            if !matches!(step.value, StepFile::Script { .. }) {
                let message = "what came back is looked at by `script` steps alone".to_owned();
                self.complain("step-not-here", &step.path, message, None);
            }
        }
        self.steps(&file.on_response, stage).0
    }

    fn reply(&mut self, at: &At<String>, shape: Shape) -> Option<Reply> {
        let kind = Kind { names: Names::STEP.and(Names::ENDED), shape, judges: false };
        self.script(&at.path, &at.value, kind).map(Reply)
    }
}

/// Whether an order key is code: what can be no path is.
pub(crate) fn is_expression(text: &str, shape: Shape) -> bool {
    let is_json_path = crate::paths::JsonPath::parse(text).is_ok()
        && !text.contains(['(', ' ', '+'])
        && !["msg.", "msg[", "out.", "out[", "source.", "ctx."].iter().any(|name| text.starts_with(name));
    let is_hl7_path = formats::hl7::Path::parse(text).is_ok();
    let looks_like_one =
        text.chars().all(|character| character.is_alphanumeric() || ".-[]".contains(character));
    match shape {
        Shape::Hl7 => !is_hl7_path && !looks_like_one,
        Shape::Json => !is_json_path,
        Shape::Dicom => formats::dicom::Path::parse(text).is_err() && text.contains(['(', ' ', '"']),
        Shape::Rows | Shape::Xml | Shape::Hprim => {
            text.contains('(')
                || ["msg.", "msg[", "out.", "out[", "source.", "ctx."]
                    .iter()
                    .any(|name| text.starts_with(name))
        }
        _ => !is_hl7_path && !is_json_path,
    }
}
