//! The comments (NTE) behind a segment as Annotations.

use formats::hl7::Place;
use rhai::Map;

use super::{Draft, Element};
use crate::{functions::Outcome, handle::Segment};

impl Draft {
    /// The comments (NTE) that follow a segment, as annotations: lines that follow each other are one.
    pub(crate) fn comments(&self, segment: &Segment) -> Outcome<Vec<Map>> {
        let mut comments: Vec<(String, [String; 2])> = Vec::new();
        let mut following = segment.next()?;
        while let Some(mut note) = following {
            if note.name()? != "NTE" {
                break;
            }
            let text = self.read(&note, Place::field(3), |sight, _| {
                sight.repetitions().map(|line| line.whole()).collect::<Vec<_>>().join("\n")
            })?;
            let by = self.read(&note, Place::field(5), |sight, site| {
                super::people::person(&sight.parts(), site)
                    .map_or_else(String::new, |(person, _)| super::shown_name(&person))
            })?;
            let when = self.read(&note, Place::field(6), |sight, site| {
                super::date_time(&sight.parts().text(1), &site.zone).unwrap_or_default()
            })?;
            self.read(&note, Place::field(2), |_, _| ())?;
            match comments.last_mut() {
                Some((lines, source)) if *source == [by.clone(), when.clone()] => {
                    lines.push('\n');
                    lines.push_str(&text);
                }
                _ => comments.push((text, [by, when])),
            }
            following = note.next()?;
        }
        let annotation = |(text, [by, when]): (String, [String; 2])| {
            let text = text.trim().to_owned();
            if text.is_empty() {
                return None;
            }
            Element::default().with("text", text).with("authorString", by).with("time", when).map()
        };
        Ok(comments.into_iter().filter_map(annotation).collect())
    }
}
