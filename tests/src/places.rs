//! Where the tests find what this repository does not hold: messages of others, and programs of others.

use std::{env, path::PathBuf};

use crate::binary;

/// The folder of test messages with this name.
pub fn corpus(folder: &str) -> PathBuf {
    let root = env::var_os("RELAIS_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")),
        PathBuf::from,
    );
    let found = root.join(folder);
    assert!(
        found.is_dir(),
        "the corpus of test messages is missing: set RELAIS_CORPUS to the folder that holds `{folder}` (looked in {})",
        root.display()
    );
    found
}

/// A program that `tests/run` has installed, by its path below the folder of peers.
pub fn installed(path: &str) -> PathBuf {
    let root = env::var_os("RELAIS_PEERS").map_or_else(usual_peers, PathBuf::from);
    let found = root.join(path);
    assert!(
        found.exists(),
        "{} is missing: `tests/run` installs it, or set RELAIS_PEERS to where it did",
        found.display()
    );
    found
}

/// The folder of the files that `pydicom` is tested with.
pub fn pydicom_files() -> PathBuf {
    let libraries = installed("python/lib");
    let versions = std::fs::read_dir(&libraries).expect("a folder can be listed");
    let found = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/pydicom/data/test_files")))
        .find(|folder| folder.is_dir());
    found.unwrap_or_else(|| {
        panic!("there is no pydicom beneath {}: `tests/run` installs it", libraries.display())
    })
}

/// `tests/run` installs them beside the profiles of cargo's target folder.
fn usual_peers() -> PathBuf {
    let binary = binary();
    let target = binary.ancestors().nth(2).expect("the binary lies in target/PROFILE");
    target.join("peers")
}
