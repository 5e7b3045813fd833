//! Compiles the code of a channel and collects everything that is wrong with it.

use std::collections::BTreeSet;

use engine::{Diagnostic, Place};
use rhai::{Position, Stmt};

use crate::{
    Fault, Uses, Whereabouts,
    code::{Code, Inline, Origin},
    fault,
    library::{self, Purpose, Shared},
    lint::{self, Found, Names, Surroundings},
    nearest::nearest,
    paths::{AnyPath, JsonPath},
    row_path::RowPath,
    shape::Shape,
    template::{self, Chunk, Mixed, Template},
};

/// What a piece of code is for.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) names: Names,
    pub(crate) shape: Shape,
    pub(crate) judges: bool,
}

/// Turns text into code for one channel.
pub(crate) struct Compiler<'a> {
    pub(crate) library: &'a Shared,
    pub(crate) destinations: Vec<String>,
    pub(crate) whereabouts: Whereabouts,
    pub(crate) faults: Vec<Fault>,
    pub(crate) uses: Uses,
    /// Scripts whose functions were made ready.
    pub(crate) imported: BTreeSet<String>,
}

impl Compiler<'_> {
    /// Compiles code that stands at a path.
    pub(crate) fn code(&mut self, path: &engine::Path, text: &str, kind: Kind) -> Option<Code> {
        let inline = Inline { path: path.clone(), line: 0, column: 0, whereabouts: self.whereabouts.clone() };
        self.inline(inline, text, kind)
    }

    /// Compiles code whose value is yes or no.
    pub(crate) fn condition(&mut self, path: &engine::Path, text: &str, kind: Kind) -> Option<Code> {
        let code = self.code(path, text, kind)?;
        let Some(Stmt::Assignment(_)) = code.ast.statements().last() else { return Some(code) };
        // Rhai would assign, and the message would fail for a condition that is neither true nor false.
        let position = code.ast.statements().last().map_or(Position::NONE, Stmt::position);
        let inline = Inline { path: path.clone(), line: 0, column: 0, whereabouts: self.whereabouts.clone() };
        let message = "this sets a value, and is neither true nor false".to_owned();
        let help = Some("to compare, write `==`".to_owned());
        self.inside(&inline, Found { code: "script-syntax", position, message, help });
        None
    }

    /// Compiles what a `script:` holds: the name of a shipped script, of one of the project's, or code.
    pub(crate) fn script(&mut self, path: &engine::Path, text: &str, kind: Kind) -> Option<Code> {
        let Some(name) = script_name(text) else { return self.code(path, text, kind) };
        let Some(name) = self.library.shelf.find(name) else {
            let help = nearest(name, self.library.shelf.names().map(String::as_str));
            self.complain("unknown-script", path, format!("there is no script `{name}`"), help);
            return None;
        };
        let destinations = self.destinations.clone();
        let purpose = Purpose {
            script: &name,
            names: kind.names,
            shape: kind.shape,
            judges: kind.judges,
            destinations: Some(&destinations),
        };
        let library = self.library;
        let (compiled, found) =
            library::compile_script(&library.engine, &library.shelf, &library.tables, &purpose);
        self.uses.scripts.insert(name.clone());
        let is_told = found.iter().any(|fault| library.faults.contains(fault));
        let is_sound = found.is_empty();
        let fresh = found.into_iter().filter(|fault| !library.faults.contains(fault));
        self.faults.extend(fresh.map(Fault::File));
        if is_told {
            self.complain("script-broken", path, format!("`{name}` does not compile"), None);
        }
        let (ast, seen) = compiled.filter(|_| is_sound)?;
        self.take(&seen, path);
        Some(Code { ast, reads: seen.reads, origin: Origin::File(name) })
    }

    fn inline(&mut self, inline: Inline, text: &str, kind: Kind) -> Option<Code> {
        if text.trim().is_empty() {
            self.complain("script-syntax", &inline.path, "there is no code here".to_owned(), None);
            return None;
        }
        let library = self.library;
        let ast = match library.engine.compile_with_scope(&kind.names.scope(), text) {
            Ok(ast) => ast,
            Err(error) => {
                self.inside(&inline, fault::syntax(&error, kind.names));
                return None;
            }
        };
        let destinations = self.destinations.clone();
        let around = Surroundings {
            shelf: &library.shelf,
            tables: &library.tables,
            shape: kind.shape,
            imported: false,
            judges: kind.judges,
            destinations: Some(&destinations),
        };
        let seen = lint::look(&ast, &around);
        for found in &seen.found {
            self.inside(&inline, found.clone());
        }
        self.take(&seen, &inline.path);
        let code = Code { ast, reads: seen.reads, origin: Origin::Channel(inline) };
        seen.found.is_empty().then_some(code)
    }

    /// Compiles text with `${…}` in it; `line` and `column` count what stands before it at the path.
    pub(crate) fn template(&mut self, path: &engine::Path, text: &str, kind: Kind) -> Option<Template> {
        let chunks = match template::chunks(text) {
            Ok(chunks) => chunks,
            Err((line, column)) => {
                let message = "`${` has no `}`";
                let help = Some("`$${` is a plain `${`".to_owned());
                let diagnostic = Diagnostic::error("template-broken", path.clone(), message)
                    .place(Place::Inside { line, column });
                self.faults.push(Fault::Channel(Diagnostic { help, ..diagnostic }));
                return None;
            }
        };
        let compiled: Vec<Option<Mixed>> =
            chunks.into_iter().map(|chunk| self.chunk(path, chunk, kind)).collect();
        let mut mixed: Vec<Mixed> = compiled.into_iter().collect::<Option<_>>()?;
        if mixed.len() > 1 {
            return Some(Template::Mixed(mixed));
        }
        Some(match mixed.pop() {
            Some(Mixed::Code(code)) => Template::Value(code),
            Some(Mixed::Text(text)) => Template::Plain(text),
            None => Template::Plain(String::new()),
        })
    }

    fn chunk(&mut self, path: &engine::Path, chunk: Chunk<'_>, kind: Kind) -> Option<Mixed> {
        match chunk {
            Chunk::Text(text) => Some(Mixed::Text(text)),
            Chunk::Expression { code, line, column } => {
                let inline =
                    Inline { path: path.clone(), line, column, whereabouts: self.whereabouts.clone() };
                self.inline(inline, code, kind).map(Mixed::Code)
            }
        }
    }

    /// Reads a path, for the shape that messages have at this place.
    pub(crate) fn path(&mut self, at: &engine::Path, text: &str, shape: Shape) -> Option<AnyPath> {
        let wrong = match shape {
            Shape::Hl7 => formats::hl7::Path::parse(text).err().map(|error| error.to_string()),
            Shape::Json => JsonPath::parse(text).err(),
            Shape::Xml => formats::xml::Path::parse(text).err().map(|error| error.to_string()),
            Shape::Rows => RowPath::parse(text).err(),
            Shape::Dicom => return self.dicom_path(at, text),
            Shape::Hprim if RowPath::is_of_letter(text) => None,
            Shape::Hprim => formats::hl7::Path::parse_short(text).err().map(|error| error.to_string()),
            Shape::Unknown => JsonPath::parse(text).err().filter(|_| !AnyPath::new(text).is_path_somewhere()),
            Shape::Text | Shape::Binary => {
                let message = "text and bytes have no paths".to_owned();
                let help = Some("every other `format` has".to_owned());
                self.complain("no-paths-here", at, message, help);
                return None;
            }
        };
        if let Some(message) = wrong {
            self.complain("not-a-path", at, message, None);
            return None;
        }
        Some(AnyPath::new(text))
    }

    fn dicom_path(&mut self, at: &engine::Path, text: &str) -> Option<AnyPath> {
        if let Err(error) = formats::dicom::Path::parse(text) {
            let help = crate::dicom::nearest_keyword(&error);
            self.complain("not-a-path", at, error.to_string(), help);
            return None;
        }
        Some(AnyPath::new(text))
    }

    /// Complains about the value at a path.
    pub(crate) fn complain(
        &mut self,
        code: &'static str,
        at: &engine::Path,
        message: String,
        help: Option<String>,
    ) {
        self.faults.push(Fault::Channel(Diagnostic { help, ..Diagnostic::error(code, at.clone(), message) }));
    }

    fn inside(&mut self, inline: &Inline, found: Found) {
        let (line, column) = inline.inside(found.position);
        let diagnostic = Diagnostic::error(found.code, inline.path.clone(), found.message);
        let place = Place::Inside { line, column };
        self.faults.push(Fault::Channel(Diagnostic { help: found.help, place, ..diagnostic }));
    }

    /// Notes what code uses, and makes the scripts it imports ready: what is wrong with those is told here.
    fn take(&mut self, seen: &lint::Seen, path: &engine::Path) {
        self.uses.tables.extend(seen.tables.iter().cloned());
        self.uses.strict_tables.extend(seen.strict_tables.iter().cloned());
        for script in &seen.imports {
            self.import(script, path);
        }
    }

    fn import(&mut self, script: &str, path: &engine::Path) {
        self.uses.scripts.insert(script.to_owned());
        if !self.imported.insert(script.to_owned()) {
            return;
        }
        let library = self.library;
        let purpose = Purpose {
            script,
            names: Names::default(),
            shape: Shape::Unknown,
            judges: true,
            destinations: None,
        };
        let (compiled, found) =
            library::compile_script(&library.engine, &library.shelf, &library.tables, &purpose);
        let is_told = found.iter().any(|fault| library.faults.contains(fault));
        self.faults
            .extend(found.into_iter().filter(|fault| !library.faults.contains(fault)).map(Fault::File));
        if is_told {
            self.complain("script-broken", path, format!("`{script}` does not compile"), None);
        }
        if let Some((_, seen)) = compiled {
            self.take(&seen, path);
            self.make_module(script);
        }
    }

    fn make_module(&mut self, script: &str) {
        let import = format!("import \"{script}\" as made;");
        if let Err(error) = self.library.engine.run(&import) {
            let (position, message) = innermost(*error);
            let message = fault::lower_case(&message);
            let found = Found { code: "script-broken", position, message, help: None };
            self.faults.push(Fault::File(library::at(script, found)));
        }
    }
}

fn innermost(error: rhai::EvalAltResult) -> (Position, String) {
    match error {
        rhai::EvalAltResult::ErrorInModule(_, inner, _)
        | rhai::EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => innermost(*inner),
        mut other => {
            let position = other.position();
            other.set_position(Position::NONE);
            (position, other.to_string())
        }
    }
}

/// `relais/NAME` or a path that ends in `.rhai`; anything else is code.
fn script_name(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_name =
        |text: &str| text.chars().all(|character| character.is_alphanumeric() || "/._-".contains(character));
    let is_file = std::path::Path::new(text).extension().is_some_and(|extension| extension == "rhai");
    let is_script = is_file || text.starts_with("relais/");
    (is_script && is_name(text)).then_some(text)
}
