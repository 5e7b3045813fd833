//! Everything that a project's code may use: its scripts, its tables, and what Relais ships.

use std::{
    collections::BTreeSet,
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::Diagnostic;
use rhai::{AST, Engine};

use crate::{
    FileDiagnostic, fault, language,
    lint::{self, Found, Names, Surroundings},
    run,
    shape::Shape,
    table::{Served, Table, Tables, Wrong},
};

mod files;
mod imports;
mod shelf;

pub(crate) use shelf::{SHIPPED, Shelf, WITHHELD};

use imports::Imports;

/// Loaded once for a project and shared by its channels; a clone is the same library.
#[derive(Clone)]
pub struct Library(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) tables: Arc<Tables>,
    /// What is wrong with its files, as [`Library::load`] told.
    pub(crate) faults: Vec<FileDiagnostic>,
}

/// The scripts and tables that one channel uses, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// `scripts/clean.rhai`, `relais/hl7`.
    pub scripts: BTreeSet<String>,
    /// `wards`.
    pub tables: BTreeSet<String>,
    /// Those of which a lookup gives no value for a code that no row has: the table says what that means.
    pub strict_tables: BTreeSet<String>,
}

impl Library {
    /// Reads `scripts/*.rhai` and `tables/*.csv` of a project; says everything that is wrong with them.
    ///
    /// A file with a fault is there all the same: a channel that uses it does not compile.
    pub fn load(root: &Path) -> (Library, Vec<FileDiagnostic>) {
        Self::load_with(root, Vec::new())
    }

    /// The same, with tables whose rows servers hold.
    pub fn load_with(root: &Path, served: Vec<Served>) -> (Library, Vec<FileDiagnostic>) {
        run::on_enough_stack(|| Self::read(root, served))
    }

    fn read(root: &Path, served: Vec<Served>) -> (Library, Vec<FileDiagnostic>) {
        let mut faults = Vec::new();
        let mut tables = load_tables(root, &mut faults);
        for served in served {
            if tables.get(&served.name).is_some() {
                let why = format!("there is a `tables/{}.csv` beside it: a table has one file", served.name);
                faults.push(fault::in_file(&format!("tables/{}.yaml", served.name), "table-broken", why));
            }
            tables.serve(served);
        }
        let mut engine = language::new();
        let mut shelf = Shelf::new(&engine);
        for (name, text) in files::read(root, "scripts", "rhai", &mut faults) {
            let name = name.to_string_lossy().replace('\\', "/");
            match String::from_utf8(text) {
                Ok(text) => shelf.put(&engine, name, text),
                Err(_) => faults.push(fault::in_file(&name, "script-syntax", "the file is not UTF-8")),
            }
        }
        let shelf = Arc::new(shelf);
        engine.set_module_resolver(Imports::new(Arc::clone(&shelf)));
        // What Relais ships is looked through by its tests.
        for name in shelf.own() {
            let (_, found) = compile_script(&engine, &shelf, &tables, &Purpose::unknown(name));
            faults.extend(found);
        }
        let library = Library(Arc::new(Shared { engine, shelf, tables: Arc::new(tables), faults }));
        let faults = library.0.faults.clone();
        (library, faults)
    }

    /// The texts of these scripts and tables, each under its name: part of what makes a channel's version.
    pub fn version_text(&self, uses: &Uses) -> String {
        let scripts = uses.scripts.iter().filter_map(|name| Some((name, self.0.shelf.text(name)?)));
        let tables = uses.tables.iter().filter_map(|name| Some((name, self.0.tables.text(name)?)));
        scripts.chain(tables).fold(String::new(), |mut all, (name, text)| {
            write!(all, "\n# {name}, {} bytes\n{text}", text.len())
                .expect("a string takes all that is written");
            all
        })
    }
}

/// What a script is compiled for.
pub(crate) struct Purpose<'a> {
    pub(crate) script: &'a str,
    pub(crate) names: Names,
    pub(crate) shape: Shape,
    pub(crate) judges: bool,
    pub(crate) destinations: Option<&'a [String]>,
}

impl<'a> Purpose<'a> {
    /// Nothing is known of who will use it.
    fn unknown(script: &'a str) -> Self {
        Self { script, names: Names::ALL, shape: Shape::Unknown, judges: true, destinations: None }
    }
}

/// Compiles a script by its full name, and looks through it.
pub(crate) fn compile_script(
    engine: &Engine,
    shelf: &Shelf,
    tables: &Tables,
    purpose: &Purpose<'_>,
) -> (Option<(AST, lint::Seen)>, Vec<FileDiagnostic>) {
    let name = purpose.script;
    let text = shelf.text(name).unwrap_or_default();
    let mut ast = match engine.compile_with_scope(&purpose.names.scope(), text) {
        Ok(ast) => ast,
        Err(error) => {
            return (None, vec![at(name, fault::syntax(&error, purpose.names))]);
        }
    };
    ast.set_source(name);
    let around = Surroundings {
        shelf,
        tables,
        shape: purpose.shape,
        // A step is given something; what is imported is given nothing.
        imported: purpose.names == Names::default(),
        judges: purpose.judges,
        destinations: purpose.destinations,
    };
    let seen = lint::look(&ast, &around);
    let faults = seen.found.iter().map(|found| at(name, found.clone())).collect();
    (Some((ast, seen)), faults)
}

/// A complaint about a place in a script.
pub(crate) fn at(file: &str, found: Found) -> FileDiagnostic {
    let diagnostic = Diagnostic::error(found.code, engine::Path::default(), found.message);
    FileDiagnostic {
        file: PathBuf::from(file),
        line: found.position.line().unwrap_or(1),
        column: found.position.position().unwrap_or(1).max(1),
        diagnostic: Diagnostic { help: found.help, ..diagnostic },
    }
}

fn load_tables(root: &Path, faults: &mut Vec<FileDiagnostic>) -> Tables {
    let mut tables = Tables::default();
    for (name, bytes) in files::read(root, "tables", "csv", faults) {
        let short = name.strip_prefix("tables").unwrap_or(&name).with_extension("");
        let short = short.to_string_lossy().replace('\\', "/");
        match Table::read(&bytes) {
            Ok(table) => tables.put(short, table),
            Err(wrong) => {
                faults.extend(wrong.into_iter().map(|wrong| in_table(&name, wrong)));
                tables.put_broken(short);
            }
        }
    }
    tables
}

fn in_table(name: &Path, wrong: Wrong) -> FileDiagnostic {
    let (line, column) = (wrong.line, wrong.column);
    FileDiagnostic { line, column, ..fault::in_file(&name.to_string_lossy(), wrong.code, wrong.why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_has_no_faults() {
        let engine = language::new();
        let (shelf, tables) = (Shelf::new(&engine), Tables::default());
        for (name, _) in SHIPPED {
            let (compiled, found) = compile_script(&engine, &shelf, &tables, &Purpose::unknown(name));
            assert!(compiled.is_some() && found.is_empty(), "{name}: {found:?}");
        }
    }
}
