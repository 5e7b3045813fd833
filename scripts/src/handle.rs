//! `msg` of an HL7 channel: a handle on one message, and handles on its segments.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use formats::hl7::{Message, Place};
use rhai::{Array, Dynamic, Engine, INT, ImmutableString};

use crate::{
    functions::{Outcome, broke},
    part::{self, ScriptPart},
    paths::Written,
    run,
};

/// A message that scripts read and change. Its copies are the same message; `copy()` makes another.
#[derive(Clone)]
pub(crate) struct Hl7(Arc<Mutex<Editing>>);

struct Editing {
    message: Message,
    /// What moved segments since the message was taken, so that handles on them find theirs again.
    shifts: Vec<Shift>,
}

#[derive(Clone, Copy)]
enum Shift {
    Inserted(usize),
    Removed(usize),
}

/// One segment of a message.
#[derive(Clone)]
pub(crate) struct Segment {
    message: Hl7,
    index: usize,
    /// How many shifts the index knows of.
    since: usize,
}

impl Hl7 {
    pub(crate) fn new(message: Message) -> Self {
        Self(Arc::new(Mutex::new(Editing { message, shifts: Vec::new() })))
    }

    /// The message as it now is.
    pub(crate) fn message(&self) -> Message {
        self.lock().message.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Editing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&mut self, path: &str) -> Outcome<ImmutableString> {
        let editing = self.lock();
        let path = editing.message.path(path).or_else(broke)?;
        Ok(editing.message.get(&path).as_ref().into())
    }

    pub(crate) fn set(&mut self, path: &str, value: &Dynamic) -> Outcome<()> {
        let written = part::for_field(value)?;
        run::count_written(written.len())?;
        let message = &mut self.lock().message;
        let path = message.path(path).or_else(broke)?;
        match written {
            Written::Part(part) => message.set_part(&path, &part),
            other => message.set(&path, &other.into_text()),
        }
        .or_else(broke)
    }

    pub(crate) fn has(&mut self, path: &str) -> Outcome<bool> {
        let editing = self.lock();
        let path = editing.message.path(path).or_else(broke)?;
        Ok(editing.message.has(&path))
    }

    pub(crate) fn part(&mut self, path: &str) -> Outcome<ScriptPart> {
        let editing = self.lock();
        let path = editing.message.path(path).or_else(broke)?;
        Ok(ScriptPart(editing.message.part(&path)))
    }

    /// How many repetitions a field has.
    pub(crate) fn repetitions(&mut self, path: &str) -> Outcome<INT> {
        let editing = self.lock();
        let path = editing.message.path(path).or_else(broke)?;
        let place = path.place().ok_or_else(|| format!("`{path}` is a segment and has no repetitions"))?;
        let index = editing.message.segments(path.segment()).into_iter().nth(path.occurrence() as usize - 1);
        let Some(index) = index else { return Ok(0) };
        let there = |repetition: &u16| {
            let place = Place { repetition: *repetition, ..Place::field(place.field) };
            editing.message.raw_at(index, &place).is_some()
        };
        Ok((1..u16::MAX).take_while(there).count() as INT)
    }

    pub(crate) fn insert(&mut self, name: &str, after: &str) -> Outcome<()> {
        let editing = &mut *self.lock();
        let index = editing.message.insert(name, after).or_else(broke)?;
        editing.shifts.push(Shift::Inserted(index));
        Ok(())
    }

    pub(crate) fn append(&mut self, segment: &str) -> Outcome<()> {
        run::count_written(segment.len())?;
        self.lock().message.append(segment).map(|_| ()).or_else(broke)
    }

    pub(crate) fn segments(&mut self, name: Option<&str>) -> Array {
        let editing = self.lock();
        let indices = match name {
            Some(name) => editing.message.segments(name),
            None => (0..editing.message.segment_count()).collect(),
        };
        let since = editing.shifts.len();
        let handle = |index| Dynamic::from(Segment { message: self.clone(), index, since });
        indices.into_iter().map(handle).collect()
    }

    pub(crate) fn groups(&mut self, of: &str) -> Array {
        self.lock().message.groups(of).into_iter().map(|group| Dynamic::from(Self::new(group))).collect()
    }

    pub(crate) fn copy(&mut self) -> Self {
        Self::new(self.message())
    }

    pub(crate) fn text(&mut self) -> ImmutableString {
        self.lock().message.text().into()
    }
}

impl Segment {
    /// Does something with the message and where this segment now stands in it.
    fn with<T>(&self, work: impl FnOnce(&mut Editing, usize) -> Outcome<T>) -> Outcome<T> {
        let editing = &mut *self.message.lock();
        let mut index = self.index;
        for shift in &editing.shifts[self.since..] {
            match *shift {
                Shift::Inserted(at) if at <= index => index += 1,
                Shift::Removed(at) if at == index => return Err("the segment was removed".into()),
                Shift::Removed(at) if at < index => index -= 1,
                Shift::Inserted(_) | Shift::Removed(_) => {}
            }
        }
        work(editing, index)
    }

    /// The segment after this one.
    pub(crate) fn next(&self) -> Outcome<Option<Segment>> {
        self.with(|editing, index| {
            let since = editing.shifts.len();
            let next = Segment { message: self.message.clone(), index: index + 1, since };
            Ok((index + 1 < editing.message.segment_count()).then_some(next))
        })
    }

    /// Looks at the message and where this segment now stands in it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Message, usize) -> T) -> Outcome<T> {
        self.with(|editing, index| Ok(look(&editing.message, index)))
    }

    pub(crate) fn get(&mut self, place: &str) -> Outcome<ImmutableString> {
        let place = read_place(place)?;
        self.with(|editing, index| Ok(editing.message.get_at(index, &place).as_ref().into()))
    }

    pub(crate) fn set(&mut self, place: &str, value: &Dynamic) -> Outcome<()> {
        let place = read_place(place)?;
        let written = part::for_field(value)?;
        run::count_written(written.len())?;
        self.with(|editing, index| {
            match written {
                Written::Part(part) => editing.message.set_part_at(index, &place, &part),
                other => editing.message.set_at(index, &place, &other.into_text()),
            }
            .or_else(broke)
        })
    }

    pub(crate) fn has(&mut self, place: &str) -> Outcome<bool> {
        let place = read_place(place)?;
        self.with(|editing, index| Ok(editing.message.has_at(index, &place)))
    }

    pub(crate) fn part(&mut self, place: &str) -> Outcome<ScriptPart> {
        let place = read_place(place)?;
        self.with(|editing, index| Ok(ScriptPart(editing.message.part_at(index, &place))))
    }

    pub(crate) fn name(&mut self) -> Outcome<ImmutableString> {
        self.with(|editing, index| Ok(editing.message.segment_name(index).into()))
    }

    pub(crate) fn text(&mut self) -> Outcome<ImmutableString> {
        self.with(|editing, index| Ok(editing.message.segment_text(index).unwrap_or_default().into()))
    }

    pub(crate) fn remove(&mut self) -> Outcome<()> {
        self.with(|editing, index| {
            editing.message.remove_segment(index).or_else(broke)?;
            editing.shifts.push(Shift::Removed(index));
            Ok(())
        })
    }
}

/// Names both types for error messages.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Hl7>("message").register_type_with_name::<Segment>("segment");
}

fn read_place(place: &str) -> Outcome<Place> {
    Place::parse(place).or_else(broke)
}
