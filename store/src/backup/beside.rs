//! What lies beside a store's own files and belongs to its backup: the directory, and small files that others keep there.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Directory, failure::Failure};

/// A line is never longer.
const LONGEST: u64 = 1 << 20;

/// What a backup holds beside messages.
#[derive(Default)]
pub struct Beside {
    /// It is saved as it stands at the instant of the messages.
    pub directory: Option<Arc<Directory>>,
    /// Files of whole lines, and folders of such, in the store's folder; those that are there.
    pub files: &'static [&'static str],
}

/// Those of these that are there, and what their folders hold.
pub(super) fn found(store: &Path, files: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in files {
        let path = store.join(name);
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                // What is being written anew ends so, until it is put in place.
                let is_half = entry.path().extension().is_some_and(|end| {
                    let end = end.to_string_lossy();
                    end == "new" || end == "tmp" || end.ends_with("-new")
                });
                if entry.path().is_file() && !is_half {
                    found.push(Path::new(name).join(entry.file_name()));
                }
            }
        } else if path.is_file() {
            found.push(PathBuf::from(name));
        }
    }
    Ok(found)
}

/// Copies the whole lines of a file that may grow meanwhile; false where it has gone.
pub(super) fn copy(from: &Path, to: &Path) -> Result<bool, Failure> {
    let mut file = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Failure::Refused(format!("cannot read `{}`: {error}", from.display()))),
    };
    let length = whole_lines(&mut file)?;
    super::copy(Ok(file.take(length)), from, to)?;
    Ok(true)
}

/// How far the last whole line reaches; as far as the file, where it has none.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    (&mut *file).take(length - begin).read_to_end(&mut tail)?;
    file.rewind()?;
    let end = tail.iter().rposition(|byte| *byte == b'\n').map(|at| begin + at as u64 + 1);
    Ok(end.unwrap_or(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_at_the_end_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text, copied) in
            [("log", "one\ntwo\nthr", "one\ntwo\n"), ("whole", "one\n", "one\n"), ("word", "one", "one")]
        {
            fs::write(at(name), text).unwrap();
            let to = at(&format!("{name}.copy"));
            assert!(copy(&at(name), &to).unwrap());
            assert_eq!(fs::read_to_string(to).unwrap(), copied);
        }
        assert!(!copy(&at("missing"), &at("nothing")).unwrap());
    }

    #[test]
    fn a_folder_is_taken_without_what_is_half_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("notes")).unwrap();
        for name in ["a", "a.new", "b.away", "b.away-new", "c.search"] {
            fs::write(folder.path().join("notes").join(name), "x").unwrap();
        }
        let mut found = found(folder.path(), &["notes", "missing"]).unwrap();
        found.sort();
        assert_eq!(found, ["notes/a", "notes/b.away", "notes/c.search"].map(PathBuf::from));
    }
}
