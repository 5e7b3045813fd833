//! One piece of code: compiled and linted once, run on each message.

use rhai::{AST, Dynamic, Engine, Position, Scope};

use crate::{Whereabouts, ending::Stopped, lint::Names, run};

/// Code that is ready to run.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) ast: AST,
    /// Which of the names it is given it reads: only those are made.
    pub(crate) reads: Names,
    pub(crate) origin: Origin,
}

/// Where code was written.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// In the channel's file.
    Channel(Inline),
    /// In a script: `scripts/clean.rhai`.
    File(String),
}

/// Where code stands in the channel's file.
#[derive(Debug, Clone)]
pub(crate) struct Inline {
    pub(crate) path: engine::Path,
    /// What stands before it in the text there, where it is part of a template.
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) whereabouts: Whereabouts,
}

impl Inline {
    /// A line and column inside the text at the path, both from 1.
    pub(crate) fn inside(&self, position: Position) -> (usize, usize) {
        let line = position.line().unwrap_or(1);
        let column = position.position().unwrap_or(1).max(1);
        let before = if line == 1 { self.column } else { 0 };
        (self.line + line, before + column)
    }
}

impl Origin {
    /// Names a place for a person; `file` is where another script's error happened.
    pub(crate) fn place(&self, file: Option<&str>, position: Position) -> String {
        let own = match self {
            Self::Channel(inline) => {
                let (line, column) = inline.inside(position);
                return match file {
                    Some(file) => in_file(file, position),
                    None => (inline.whereabouts.0)(&inline.path, line, column),
                };
            }
            Self::File(own) => own,
        };
        in_file(file.unwrap_or(own), position)
    }
}

fn in_file(file: &str, position: Position) -> String {
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!("{file}:{line}:{}", column.max(1)),
        _ => file.to_owned(),
    }
}

impl Code {
    /// What a person calls it: the script's name, or `script`.
    pub(crate) fn name(&self) -> &str {
        match &self.origin {
            Origin::Channel(_) => "script",
            Origin::File(name) => name,
        }
    }

    /// Runs it; its variables stay in `scope`.
    pub(crate) fn run(&self, engine: &Engine, scope: &mut Scope<'_>) -> Result<Dynamic, Stopped> {
        let ran = engine.eval_ast_with_scope::<Dynamic>(scope, &self.ast);
        // Whatever it came to without a row that it needs means nothing.
        let missing = run::take_missing();
        if !missing.is_empty() {
            return Err(Stopped::Hold(missing));
        }
        ran.map_err(|error| Stopped::read(*error, &self.origin))
    }

    /// What to say where its value is not what it should be.
    pub(crate) fn misfit(&self, why: String) -> Stopped {
        Stopped::Broke { why, place: Some(self.origin.place(None, Position::NONE)) }
    }
}
