//! Reads the values of a file one by one, so that a fault in one hides none in another.

use std::collections::HashSet;

use engine::{Diagnostic, Path};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{lint::lint, report::Report, shape::Shape, yaml::Node};

/// A file with its schema, and what is wrong with it so far.
pub(crate) struct Reader<'r> {
    pub(crate) tree: &'r Node,
    shape: Shape<'r>,
    /// Every place with a fault.
    faulty: HashSet<Path>,
    pub(crate) found: Vec<Diagnostic>,
}

/// Faults of a whole, which say nothing against its parts.
const OF_THE_WHOLE: [&str; 3] = ["missing-field", "no-connector", "too-many-faults"];

impl<'r> Reader<'r> {
    /// Puts the variables into `tree` and looks through it by its schema.
    pub(crate) fn fill(tree: &mut Node, shape: Shape<'_>, report: &Report) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        report.variables.fill(tree, shape, &Path::default(), &mut found);
        found.extend(lint(tree, shape, &Path::default()));
        found
    }

    pub(crate) fn new(tree: &'r Node, shape: Shape<'r>, found: Vec<Diagnostic>) -> Self {
        let faulty = found.iter().map(|fault| fault.at.clone()).collect();
        Self { tree, shape, faulty, found }
    }

    /// The value at `path`, if one stands there and fits.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, path: &Path) -> Option<T> {
        let value = self.value(path)?;
        match serde_path_to_error::deserialize(value) {
            Ok(read) => Some(read),
            Err(error) => {
                let inner = Path::parse(&error.path().to_string().replace('[', ".").replace(']', ""));
                self.misfit(path, &inner, &error.inner().to_string());
                None
            }
        }
    }

    /// As [`Reader::read`], with the default where nothing stands.
    pub(crate) fn read_or_default<T: DeserializeOwned + Default>(&mut self, path: &Path) -> T {
        self.read(path).unwrap_or_default()
    }

    /// The JSON of what stands at `path`, without its faulty parts.
    pub(crate) fn value(&self, path: &Path) -> Option<Value> {
        let (node, shape) = self.at(path)?;
        if node.is_absent() || self.is_dropped(path) {
            return None;
        }
        Some(shape.value(node, path, &|at| self.is_dropped(at)))
    }

    /// A node, and what may stand there.
    pub(crate) fn at(&self, path: &Path) -> Option<(&'r Node, Shape<'r>)> {
        path.parts().iter().try_fold((self.tree, self.shape), |(node, shape), part| {
            let meant = shape.meant(node)?;
            let next = node.get(part)?;
            let shape = if node.items().is_empty() { meant.field(part) } else { meant.items() };
            Some((next, shape?))
        })
    }

    /// The places of the items of a list.
    pub(crate) fn items(&self, path: &Path) -> Vec<Path> {
        let length = self.tree.at(path).map_or(0, |node| node.items().len());
        (0..length).map(|place| path.join(place)).collect()
    }

    /// Says that a value does not fit, unless the schema has said it already.
    pub(crate) fn misfit(&mut self, path: &Path, inner: &Path, message: &str) {
        let at = path.under(inner);
        let scalar = self.tree.at(&at).and_then(Node::scalar);
        if !self.is_clean(path) || scalar.is_some_and(|scalar| scalar.unknown) {
            return;
        }
        let message = match scalar.and_then(|scalar| scalar.written.as_ref()) {
            Some(written) => format!("what `{written}` stands for does not fit here"),
            None => message.to_owned(),
        };
        self.error("wrong-value", &at, message);
    }

    /// Takes what the settings at `path` say against themselves. Where a value was left out for its fault,
    /// they may miss it: what they say of their whole does not count then.
    pub(crate) fn take_checks(&mut self, path: &Path, found: Vec<Diagnostic>) {
        let is_whole = self.is_clean(path);
        self.found.extend(found.into_iter().filter(|fault| is_whole || fault.at != *path));
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        at: &Path,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, at.clone(), message))
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.found.push(diagnostic);
        self.found.last_mut().expect("one was pushed")
    }

    /// Whether nothing was found at `path` or beneath.
    pub(crate) fn is_clean(&self, path: &Path) -> bool {
        !self.faulty.iter().any(|faulty| faulty.parts().starts_with(path.parts()))
    }

    fn is_dropped(&self, path: &Path) -> bool {
        self.faulty.contains(path)
            && self.found.iter().any(|fault| fault.at == *path && !OF_THE_WHOLE.contains(&fault.code))
    }
}
