//! Changing a message in place: only the segment that is written becomes new text.

use std::sync::{Arc, OnceLock};

use super::{
    EditError, Message, Part, Path, Place,
    cursor::{is_name, is_short_name},
    escape,
    message::{Dialect, Piece, Segment},
    pieces,
};

impl Message {
    /// Replaces what stands there, parts included, and encodes every delimiter and line break.
    ///
    /// Empty text empties; `""` is the HL7 null. Fields, repetitions and components before it are filled up, and a missing segment is added at the end.
    pub fn set(&mut self, path: &Path, text: &str) -> Result<(), EditError> {
        let place = path.place.ok_or_else(|| EditError::WholeSegment(path.to_string()))?;
        let encoded = escape::encode(text, &self.delimiters)?;
        self.write_by_path(path, &place, &encoded)
    }

    /// Replaces what stands there with a part, whose delimiters become those of this message.
    ///
    /// A path without a place takes a whole segment of that name.
    pub fn set_part(&mut self, path: &Path, part: &Part) -> Result<(), EditError> {
        let raw = part.written_in(&self.delimiters)?;
        let Some(place) = path.place else { return self.write_segment(path, &raw) };
        self.check_levels(&raw, &place)?;
        self.write_by_path(path, &place, &raw)
    }

    /// As [`Message::set`], within one segment.
    pub fn set_at(&mut self, index: usize, place: &Place, text: &str) -> Result<(), EditError> {
        let encoded = escape::encode(text, &self.delimiters)?;
        self.write(index, place, &encoded)
    }

    /// As [`Message::set_part`], within one segment.
    pub fn set_part_at(&mut self, index: usize, place: &Place, part: &Part) -> Result<(), EditError> {
        let raw = part.written_in(&self.delimiters)?;
        self.check_levels(&raw, place)?;
        self.write(index, place, &raw)
    }

    /// Puts a new, empty segment after the first one named, or after `OBX[3]`; gives its place.
    pub fn insert(&mut self, name: &str, after: &str) -> Result<usize, EditError> {
        self.check_name(name)?;
        let missing = || EditError::NoSegment(after.to_owned());
        let path = self.path(after).ok().filter(|path| path.place.is_none()).ok_or_else(missing)?;
        let index = self.find(&path).ok_or_else(missing)?;
        self.put_after(index, name);
        Ok(index + 1)
    }

    /// Adds a segment at the end as it stands, or an empty one if only its name is given; gives its place.
    pub fn append(&mut self, segment: &str) -> Result<usize, EditError> {
        self.check_segment(segment)?;
        let last = self.segment_count() - 1;
        self.put_after(last, segment);
        Ok(last + 1)
    }

    /// Takes a segment out; MSH stays.
    pub fn remove_segment(&mut self, index: usize) -> Result<(), EditError> {
        if index == 0 {
            return Err(EditError::Header);
        }
        if index >= self.segment_count() {
            return Err(EditError::NoSegment(index.to_string()));
        }
        self.change().remove(index);
        Ok(())
    }

    fn write_by_path(&mut self, path: &Path, place: &Place, raw: &str) -> Result<(), EditError> {
        match self.find(path) {
            Some(index) => self.write(index, place, raw),
            None if raw.is_empty() => Ok(()),
            None => {
                self.check_next(path)?;
                // A copy, so that a place that cannot be written leaves no empty segment behind.
                let mut grown = self.clone();
                let index = grown.append(path.segment())?;
                grown.write(index, place, raw)?;
                *self = grown;
                Ok(())
            }
        }
    }

    fn write_segment(&mut self, path: &Path, raw: &str) -> Result<(), EditError> {
        self.check_segment(raw)?;
        let rest = raw.strip_prefix(path.segment()).map(str::as_bytes);
        if rest.is_none_or(|rest| rest.first().is_some_and(|next| *next != self.delimiters.field)) {
            return Err(EditError::WholeSegment(path.to_string()));
        }
        if let Some(index) = self.find(path) {
            self.change()[index].content = Piece::Written(raw.into());
        } else {
            self.check_next(path)?;
            self.append(raw)?;
        }
        Ok(())
    }

    fn write(&mut self, index: usize, place: &Place, raw: &str) -> Result<(), EditError> {
        let numbers = [Some(place.field), Some(place.repetition), place.component, place.subcomponent];
        if numbers.contains(&Some(0)) {
            return Err(EditError::CountsFromOne(place.to_string()));
        }
        let line = self.segment_text(index).ok_or_else(|| EditError::NoSegment(index.to_string()))?;
        if pieces::holds_delimiters(line, place, &self.delimiters) {
            return Err(EditError::Delimiters);
        }
        if raw.is_empty() && pieces::at(line, place, &self.delimiters).is_none() {
            return Ok(());
        }
        let written = splice(line, &self.steps(line, place)?, raw);
        self.change()[index].content = Piece::Written(written.into());
        Ok(())
    }

    /// The cuts that lead to a place: at which delimiter, and which piece from 0.
    fn steps(&self, line: &str, place: &Place) -> Result<Vec<(u8, usize)>, EditError> {
        let shift = usize::from(pieces::is_header(line.as_bytes(), self.delimiters.field));
        let from_zero = |number: u16| usize::from(number) - 1;
        let mut steps = vec![
            (self.delimiters.field, usize::from(place.field) - shift),
            (self.delimiters.repetition, from_zero(place.repetition)),
        ];
        if let Some(number) = place.component {
            steps.push((self.delimiters.component, from_zero(number)));
        }
        match (place.component.and(place.subcomponent), self.delimiters.subcomponent) {
            (Some(number), Some(delimiter)) => steps.push((delimiter, from_zero(number))),
            (Some(2..), None) => return Err(EditError::NoSubcomponent),
            _ => {}
        }
        Ok(steps)
    }

    fn check_levels(&self, raw: &str, place: &Place) -> Result<(), EditError> {
        let delimiters = &self.delimiters;
        let in_component = place.component.is_some();
        let subcomponent = delimiters.subcomponent.filter(|_| place.subcomponent.is_some());
        let fits = raw.bytes().all(|byte| {
            byte != delimiters.field
                && !(in_component && (byte == delimiters.repetition || byte == delimiters.component))
                && Some(byte) != subcomponent
        });
        if fits { Ok(()) } else { Err(EditError::TooManyLevels(place.to_string())) }
    }

    fn check_next(&self, path: &Path) -> Result<(), EditError> {
        let count = self.segments(path.segment()).len();
        if count + 1 == path.occurrence as usize {
            return Ok(());
        }
        Err(EditError::Gap { path: path.to_string(), count })
    }

    fn check_segment(&self, segment: &str) -> Result<(), EditError> {
        if segment.contains(['\r', '\n']) {
            return Err(EditError::LineBreak);
        }
        let mut fields = segment.split(char::from(self.delimiters.field));
        self.check_name(fields.next().unwrap_or_default())
    }

    fn check_name(&self, name: &str) -> Result<(), EditError> {
        let (header, is_sound) = match self.dialect {
            Dialect::Hl7 => ("MSH", is_name(name.as_bytes())),
            Dialect::Hprim => ("H", is_short_name(name.as_bytes())),
        };
        match name {
            _ if name == header => Err(EditError::Header),
            _ if is_sound => Ok(()),
            // Whatever stands there may be content.
            _ => Err(EditError::BadName(name.chars().take(3).collect())),
        }
    }

    /// The new segment takes over what ended the one before it, so that a message without a last line break stays without.
    fn put_after(&mut self, index: usize, content: &str) {
        let line_break = self.line_break();
        let segments = self.change();
        let ending = std::mem::replace(&mut segments[index].ending, Piece::Written(line_break.into()));
        segments.insert(index + 1, Segment { content: Piece::Written(content.into()), ending });
    }

    fn line_break(&self) -> &'static str {
        let first = self.segments[0].ending.text(&self.original);
        ["\r\n", "\n"].into_iter().find(|line_break| first.starts_with(line_break)).unwrap_or("\r")
    }

    fn change(&mut self) -> &mut Vec<Segment> {
        self.whole = OnceLock::new();
        Arc::make_mut(&mut self.segments)
    }
}

/// The line with this text at the end of the steps, filled up with delimiters as far as needed.
fn splice(line: &str, steps: &[(u8, usize)], raw: &str) -> String {
    let mut stretch = 0..line.len();
    let mut filling = String::new();
    for (depth, &(delimiter, number)) in steps.iter().enumerate() {
        match pieces::nth(&line.as_bytes()[stretch.clone()], delimiter, number) {
            Ok(piece) => stretch = stretch.start + piece.start..stretch.start + piece.end,
            Err(present) => {
                fill(&mut filling, delimiter, number - present);
                steps[depth + 1..]
                    .iter()
                    .for_each(|(delimiter, number)| fill(&mut filling, *delimiter, *number));
                stretch = stretch.end..stretch.end;
                break;
            }
        }
    }
    [&line[..stretch.start], &filling, raw, &line[stretch.end..]].concat()
}

fn fill(filling: &mut String, delimiter: u8, count: usize) {
    filling.extend(std::iter::repeat_n(char::from(delimiter), count));
}
