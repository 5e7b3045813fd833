//! Finds the elements of a text.

use std::{ops::Range, sync::Arc};

use super::{
    Document, Why, XmlError,
    document::{Child, Element, Piece},
    escape, tag,
};
use crate::rows::place;

/// Elements stand in each other so deep and no deeper.
const DEEPEST: usize = 256;

/// Reads a whole document.
pub(super) fn parse(text: &Arc<str>) -> Result<Document, XmlError> {
    let mut walk = Walk { text, at: 0, elements: Vec::new(), open: Vec::new(), lead: 0, end: None };
    let walked = walk.document();
    let Walk { elements, lead, end, .. } = walk;
    match walked {
        Ok(()) => Ok(Document::new(Arc::clone(text), elements, lead..end.unwrap_or(text.len()))),
        Err((at, why)) => {
            let (line, column) = place(text, at);
            Err(XmlError { line, column, why })
        }
    }
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
    elements: Vec<Element>,
    /// The elements that are open, the innermost last.
    open: Vec<usize>,
    /// Where the root element begins.
    lead: usize,
    /// Where it ended.
    end: Option<usize>,
}

type Step<T> = Result<T, (usize, Why)>;

impl Walk<'_> {
    fn document(&mut self) -> Step<()> {
        if let Some(at) = self
            .text
            .char_indices()
            .find(|(at, one)| !escape::is_possible(*one) && (*at > 0 || *one != '\u{feff}'))
        {
            return Err((at.0, Why::BadCharacter));
        }
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        while self.at < self.text.len() {
            self.step()?;
        }
        match (self.open.last(), self.end) {
            (Some(open), _) => Err((self.start_of(*open), Why::Unfinished)),
            (None, None) => Err((self.text.len(), Why::NoElement)),
            (None, Some(_)) => Ok(()),
        }
    }

    fn start_of(&self, element: usize) -> usize {
        match &self.elements[element].open {
            Piece::Original(range) => range.start,
            Piece::Written(_) => 0,
        }
    }

    fn step(&mut self) -> Step<()> {
        let rest = &self.text[self.at..];
        if !rest.starts_with('<') {
            let end = rest.find('<').unwrap_or(rest.len());
            return self.characters(self.at..self.at + end);
        }
        for (start, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
            if let Some(inside) = rest.strip_prefix(start) {
                let length = inside.find(end).ok_or((self.at, Why::Unfinished))?;
                let whole = self.at..self.at + start.len() + length + end.len();
                if start == "<![CDATA[" && self.open.is_empty() {
                    return Err((self.at, self.outside()));
                }
                self.at = whole.end;
                self.child(Child::Raw(Piece::Original(whole)));
                return Ok(());
            }
        }
        if rest.starts_with("<!") {
            let is_doctype = rest.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!DOCTYPE"));
            return Err((self.at, if is_doctype { Why::Doctype } else { Why::BadTag }));
        }
        let range = self.at..self.at + self.tag_length(rest)?;
        let tag = &self.text[range.clone()];
        if !tag::is_name(tag::name(tag)) {
            return Err((self.at, Why::BadTag));
        }
        if tag.starts_with("</") { self.close(range) } else { self.begin(range) }
    }

    /// How long the tag is that begins here: a `>` in quotes does not end it.
    fn tag_length(&self, rest: &str) -> Step<usize> {
        let mut quote = None;
        for (at, character) in rest.char_indices().skip(1) {
            match (quote, character) {
                (None, '>') => return Ok(at + 1),
                (None, '<') => return Err((self.at, Why::BadTag)),
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), _) if open == character => quote = None,
                _ => {}
            }
        }
        Err((self.at, Why::Unfinished))
    }

    fn characters(&mut self, range: Range<usize>) -> Step<()> {
        let text = &self.text[range.clone()];
        if self.open.is_empty() {
            let blank = text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
            if blank < text.len() {
                return Err((range.start + blank, self.outside()));
            }
        }
        escape::decoded(text).map_err(|(within, why)| (range.start + within, why))?;
        self.at = range.end;
        self.child(Child::Raw(Piece::Original(range)));
        Ok(())
    }

    fn outside(&self) -> Why {
        if self.end.is_some() { Why::BehindEnd } else { Why::NoElement }
    }

    fn begin(&mut self, range: Range<usize>) -> Step<()> {
        let tag = &self.text[range.clone()];
        tag::attributes(tag).map_err(|(within, why)| (range.start + within, why))?;
        if self.open.len() >= DEEPEST {
            return Err((range.start, Why::TooDeep(DEEPEST)));
        }
        if self.open.is_empty() {
            if self.end.is_some() {
                return Err((range.start, Why::BehindEnd));
            }
            self.lead = range.start;
        }
        let id = self.elements.len();
        self.child(Child::Element(id));
        self.at = range.end;
        let is_empty = tag::is_empty(tag);
        self.elements.push(Element::new(self.open.last().copied(), Piece::Original(range)));
        if !is_empty {
            self.open.push(id);
        } else if self.open.is_empty() {
            self.end = Some(self.at);
        }
        Ok(())
    }

    fn close(&mut self, range: Range<usize>) -> Step<()> {
        let tag = &self.text[range.clone()];
        let wrong = (range.start, Why::WrongEnd);
        let open = self.open.pop().ok_or(wrong)?;
        let begun = tag::name(self.elements[open].open.text(self.text));
        if begun != tag::name(tag) || !tag[2 + begun.len()..tag.len() - 1].trim().is_empty() {
            return Err(wrong);
        }
        self.at = range.end;
        self.elements[open].close = Piece::Original(range);
        if self.open.is_empty() {
            self.end = Some(self.at);
        }
        Ok(())
    }

    /// Adds to the innermost open element; what stands outside the root stays where it is.
    fn child(&mut self, child: Child) {
        if let Some(open) = self.open.last() {
            self.elements[*open].children.push(child);
        }
    }
}
