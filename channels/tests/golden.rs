//! Projects with faults, and exactly what is said of them. `UPDATE=1` writes what is said.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use channels::{Colour, Options, Secrets, load, render_text};

#[test]
fn what_is_said_of_each_project_is_what_its_file_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    for project in projects(&folder) {
        let said = said(&project);
        let file = project.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &said).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", project.display()));
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE=1 if this is right:\n\n{}", wrong.join("\n\n"));
}

fn projects(folder: &Path) -> Vec<PathBuf> {
    let mut projects: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    projects.retain(|path| path.is_dir());
    projects.sort();
    projects
}

fn said(project: &Path) -> String {
    let options = Options {
        environment: project.join("environments/test.yaml").exists().then(|| "test".to_owned()),
        secrets: Secrets::TakenAsPresent,
        strict: false,
        variables: BTreeMap::from([("PASSWORD".to_owned(), "hunter2-secret".to_owned())]),
    };
    let read = load(project, &options);
    let mut said = render_text(&read.faults, Colour::Plain);
    for channel in &read.channels {
        let ready = if channel.plan.is_some() { "ready" } else { "not ready" };
        let _ = write!(
            said,
            "\n\n{}: {ready}, {} faults, {} warnings",
            channel.name, channel.faults, channel.warnings
        );
    }
    assert!(!said.contains("hunter2"), "a secret was printed");
    said.trim_start().to_owned() + "\n"
}
