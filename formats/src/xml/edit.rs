//! Changing a document in place: only the tags and texts that are written become new text.

use super::{
    Document, EditError, ElementId, Path,
    document::{Child, Element, Piece, is_called},
    escape,
    path::Step,
    tag,
};

impl Document {
    /// Writes text to a path from the document's own element on; what is missing on the way is added.
    pub fn set(&mut self, path: &Path, text: &str) -> Result<(), EditError> {
        match path.steps.as_slice() {
            [] => self.write_at(self.root(), &[], path.attribute.as_deref(), text),
            [root, rest @ ..] if self.is_named(0, root) => {
                self.write_at(self.root(), rest, path.attribute.as_deref(), text)
            }
            [root, ..] => Err(EditError::OtherRoot(root.to_string())),
        }
    }

    /// Writes text to a path from an element on.
    pub fn set_in(&mut self, element: ElementId, path: &Path, text: &str) -> Result<(), EditError> {
        self.write_at(element, &path.steps, path.attribute.as_deref(), text)
    }

    /// Adds an empty element at the end of another one.
    pub fn add(&mut self, parent: ElementId, name: &str) -> Result<ElementId, EditError> {
        if !tag::is_name(name) {
            return Err(EditError::BadName(name.chars().take(40).collect()));
        }
        self.open_up(parent)?;
        let id = self.elements.len();
        self.elements.push(Element::new(Some(parent.0), Piece::Written(format!("<{name}/>").into())));
        let children = &mut self.elements[parent.0].children;
        // Before the blanks that stand before the end tag.
        let is_blank = |child: &Child| match child {
            Child::Raw(piece) => piece.text(&self.source).trim().is_empty(),
            Child::Element(_) => false,
        };
        let at = children.len() - children.last().filter(|child| is_blank(child)).map_or(0, |_| 1);
        children.insert(at, Child::Element(id));
        Ok(ElementId(id))
    }

    /// Takes an element out.
    pub fn remove(&mut self, element: ElementId) -> Result<(), EditError> {
        self.check(element)?;
        let parent = self.elements[element.0].parent.ok_or(EditError::Root)?;
        let is_it = |child: &Child| matches!(child, Child::Element(id) if *id == element.0);
        self.elements[parent].children.retain(|child| !is_it(child));
        self.elements[element.0].is_removed = true;
        Ok(())
    }

    /// Fails for an element that was removed, or that stood in one.
    pub fn check(&self, element: ElementId) -> Result<(), EditError> {
        let mut at = Some(element.0);
        while let Some(id) = at {
            if self.elements[id].is_removed {
                return Err(EditError::Removed);
            }
            at = self.elements[id].parent;
        }
        Ok(())
    }

    fn write_at(
        &mut self,
        element: ElementId,
        steps: &[Step],
        attribute: Option<&str>,
        text: &str,
    ) -> Result<(), EditError> {
        self.check(element)?;
        if text.chars().any(|character| !escape::is_possible(character)) {
            return Err(EditError::BadCharacter);
        }
        let mut at = element;
        for step in steps {
            at = if let Some(next) = self.first(at, std::slice::from_ref(step)) {
                next
            } else {
                let count = self.named(at, step).count();
                if step.occurrence.is_some_and(|number| number != count + 1) {
                    return Err(EditError::Gap { path: step.to_string(), count });
                }
                self.add(at, &step.name)?
            };
        }
        match attribute {
            Some(name) => self.set_attribute(at, name, text),
            None => self.set_value(at, text),
        }
    }

    fn set_value(&mut self, element: ElementId, text: &str) -> Result<(), EditError> {
        if self.value(element) == text && self.children(element).is_empty() {
            return Ok(());
        }
        for child in self.children(element) {
            self.elements[child.0].is_removed = true;
        }
        self.open_up(element)?;
        let written = Child::Raw(Piece::Written(escape::encoded(text).into()));
        self.elements[element.0].children = vec![written];
        Ok(())
    }

    fn set_attribute(&mut self, element: ElementId, name: &str, text: &str) -> Result<(), EditError> {
        if !tag::is_name(name) {
            return Err(EditError::BadName(name.chars().take(40).collect()));
        }
        if self.attribute(element, name).as_deref() == Some(text) {
            return Ok(());
        }
        let open = self.elements[element.0].open.text(&self.source);
        let value = escape::encoded_in_attribute(text);
        let known = tag::attributes(open).unwrap_or_default();
        let there = known.into_iter().find(|one| is_called(&open[one.name.clone()], name));
        let written = if let Some(one) = there {
            // What is quoted by `'` may hold one.
            let value = value.replace('\'', "&apos;");
            format!("{}{value}{}", &open[..one.value.start], &open[one.value.end..])
        } else {
            let end = open.trim_end_matches(['/', '>']).trim_end().len();
            format!("{} {name}=\"{value}\"{}", &open[..end], &open[end..])
        };
        self.elements[element.0].open = Piece::Written(written.into());
        Ok(())
    }

    /// Gives an empty element that is written in one tag an end tag.
    fn open_up(&mut self, element: ElementId) -> Result<(), EditError> {
        self.check(element)?;
        let open = self.elements[element.0].open.text(&self.source).to_owned();
        let Some(start) = open.strip_suffix("/>") else { return Ok(()) };
        let close = format!("</{}>", tag::name(&open));
        self.elements[element.0].open = Piece::Written(format!("{}>", start.trim_end()).into());
        self.elements[element.0].close = Piece::Written(close.into());
        Ok(())
    }
}
