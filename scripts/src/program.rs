//! A channel's code, compiled and ready to run on messages.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use engine::{
    Bond, CameBack, Content, Context, Cut, Ended, Halt, Held, Inbound, Joins, Judged, Leaving, Message,
    Piece, Reading, Route, Script, Texts, Unreadable,
};
use formats::charset::Charset;
use jiff::tz::TimeZone;

use crate::{
    Format, Library, Limits, Uses, answers,
    code::Code,
    cut,
    form::Body,
    given::Given,
    group::{Group, format_of},
    keys::Key,
    paths::AnyPath,
    read,
    run::{Holds, Run},
    shape::Shape,
    step::{self, Action, Step},
    table::OnMissing,
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
    pub(crate) expect: Option<Expect>,
    pub(crate) group: Option<Group>,
    pub(crate) index: Vec<(String, AnyPath)>,
    pub(crate) uses: Uses,
    /// Whether a table that it uses may hold a message.
    pub(crate) holds: bool,
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

/// `expect:`, compiled.
pub(crate) struct Expect {
    pub(crate) asks: Known,
    pub(crate) answers: Vec<Known>,
}

/// By what a question or an answer is known.
pub(crate) struct Known {
    pub(crate) when: Option<Code>,
    pub(crate) key: Key,
}

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

    /// The tables that may hold a message.
    pub fn holding_tables(&self) -> Vec<&str> {
        let tables = &self.library.0.tables;
        let holds = |name: &&String| tables.on_missing(name) == OnMissing::Hold;
        self.uses.strict_tables.iter().filter(holds).map(String::as_str).collect()
    }

    pub(crate) fn engine(&self) -> &rhai::Engine {
        &self.library.0.engine
    }

    /// Does work whose code asks `context`, within the limits of one run.
    fn within<T>(&self, context: &Context, holds: Holds, work: impl FnOnce() -> T) -> T {
        let run = Run {
            zone: self.zone.clone(),
            tables: Arc::clone(&self.library.0.tables),
            limits: self.limits,
            started: Instant::now(),
            written: Cell::default(),
            holds,
            missing: RefCell::default(),
            waited: Cell::default(),
        };
        run.with(context, work)
    }

    fn walk(&self, message: &Message, context: &Context) -> Result<Vec<Moving>, Halt> {
        let body = self.body(message)?;
        let control_id = message.control_id.clone();
        let whole = Moving { body, control_id, is_part: false, bond: Bond::Together, halt: None };
        let mut moving = vec![whole];
        for step in &self.steps {
            let standing = self.standing(&moving);
            let mut behind = Vec::with_capacity(moving.len());
            let stopwatch = context.stopwatch();
            let mut pieces = moving.into_iter();
            let advanced = pieces.try_for_each(|piece| self.advance(step, piece, context, &mut behind));
            if let Some(stopwatch) = stopwatch {
                let contents: Vec<_> = behind.iter().map(|piece| piece.body.content.clone()).collect();
                stopwatch.step((&step.name, None), advanced.as_ref().err(), &contents);
            }
            advanced.map_err(|halt| self.holding_back(halt, &standing, context))?;
            moving = behind;
        }
        Ok(moving)
    }

    /// What the message is before a step, where it may have to be said what it holds back.
    fn standing(&self, moving: &[Moving]) -> Vec<Body> {
        if !self.holds || self.outlets.iter().all(|outlet| outlet.key.is_none()) {
            return Vec::new();
        }
        moving.iter().filter(|piece| piece.halt.is_none()).map(|piece| piece.body.clone()).collect()
    }

    /// Adds to a message that is held the keys of the deliveries that must not overtake it.
    fn holding_back(&self, halt: Halt, standing: &[Body], context: &Context) -> Halt {
        let Halt::Held(held) = halt else { return halt };
        let keys_of = |outlet: &Outlet| {
            let of_body = |body: &Body| self.order_keys(outlet, body, body, context).ok();
            let each: Option<Vec<_>> = standing.iter().map(of_body).collect();
            each.map(|keys| keys.into_iter().flatten().collect())
        };
        let by_key = self.outlets.iter().filter(|outlet| outlet.key.is_some());
        let keys: BTreeMap<_, _> = by_key.map(|outlet| (outlet.name.clone(), keys_of(outlet))).collect();
        Halt::Held(Held { keys, ..held })
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
            // A part that is held, or waits for a server, keeps the whole: it is run again whole.
            (Err(halt @ (Halt::Held(_) | Halt::Unavailable { .. })), _) => Err(halt),
            (Err(halt), Some(body)) if bond == Bond::Apart || matches!(halt, Halt::Filtered { .. }) => {
                behind.push(Moving { body, control_id, is_part, bond, halt: Some(halt) });
                Ok(())
            }
            (moved, _) => moved,
        }
    }

    /// Reads a message as it came. It was read before, so what fails here is ours.
    fn body(&self, message: &Message) -> Result<Body, Halt> {
        let format = format_of(&self.format, self.is_run(&message.facts));
        Body::read(&message.body, format, self.charset.as_ref()).map(|(body, _)| body).map_err(|unreadable| {
            Halt::Failed { step: "the reading of the message".to_owned(), why: unreadable.why, place: None }
        })
    }

    /// A piece as the channel's steps left it: still parsed, or read from its bytes again.
    fn body_of(&self, piece: &Piece) -> Arc<Body> {
        let parsed = piece.view.clone().and_then(|view| view.downcast::<Body>().ok());
        parsed.filter(|body| body.content == piece.body).unwrap_or_else(|| {
            // What it is behind the steps is what it was before them, or not known.
            let start = format_of(&self.format, self.group.is_some());
            let known = Some(start).filter(|format| Shape::of(format) == self.shape);
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
            return Ok(Route::Later(self.order_keys(outlet, &body, &body, context)?));
        }
        self.leave(outlet, &body, context)
    }

    /// Runs an outlet's own steps and works out what leaves.
    fn leave(&self, outlet: &Outlet, body: &Body, context: &Context) -> Result<Route, Halt> {
        let mut out = body.clone();
        for step in &outlet.steps {
            let stopwatch = context.stopwatch();
            let changed = step.change(self.engine(), out, context);
            if let Some(stopwatch) = stopwatch {
                let contents: Vec<_> = changed.iter().map(|body| body.content.clone()).collect();
                stopwatch.step((&step.name, Some(&outlet.name)), changed.as_ref().err(), &contents);
            }
            match changed {
                Ok(changed) => out = changed,
                Err(Halt::Filtered { .. }) => return Ok(Route::Filtered),
                Err(halt) => return Err(halt),
            }
        }
        let texts = self.texts(outlet, body, &out, context)?;
        let keys = if outlet.waits { Vec::new() } else { self.order_keys(outlet, body, &out, context)? };
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

    fn order_keys(
        &self,
        outlet: &Outlet,
        body: &Body,
        out: &Body,
        context: &Context,
    ) -> Result<Vec<String>, Halt> {
        let Some(key) = &outlet.key else { return Ok(Vec::new()) };
        let given = Given { out: Some(out), ..Given::new(self.engine(), body, context) };
        key.keys(&given).map_err(|stopped| step::halt(&format!("{}: order.key", outlet.name), stopped))
    }
}

impl Program {
    /// The keys of a question or an answer; none where the message is no such thing.
    fn known(&self, by: &Known, piece: &Piece, context: &Context) -> Result<Vec<String>, Halt> {
        let body = self.body_of(piece);
        let work = || {
            let given = Given::new(self.engine(), &body, context);
            if let Some(when) = &by.when
                && !step::decide(when, &given)?
            {
                return Ok(Vec::new());
            }
            by.key.keys(&given)
        };
        self.within(context, Holds::No, work).map_err(|stopped| step::halt("expect", stopped))
    }
}

impl Script for Program {
    fn read(&self, inbound: &Inbound) -> Result<Reading, Unreadable> {
        if self.is_run(&inbound.facts) {
            return read::read(&inbound.body, &Format::Json, None, &[]);
        }
        read::read(&inbound.body, &self.format, self.charset.as_ref(), &self.index)
    }

    fn cut(&self, whole: &Content, by: &Cut) -> Result<Vec<Content>, String> {
        cut::cut(whole, (&self.format, self.charset.as_ref()), by)
    }

    fn transform(&self, message: &Message, context: &Context) -> Result<Vec<Piece>, Halt> {
        let moved = self.within(context, Holds::Yes, || self.walk(message, context))?;
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
        self.within(context, Holds::Yes, || self.choose(piece, outlet, context))
    }

    fn keys(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Vec<String>, Halt> {
        let (body, outlet) = (self.body_of(piece), &self.outlets[outlet]);
        self.within(context, Holds::Yes, || self.order_keys(outlet, &body, &body, context))
    }

    fn complete(&self, piece: &Piece, outlet: usize, context: &Context) -> Result<Route, Halt> {
        self.within(context, Holds::Yes, || self.leave(&self.outlets[outlet], &self.body_of(piece), context))
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
        self.within(context, Holds::No, || answers::judge(&self.outlets[outlet].on_response, &given))
    }

    fn asks(&self, piece: &Piece, context: &Context) -> Result<Vec<String>, Halt> {
        self.expect.as_ref().map_or_else(|| Ok(Vec::new()), |expect| self.known(&expect.asks, piece, context))
    }

    fn answers(&self, piece: &Piece, place: usize, context: &Context) -> Result<Vec<String>, Halt> {
        let answers = self.expect.as_ref().and_then(|expect| expect.answers.get(place));
        answers.map_or_else(|| Ok(Vec::new()), |answers| self.known(answers, piece, context))
    }

    fn joins(&self, message: &Message, context: &Context) -> Result<Joins, Halt> {
        self.within(context, Holds::No, || self.joining(&message.body, context))
    }

    fn reply(&self, message: &Message, ended: &[Ended], context: &Context) -> Result<Bytes, Halt> {
        let Some(Reply(code)) = &self.reply else { return Ok(Bytes::new()) };
        let body = self.body(message)?;
        let given = Given { came_back: answers::ended(ended), ..Given::new(self.engine(), &body, context) };
        self.within(context, Holds::No, || answers::reply(code, &given))
    }
}
