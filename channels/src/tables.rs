//! The tables whose rows servers hold: the files `tables/*.yaml`.

use std::{path::Path as FilePath, path::PathBuf, sync::Arc};

use connectors::tables::{self, TableFile};
use engine::{Checks, Path, Register, Severity};
use scripts::{OnMissing, Served};

use crate::{
    load::{stem, yaml_files},
    reading::{Reader, plain},
    report::Report,
    schema::table_schema,
    shape::Shape,
    yaml::Node,
};

/// A table of a server, as its file declares it.
pub struct ServedTable {
    /// From the project's folder.
    pub file: PathBuf,
    pub register: Arc<dyn Register>,
    pub(crate) tree: Node,
}

/// Reads them all; says everything that is wrong with them.
pub(crate) fn tables(report: &mut Report, root: &FilePath) -> (Vec<Served>, Vec<ServedTable>) {
    let schema = table_schema();
    let (mut served, mut read) = (Vec::new(), Vec::new());
    for file in yaml_files(report, root, "tables") {
        let name = stem(&file);
        let Some((number, tree)) = report.read_yaml(&file) else {
            served.push(Served { name, text: String::new(), register: None, on_missing: OnMissing::Pass });
            continue;
        };
        let text = report.files.get(number).text.to_string();
        let (tree, register, on_missing) = table(report, tree, Shape::new(&schema), root);
        served.push(Served { name, text, register: register.clone(), on_missing });
        read.extend(register.map(|register| ServedTable { file, register, tree }));
    }
    (served, read)
}

/// One table; none where its file has faults.
fn table(
    report: &mut Report,
    mut tree: Node,
    shape: Shape<'_>,
    root: &FilePath,
) -> (Node, Option<Arc<dyn Register>>, OnMissing) {
    let found = Reader::fill(&mut tree, shape, report);
    let whole = Path::default();
    let mut reader = Reader::new(&tree, shape, found);
    let (mut register, mut on_missing) = (None, OnMissing::Pass);
    if let Some(value) = reader.value(&whole) {
        match TableFile::read(value) {
            Ok(file) => {
                let mut found = Vec::new();
                file.check(root, &mut Checks::new(whole.clone(), &mut found));
                let is_sound = found.is_empty();
                on_missing = meant(file.on_missing());
                reader.take_checks(&whole, found);
                register = is_sound.then(|| file.register(root)).and_then(Result::ok);
            }
            Err(misfit) => reader.misfit(&whole, &plain(&misfit.at), &misfit.message),
        }
    }
    let found = reader.found;
    let is_sound = !found.iter().any(|fault| fault.severity == Severity::Error);
    for fault in found {
        report.add(&tree, fault);
    }
    (tree, register.filter(|_| is_sound), on_missing)
}

fn meant(on_missing: tables::OnMissing) -> OnMissing {
    match on_missing {
        tables::OnMissing::Pass => OnMissing::Pass,
        tables::OnMissing::Hold => OnMissing::Hold,
        tables::OnMissing::Refuse => OnMissing::Refuse,
    }
}
