//! A channel's code, compiled and ready to run on messages.

use std::{cell::Cell, sync::Arc, time::Instant};

use bytes::Bytes;
use engine::{
    Bond, CameBack, Content, Context, Ended, Halt, Inbound, Judged, Leaving, Message, Piece, Reading, Route,
    Script, Texts, Unreadable,
};
use formats::charset::Charset;
use jiff::tz::TimeZone;

use crate::{
    Format, Library, Limits, Uses, answers,
    code::Code,
    form::Body,
    given::Given,
    keys::Key,
    paths::AnyPath,
    read,
    run::Run,
    shape::Shape,
    step::{self, Action, Step},
    template::Template,
};

/// A channel's steps. Runs on several messages at once.
pub struct Program {
    pub(crate) library: Library,
    pub(crate) limits: Limits,
    pub(crate) format: Format,
    pub(crate) charset: Option<Charset>,
    pub(crate) zone: TimeZone,
    pub(crate) steps: Vec<Step>,
    /// What a message is behind the channel's own steps.
    pub(crate) shape: Shape,
    pub(crate) outlets: Vec<Outlet>,
    pub(crate) reply: Option<Reply>,
    pub(crate) index: Vec<(String, AnyPath)>,
    pub(crate) uses: Uses,
}

/// One destination's code.
pub(crate) struct Outlet {
    pub(crate) name: String,
    pub(crate) when: Option<Code>,
    pub(crate) steps: Vec<Step>,
    pub(crate) texts: Vec<(String, Template)>,
    pub(crate) key: Option<Key>,
    /// It has an `after:`.
    pub(crate) waits: bool,
    pub(crate) on_response: Vec<Step>,
}

/// `reply: { script: … }`, compiled.
pub(crate) struct Reply(pub(crate) Code);

/// A piece between two steps.
struct Moving {
    body: Body,
    control_id: Option<String>,
    is_part: bool,
    bond: Bond,
    halt: Option<Halt>,
}

impl Program {
    /// The scripts and tables it uses, for the channel's version.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    pub(crate) fn engine(&self) -> &rhai::Engine {
        &self.library.0.engine
    }

    /// Does work whose code asks `context`, within the limits of one run.
    fn within<T>(&self, context: &Context, work: impl FnOnce() -> T) -> T {
        let run = Run {
            zone: self.zone.clone(),
            tables: Arc::clone(&self.library.0.tables),
            limits: self.limits,
            started: Instant::now(),
            written: Cell::default(),
        };
        run.with(context, work)
    }

    fn walk(&self, message: &Message, context: &Context) -> Result<Vec<Moving>, Halt> {
        let body = self.body(&message.body)?;
        let control_id = message.control_id.clone();
        let whole = Moving { body, control_id, is_part: false, bond: Bond::Together, halt: None };
        let mut moving = vec![whole];
        for step in &self.steps {
            let mut behind = Vec::with_capacity(moving.len());
            for piece in moving {
                self.advance(step, piece, context, &mut behind)?;
            }
            moving = behind;
        }
        Ok(moving)
    }

    /// Takes one piece through one step. Where a part alone leaves the way, it stays with its reason.
    fn advance(
        &self,
        step: &Step,
        piece: Moving,
        context: &Context,
        behind: &mut Vec<Moving>,
    ) -> Result<(), Halt> {
        if piece.halt.is_some() {
            behind.push(piece);
            return Ok(());
        }
        let Moving { body, control_id, is_part, bond, .. } = piece;
        let kept = is_part.then(|| body.clone());
        let moved = match &step.action {
            Action::Split(split) => {
                let parts = split.parts(self.engine(), &body, control_id.as_deref(), context);
                let bond = if split.file.each { Bond::Apart } else { bond };
                parts.map_err(|stopped| step.halt(stopped)).map(|parts| {
                    let part = |part: step::SplitPart| Moving {
                        body: part.body,
                        control_id: part.control_id,
                        is_part: true,
                        bond,
                        halt: None,
                    };
                    behind.extend(parts.into_iter().map(part));
                })
            }
            _ => step.change(self.engine(), body, context).map(|body| {
                behind.push(Moving { body, control_id: control_id.clone(), is_part, bond, halt: None });
            }),
        };
        match (moved, kept) {
            (Err(halt), Some(body)) if bond == Bond::Apart || matches!(halt, Halt::Filtered { .. }) => {
                behind.push(Moving { body, control_id, is_part, bond, halt: Some(halt) });
                Ok(())
            }
            (moved, _) => moved,
        }
    }

    /// Reads a message as it came. It was read before, so what fails here is ours.
    fn body(&self, content: &Content) -> Result<Body, Halt> {
        Body::read(content, &self.format, self.charset.as_ref()).map(|(body, _)| body).map_err(|unreadable| {
            Halt::Failed { step: "the reading of the message".to_owned(), why: unreadable.why, place: None }
        })
    }

    /// A piece as the channel's steps left it: still parsed, or read from its bytes again.
    fn body_of(&self, piece: &Piece) -> Arc<Body> {
        let parsed = piece.view.clone().and_then(|view| view.downcast::<Body>().ok());
        parsed.filter(|body| body.content == piece.body).unwrap_or_else(|| {
            // What it is behind the steps is what it was before them, or not known.
            let known = Some(&self.format).filter(|format| Shape::of(format) == self.shape);
            let read = known.and_then(|format| Body::read(&piece.body, format, self.charset.as_ref()).ok());
            let body = read.map(|(body, _)| body);
            Arc::new(body.unwrap_or_else(|| Body::guess(&piece.body, self.charset.as_ref())))
        })
    }

    fn choose(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Route, Halt> {
        let outlet = &self.outlets[outlet];
        let body = self.body_of(piece);
        if let Some(when) = &outlet.when {
            let wanted = step::decide(when, &Given::new(self.engine(), &body, context));
            if !wanted.map_err(|stopped| step::halt(&format!("{}: when", outlet.name), stopped))? {
                return Ok(Route::Left);
            }
        }
        if outlet.waits {
            return Ok(Route::Later(self.keys(outlet, &body, &body, context)?));
        }
        self.leave(outlet, &body, context)
    }

    /// Runs an outlet's own steps and works out what leaves.
    fn leave(&self, outlet: &Outlet, body: &Body, context: &Context) -> Result<Route, Halt> {
        let mut out = body.clone();
        for step in &outlet.steps {
            match step.change(self.engine(), out, context) {
                Ok(changed) => out = changed,
                Err(Halt::Filtered { .. }) => return Ok(Route::Filtered),
                Err(halt) => return Err(halt),
            }
        }
        let texts = self.texts(outlet, body, &out, context)?;
        let keys = if outlet.waits { Vec::new() } else { self.keys(outlet, body, &out, context)? };
        let is_changed = out.content != body.content;
        Ok(Route::Goes(Leaving { body: is_changed.then_some(out.content), texts, keys }))
    }

    fn texts(&self, outlet: &Outlet, body: &Body, out: &Body, context: &Context) -> Result<Texts, Halt> {
        let given = Given { out: Some(out), ..Given::new(self.engine(), body, context) };
        let text = |(name, template): &(String, Template)| match template.text(&given) {
            Ok(text) => Ok((name.clone(), text)),
            Err(stopped) => Err(step::halt(&format!("{}: {name}", outlet.name), stopped)),
        };
        outlet.texts.iter().map(text).collect()
    }

    fn keys(&self, outlet: &Outlet, body: &Body, out: &Body, context: &Context) -> Result<Vec<String>, Halt> {
        let Some(key) = &outlet.key else { return Ok(Vec::new()) };
        let given = Given { out: Some(out), ..Given::new(self.engine(), body, context) };
        key.keys(&given).map_err(|stopped| step::halt(&format!("{}: order.key", outlet.name), stopped))
    }
}

impl Script for Program {
    fn read(&self, inbound: &Inbound) -> Result<Reading, Unreadable> {
        read::read(&inbound.body, &self.format, self.charset.as_ref(), &self.index)
    }

    fn transform(&self, message: &Message, context: &Context) -> Result<Vec<Piece>, Halt> {
        let moved = self.within(context, || self.walk(message, context))?;
        let numbered = moved.into_iter().zip(1_u32..);
        let piece = |(moving, n): (Moving, u32)| Piece {
            body: moving.body.content.clone(),
            place: moving.is_part.then_some(n),
            control_id: moving.control_id,
            halt: moving.halt,
            bond: moving.bond,
            view: Some(Arc::new(moving.body)),
        };
        Ok(numbered.map(piece).collect())
    }

    fn route(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Route, Halt> {
        self.within(context, || self.choose(piece, outlet, context))
    }

    fn complete(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Route, Halt> {
        self.within(context, || self.leave(&self.outlets[outlet], &self.body_of(piece), context))
    }

    fn judge(
        &self,
        came_back: &CameBack<'_>,
        outlet: usize,
        context: &Context,
    ) -> Result<Option<Judged>, Halt> {
        let payload = Body::guess(came_back.payload, self.charset.as_ref());
        let given = Given {
            came_back: answers::response(came_back.result),
            ..Given::new(self.engine(), &payload, context)
        };
        self.within(context, || answers::judge(&self.outlets[outlet].on_response, &given))
    }

    fn reply(&self, message: &Message, ended: &[Ended], context: &Context) -> Result<Bytes, Halt> {
        let Some(Reply(code)) = &self.reply else { return Ok(Bytes::new()) };
        let body = self.body(&message.body)?;
        let given = Given { came_back: answers::ended(ended), ..Given::new(self.engine(), &body, context) };
        self.within(context, || answers::reply(code, &given))
    }
}
