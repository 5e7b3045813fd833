//! Finds the files of a project's folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{FileDiagnostic, fault};

/// Folders within folders that are looked into; a link that leads back ends here.
const DEEPEST: usize = 8;

/// Every file with an extension below a folder of the project, by its path from the project, in order.
pub(super) fn read(
    root: &Path,
    folder: &str,
    extension: &str,
    faults: &mut Vec<FileDiagnostic>,
) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    find(root, Path::new(folder), extension, &mut found, DEEPEST);
    found.sort();
    let mut files = Vec::new();
    for name in found {
        match fs::read(root.join(&name)) {
            Ok(bytes) => files.push((name, bytes)),
            Err(error) => {
                let code = if extension == "csv" { "table-broken" } else { "script-syntax" };
                let why = format!("the file cannot be read: {error}");
                faults.push(fault::in_file(&name.to_string_lossy(), code, why));
            }
        }
    }
    files
}

/// A folder that is not there holds nothing.
fn find(root: &Path, folder: &Path, extension: &str, found: &mut Vec<PathBuf>, deeper: usize) {
    let entries = fs::read_dir(root.join(folder)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.unwrap_or_default() {
        let name = folder.join(entry.file_name());
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let path = entry.path();
        if path.is_dir() && deeper > 0 && !is_hidden {
            find(root, &name, extension, found, deeper - 1);
        } else if path.is_file() && !is_hidden && path.extension().is_some_and(|is| is == extension) {
            found.push(name);
        }
    }
}
