//! What is shipped runs as it is: this repository as a project, every template, every page of an error.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use channels::{Colour, Expected, Options, Project, codes, explain, load, render_text, run_tests, templates};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn assert_sound(project: &Project) {
    assert!(project.faults.is_empty(), "{}", render_text(&project.faults, Colour::Plain));
    assert!(!project.channels.is_empty());
    for channel in &project.channels {
        assert!(channel.plan.is_some(), "{} has no plan", channel.name);
        assert!(!channel.tests.is_empty(), "{} has no tests", channel.name);
    }
    let results = run_tests(project, &[], Expected::Compare);
    let wrong: Vec<_> = results.iter().filter(|result| !result.passed()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(results.len(), project.channels.iter().map(|channel| channel.tests.len()).sum::<usize>());
}

#[test]
fn this_repository_is_a_sound_project_and_its_tests_pass() {
    let project = load(&repository(), &Options::default());
    assert_sound(&project);
    for channel in &project.channels {
        let text = fs::read_to_string(repository().join(&channel.file)).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=../docs/reference/channel.schema.json\n"));
    }
}

#[test]
fn every_template_is_a_sound_project_and_its_tests_pass() {
    assert!(!templates().is_empty());
    for template in templates() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in &template.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_sound(&load(folder.path(), &Options::default()));
    }
}

#[test]
fn every_channel_that_is_shipped_is_in_a_template() {
    let shipped: BTreeSet<_> = templates()
        .iter()
        .flat_map(|template| template.files.iter().map(|(path, _)| path.to_string()))
        .filter(|path| path.starts_with("channels/"))
        .collect();
    let there: BTreeSet<_> = fs::read_dir(repository().join("channels"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| format!("channels/{}", path.file_name().unwrap().to_string_lossy()))
        .collect();
    assert_eq!(shipped, there);
}

#[test]
fn every_code_has_a_page_and_every_page_is_a_code() {
    let pages: BTreeSet<String> = codes().map(str::to_owned).collect();
    let files: BTreeSet<String> = fs::read_dir(repository().join("docs/errors"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(pages, files, "the pages that are embedded are those of docs/errors");
    let source = source();
    let idle: Vec<_> = pages.iter().filter(|code| !source.contains(&format!("\"{code}\""))).collect();
    assert!(idle.is_empty(), "pages of no code: {idle:?}");
    let missing: Vec<_> = codes_of(&source).into_iter().filter(|code| !pages.contains(code)).collect();
    assert!(missing.is_empty(), "codes without a page: {missing:?}");
    for code in &pages {
        assert!(explain(code).unwrap().starts_with(&format!("# {code}\n")));
    }
}

/// What the crates that complain are made of, without their tests and without the list of pages itself.
fn source() -> String {
    let folders =
        ["channels", "connectors", "scripts", "server"].map(|name| repository().join(name).join("src"));
    let files = folders.iter().flat_map(|folder| rust_files(folder));
    let text =
        |file: PathBuf| fs::read_to_string(file).unwrap().split("#[cfg(test)]").next().unwrap().to_owned();
    files.filter(|file| !file.ends_with("explain.rs")).map(text).collect()
}

/// A code is given as a text where a complaint is made, or where a crate lists its own.
fn codes_of(source: &str) -> BTreeSet<String> {
    let made =
        regex::Regex::new(r#"(?:error|warning|Diagnostic::note|Flaw::new)\(\s*"([a-z0-9]+(?:-[a-z0-9]+)*)""#)
            .unwrap();
    let made = made.captures_iter(source).map(|found| found[1].to_owned());
    made.chain(scripts::CODES.iter().map(|code| (*code).to_owned())).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
