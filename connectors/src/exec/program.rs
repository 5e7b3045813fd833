//! Finds the program that a channel names.

use std::{
    env,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// Where programs are when the engine itself has no `PATH`.
const USUAL: &str = "/usr/local/bin:/usr/bin:/bin";

/// The directories that are looked through, as the program sees them too.
pub(super) fn search_path() -> String {
    env::var("PATH").ok().filter(|path| !path.is_empty()).unwrap_or_else(|| USUAL.to_owned())
}

/// The whole path of a program; the error says what is missing.
pub(super) fn find(root: &Path, written: &str) -> Result<PathBuf, String> {
    if written.contains('/') {
        let path = std::path::absolute(root.join(written))
            .map_err(|error| format!("cannot tell where `{written}` is: {error}"))?;
        return runnable(&path).map(|()| path);
    }
    let path = search_path();
    let found =
        path.split(':').filter(|folder| !folder.is_empty()).map(|folder| Path::new(folder).join(written));
    let mut closest = None;
    for candidate in found {
        match runnable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) if candidate.is_file() => closest = Some(why),
            Err(_) => {}
        }
    }
    Err(closest.unwrap_or_else(|| format!("there is no program `{written}` in PATH ({path})")))
}

fn runnable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match path.metadata() {
        Err(error) => Err(format!("cannot run `{shown}`: {error}")),
        Ok(metadata) if metadata.is_dir() => Err(format!("cannot run `{shown}`: it is a folder")),
        Ok(_) => access(path, Access::EXEC_OK)
            .map_err(|error| format!("cannot run `{shown}`: {}", std::io::Error::from(error))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_is_found_in_path_or_from_the_projects_folder_on() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(folder.path(), "sh").unwrap().is_absolute());
        assert!(find(folder.path(), "no-such-program-here").unwrap_err().contains("in PATH"));
        assert!(find(folder.path(), "./load").unwrap_err().contains("No such file"));
        fs::write(folder.path().join("load"), "").unwrap();
        assert!(find(folder.path(), "./load").unwrap_err().contains("denied"));
        fs::create_dir(folder.path().join("bin")).unwrap();
        assert!(find(folder.path(), "./bin").unwrap_err().contains("folder"));
    }
}
