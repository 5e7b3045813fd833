//! The reference says what the code does: its blocks are checked, its tables and the schema are generated.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use channels::{Colour, Options, alert_schema, load, reference, render_text, schema, table_schema};

const BEGINS: &str = "<!-- generated from the settings of the connectors; UPDATE=1 writes it -->\n";
const ENDS: &str = "<!-- end -->\n";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/channel-file.md")
}

/// Compares a file with what it should hold, or writes it.
fn is_fresh(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, wanted).unwrap();
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    assert!(there == wanted, "{} is not what the code says: run with UPDATE=1", path.display());
}

#[test]
fn the_tables_of_settings_are_what_the_connectors_say() {
    let text = fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(BEGINS).unwrap();
    let (_, after) = rest.split_once(ENDS).unwrap();
    is_fresh(&page(), &format!("{before}{BEGINS}\n{}\n{ENDS}{after}", reference()));
}

#[test]
fn the_schemas_are_what_the_code_says() {
    for (name, schema) in [("channel", schema()), ("table", table_schema()), ("alert", alert_schema())] {
        let wanted = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        is_fresh(&page().with_file_name(format!("{name}.schema.json")), &wanted);
    }
}

/// The YAML blocks of the page, each with the word behind `yaml` and its line.
fn blocks(text: &str) -> Vec<(String, usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```yaml") else { continue };
        let block: String = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .fold(String::new(), joined);
        blocks.push((kind.trim().to_owned(), number + 1, block));
    }
    blocks
}

fn joined(mut block: String, line: &str) -> String {
    block.push_str(line);
    block.push('\n');
    block
}

fn indented(block: &str, by: &str) -> String {
    block.lines().fold(String::new(), |indented, line| joined(indented, &format!("{by}{line}")))
}

const SOURCE: &str = "source:\n  mllp: { listen: \"127.0.0.1:2599\" }\n";
const TWO: &str = "destinations:
  - name: record
    to:
      file: { dir: out }
  - name: archive
    to:
      file: { dir: out }
";

/// A whole channel around a block, or a file of another kind.
fn file_of(kind: &str, block: &str) -> (&'static str, String) {
    let channel = "channels/page.yaml";
    let name = "name: page\n";
    match kind {
        "" => (channel, block.to_owned()),
        "settings" => ("relais.yaml", block.to_owned()),
        "part" => (channel, format!("{block}{name}{SOURCE}{TWO}")),
        "steps" => (channel, format!("{name}{SOURCE}steps:\n{}{TWO}", indented(block, "  "))),
        "keys" if block.contains("source:") => (channel, format!("{name}{block}{TWO}")),
        "keys" => (channel, format!("{name}{SOURCE}{block}{TWO}")),
        "destinations" => (channel, format!("{name}{SOURCE}destinations:\n{}", indented(block, "  "))),
        "destination" => {
            let to = indented(block, "      ");
            (channel, format!("{name}{SOURCE}destinations:\n  - name: one\n    to:\n{to}"))
        }
        "source" => (channel, format!("{name}source:\n{}{TWO}", indented(block, "  "))),
        "tests" => (channel, format!("{name}{SOURCE}{TWO}tests:\n{}", indented(block, "  "))),
        other => panic!("no block is of the kind `{other}`"),
    }
}

/// What the blocks of the page speak of.
const AROUND: &[(&str, &str)] = &[
    ("scripts/clean.rhai", "msg"),
    ("scripts/read_outcome.rhai", "if response.code == \"AE\" { retry(\"busy\") }"),
    ("tables/wards.csv", "code,name\nCAR,Cardiology\n"),
    ("sources/shared.yaml", "mllp: { listen: \"0.0.0.0:2575\" }\n"),
    ("channels/ward.yaml", "name: ward\nsource: { channel: {} }\ndestinations: []\n"),
    ("channels/results.yaml", "name: results\nsource: { channel: {} }\ndestinations: []\n"),
    ("channels/lab-results.yaml", "name: fed\nsource: { channel: {} }\ndestinations: []\n"),
    ("secrets/files", "a password\n"),
    ("secrets/esante", "a key\n"),
    ("messages/k-high.hl7", ""),
    ("messages/k-preliminary.hl7", ""),
    ("messages/two-orders.hl7", ""),
];

fn faults_of(kind: &str, block: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (path, text) in AROUND {
        write(path, text);
    }
    // What the connectors' examples feed.
    if kind == "destination" {
        write("channels/lab-results.yaml", "name: lab-results\nsource: { channel: {} }\ndestinations: []\n");
    }
    let (path, text) = file_of(kind, block);
    write(path, &text);
    let variables = BTreeMap::from([("RECORD_HOST".to_owned(), "record.example.org".to_owned())]);
    let options = Options { variables, ..Options::default() };
    render_text(&load(folder.path(), &options).faults, Colour::Plain)
}

#[test]
fn every_block_of_the_page_is_sound() {
    let text = fs::read_to_string(page()).unwrap();
    let blocks = blocks(&text);
    assert!(blocks.len() > 10);
    for (kind, line, block) in blocks {
        let faults = faults_of(&kind, &block);
        assert!(faults.is_empty(), "the block in line {line}:\n{faults}");
    }
}
