//! What the guide shows is sound: its channels check clean, and the first channel's own tests pass.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by stopping there")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use tests::Project;

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut pages: Vec<PathBuf> =
        fs::read_dir(root.join("docs/guide")).unwrap().map(|page| page.unwrap().path()).collect();
    // Its pictures lie in a folder.
    pages.retain(|page| page.is_file());
    pages.push(root.join("README.md"));
    pages.push(root.join("examples/lab/README.md"));
    pages.push(root.join("examples/file-flow/README.md"));
    pages.push(root.join("examples/annuaire/README.md"));
    pages.push(root.join("examples/imaging/README.md"));
    pages
}

fn page(name: &str) -> String {
    let pages = pages();
    fs::read_to_string(pages.iter().find(|page| page.ends_with(name)).unwrap()).unwrap()
}

/// The blocks of a page that are marked so.
fn blocks<'page>(page: &'page str, mark: &str) -> Vec<&'page str> {
    let start = format!("\n```{mark}\n");
    page.split(&start).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// A new project, as `relais new` makes it, with the tables that the guide writes.
fn hospital() -> Project {
    let project = Project::new();
    let made = project.relais(&["new", "hospital"]);
    assert!(made.status.success(), "{}", words(&made));
    project.write("hospital/tables/wards.csv", "code,name\nSUR,Surgery\nCAR,Cardiology\n");
    project.write("hospital/secrets/esante", "a key\n");
    project.write("hospital/secrets/deidentify", "a key that is long enough\n");
    let imaging = page("imaging.md");
    let worklist =
        blocks(&imaging, "yaml").into_iter().find(|block| block.starts_with("# tables/worklist.yaml"));
    project.write("hospital/tables/worklist.yaml", worklist.unwrap());
    project.write("hospital/tables/tests.csv", blocks(&page("tables.md"), "csv tests")[0]);
    project
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_channel_of_the_guide_checks_clean() {
    let mut seen = 0;
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for block in blocks(&text, "yaml").iter().filter(|block| block.starts_with("name:")) {
            let project = hospital();
            project.write("hospital/channels/guide.yaml", block);
            let checked = project.relais(&["check", "--strict", "hospital"]);
            assert!(checked.status.success(), "{}:\n{}", path.display(), words(&checked));
            seen += 1;
        }
    }
    assert!(seen >= 3, "the guide shows {seen} channels");
}

#[test]
fn the_first_channel_passes_its_own_tests_with_its_script() {
    let text = page("first-channel.md");
    let channel = blocks(&text, "yaml")[0];
    let step = blocks(&text, "yaml steps")[0];
    let tests = blocks(&text, "yaml tests")[0];
    let channel = channel.replace("\ndestinations:", &format!("{step}\ndestinations:"));
    let script = blocks(&text, "rhai")[0];

    let project = hospital();
    project.write("hospital/channels/admissions.yaml", format!("{channel}\n{tests}"));
    project.write("hospital/scripts/room.rhai", script);
    // The message that the guide sends comes with the project.
    let tested = project.relais(&["test", "hospital", "admissions"]);
    assert!(tested.status.success(), "{}", words(&tested));
    assert!(words(&tested).contains("2 tests, all passed"), "{}", words(&tested));
}

#[test]
fn no_page_leads_nowhere() {
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = path.parent().unwrap().join(link);
            assert!(link.starts_with("http") || target.exists(), "{}: {link}", path.display());
        }
    }
}
