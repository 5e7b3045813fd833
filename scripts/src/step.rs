//! One step of a channel, compiled.

use std::sync::Arc;

use engine::{Context, Halt, Held};
use formats::{dicom::Deidentification, hl7};
use rhai::{Array, Dynamic, Engine};

use crate::{
    SplitFile,
    code::Code,
    ending::Stopped,
    form::{Body, Form, TextMay},
    given::Given,
    paths::{self, AnyPath},
    template::Template,
};

/// A step and what the sender hears of it when it fails.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) action: Action,
}

pub(crate) enum Action {
    Filter {
        code: Code,
        /// The code as it is written, to say which filter it was.
        text: String,
    },
    Require(Vec<AnyPath>),
    Set(Vec<(AnyPath, Template)>),
    Script {
        code: Code,
        text: TextMay,
    },
    Deidentify(Box<Deidentification>),
    Split(Split),
}

pub(crate) struct Split {
    pub(crate) code: Code,
    pub(crate) file: SplitFile,
}

/// A part of a split, and what it is called.
pub(crate) struct SplitPart {
    pub(crate) body: Body,
    pub(crate) control_id: Option<String>,
}

impl Step {
    /// What one message is after this step, which does not split it.
    pub(crate) fn change(&self, engine: &Engine, body: Body, context: &Context) -> Result<Body, Halt> {
        let given = Given::new(engine, &body, context);
        let changed = match &self.action {
            Action::Filter { code, text } => filter(code, text, &given).map(|()| None),
            Action::Require(paths) => require(paths, &body.form).map(|()| None),
            Action::Set(places) => set(places, &given).map(Some),
            Action::Script { code, text } => run_script(code, *text, &given).map(Some),
            Action::Deidentify(how) => deidentify(how, given.msg).map(Some),
            Action::Split(_) => Ok(None),
        };
        match changed {
            Ok(changed) => Ok(changed.unwrap_or(body)),
            Err(stopped) => Err(self.halt(stopped)),
        }
    }

    /// Says what it means for the message that its code stopped.
    pub(crate) fn halt(&self, stopped: Stopped) -> Halt {
        halt(&self.name, stopped)
    }
}

/// As a step of this name would say it.
pub(crate) fn halt(name: &str, stopped: Stopped) -> Halt {
    match stopped {
        Stopped::Filter(why) => Halt::Filtered { why },
        Stopped::Refuse(why, at) => Halt::Refused { why, at },
        Stopped::Hold(missing) => Halt::Held(Held { missing, ..Held::default() }),
        Stopped::NotNow(why) => Halt::Unavailable { why },
        Stopped::Broke { why, place } => Halt::Failed { step: name.to_owned(), why, place },
        Stopped::Sent | Stopped::Retry(_) => Halt::Failed {
            step: name.to_owned(),
            why: "`sent` and `retry` are for `on_response` alone".to_owned(),
            place: None,
        },
    }
}

/// A yes or a no.
pub(crate) fn decide(code: &Code, given: &Given<'_>) -> Result<bool, Stopped> {
    let value = code.run(given.engine, &mut given.scope(code.reads)?)?;
    value
        .as_bool()
        .map_err(|_| code.misfit(format!("it is {}, and not true or false", crate::form::named(&value))))
}

fn filter(code: &Code, text: &str, given: &Given<'_>) -> Result<(), Stopped> {
    if decide(code, given)? {
        return Ok(());
    }
    Err(Stopped::Filter(format!("`{}` is false", first_line(text))))
}

fn first_line(code: &str) -> String {
    let line = code.trim().lines().next().unwrap_or_default();
    if line.chars().count() <= 80 && line.len() == code.trim().len() {
        return line.to_owned();
    }
    line.chars().take(79).chain(['…']).collect()
}

fn require(paths: &[AnyPath], form: &Form) -> Result<(), Stopped> {
    for path in paths {
        match path.is_there(form) {
            Some(true) => {}
            Some(false) => {
                let why = format!("{} is missing", path.text());
                return Err(Stopped::Refuse(why, Some(path.text().to_owned())));
            }
            None => return Err(Stopped::broke(path.misfit(form))),
        }
    }
    Ok(())
}

/// Writes one place after the other: a later template sees what an earlier one wrote.
fn set(places: &[(AnyPath, Template)], given: &Given<'_>) -> Result<Body, Stopped> {
    let mut now = given.msg.clone();
    for (path, template) in places {
        let mut form = now.form.clone();
        template.write(path, &Given::new(given.engine, &now, given.context), &mut form)?;
        now.form = form;
    }
    match (now.form, &given.msg.form) {
        (Form::Hl7(message), _) => given.msg.with_hl7(message),
        (Form::Json(document), Form::Json(before)) => {
            given.msg.with_json(before, Arc::unwrap_or_clone(document).into_tree())
        }
        (Form::Rows(sheet), _) => given.msg.with_rows(sheet),
        (Form::Xml(document), _) => given.msg.with_xml(&document),
        (Form::Dicom(instance), _) => given.msg.with_dicom(&instance),
        (Form::Json(_) | Form::Text(_) | Form::Binary, _) => Ok(given.msg.clone()),
    }
    .map_err(Stopped::broke)
}

fn deidentify(how: &Deidentification, body: &Body) -> Result<Body, Stopped> {
    let Form::Dicom(instance) = &body.form else {
        return Err(Stopped::broke("the message is no DICOM instance"));
    };
    let mut instance = formats::dicom::Instance::clone(instance);
    how.apply(&mut instance).map_err(|error| Stopped::broke(error.to_string()))?;
    body.with_dicom(&instance).map_err(Stopped::broke)
}

fn run_script(code: &Code, text: TextMay, given: &Given<'_>) -> Result<Body, Stopped> {
    let mut scope = given.scope(code.reads)?;
    let value = code.run(given.engine, &mut scope)?;
    let left = match scope.get_value::<Dynamic>("msg") {
        Some(left) => left,
        None if value.is_unit() => return Ok(given.msg.clone()),
        None => Dynamic::UNIT,
    };
    given.msg.after(value, left, text).map_err(|why| code.misfit(why))
}

impl Split {
    /// Makes the parts, each with a control id of its own.
    pub(crate) fn parts(
        &self,
        engine: &Engine,
        body: &Body,
        control_id: Option<&str>,
        context: &Context,
    ) -> Result<Vec<SplitPart>, Stopped> {
        let given = Given::new(engine, body, context);
        let value = self.code.run(engine, &mut given.scope(self.code.reads)?)?;
        let list = self.list(value)?;
        let own = own_control_id(body).or_else(|| control_id.map(str::to_owned));
        list.into_iter()
            .zip(1_u32..)
            .map(|(part, n)| {
                let part = body.after(part, Dynamic::UNIT, TextMay::BeHl7);
                part.and_then(|part| self.name(part, own.as_deref(), n))
                    .map_err(|why| self.code.misfit(format!("part {n}: {why}")))
            })
            .collect()
    }

    fn list(&self, value: Dynamic) -> Result<Array, Stopped> {
        let value = match value.try_cast_result::<crate::tree::Tree>() {
            Ok(tree) => tree.with(Clone::clone),
            Err(value) => value,
        };
        value.try_cast_result::<Array>().map_err(|value| {
            self.code.misfit(format!("a split makes a list, and this is {}", crate::form::named(&value)))
        })
    }

    /// MSH-10 becomes `<MSH-10>.<n>`, the same whenever it is run again.
    fn name(&self, part: Body, whole: Option<&str>, n: u32) -> Result<SplitPart, String> {
        if self.file.keep_control_id {
            let control_id = own_control_id(&part).or_else(|| whole.map(str::to_owned));
            return Ok(SplitPart { body: part, control_id });
        }
        let Some(whole) = whole else { return Ok(SplitPart { body: part, control_id: None }) };
        let control_id = format!("{whole}.{n}");
        let body = match &part.form {
            Form::Hl7(message) if !message.is_hprim() => part.with_hl7(renamed(message, &control_id)?)?,
            _ => part,
        };
        Ok(SplitPart { body, control_id: Some(control_id) })
    }
}

fn renamed(message: &hl7::Message, control_id: &str) -> Result<hl7::Message, String> {
    let mut message = message.clone();
    let written = hl7::Part::of(control_id);
    message.set_part(&paths::CONTROL_ID, &written).map_err(|error| error.to_string())?;
    Ok(message)
}

/// MSH-10 as it stands, if there is one.
fn own_control_id(body: &Body) -> Option<String> {
    let Form::Hl7(message) = &body.form else { return None };
    message.raw(&paths::CONTROL_ID).filter(|id| !id.is_empty()).map(str::to_owned)
}
