//! The tests of a channel. Whether their files are there shows when they run: a server needs none of them.

use engine::Path;

use super::reader::Reader;
use crate::{
    tests_file::{LookFile, LooksFile, TestFile},
    yaml::Node,
};

pub(super) fn tests(reader: &mut Reader<'_>) -> Vec<TestFile> {
    let places = reader.items(&Path::parse("tests"));
    let mut tests = Vec::new();
    for at in &places {
        let Some(test) = reader.read::<TestFile>(at) else { continue };
        others(reader, at, &test);
        looks(reader, at, &test);
        tests.push(test);
    }
    tests
}

/// The channels that the tests of a file name, and where.
pub(super) fn named(tree: &Node) -> Vec<(String, Path)> {
    let count = |at: &Path| tree.at(at).map_or(0, |list| list.items().len());
    let tests = Path::parse("tests");
    let others = (0..count(&tests)).map(|place| tests.join(place).join("others"));
    let channels = others.flat_map(|others| {
        let places = 0..count(&others);
        places.map(move |place| others.join(place).join("channel"))
    });
    let name = |at: Path| {
        let name = tree.at(&at)?.scalar().filter(|scalar| !scalar.unknown)?;
        Some((name.text.clone(), at))
    };
    channels.filter_map(name).collect()
}

fn others(reader: &mut Reader<'_>, at: &Path, test: &TestFile) {
    if test.answers.is_none() && !test.others.is_empty() {
        let message = "what else comes is looked at by `answers` alone, which is not there";
        reader.error("unused-field", &at.join("others"), message);
    }
    for (place, other) in test.others.iter().enumerate() {
        if other.after.is_some() && other.before.is_some() {
            let at = at.join("others").join(place).join("before");
            reader.error("conflicting-fields", &at, "it comes `after` the message or `before` it");
        }
    }
}

fn looks(reader: &mut Reader<'_>, at: &Path, test: &TestFile) {
    let Some(answers) = &test.answers else { return };
    let at = at.join("answers");
    if reader.tree.get("expect").is_none() {
        let message = "the channel expects no answers: it has no `expect`";
        reader.error("unused-field", &at, message);
    }
    for (place, look) in answers.list().iter().enumerate() {
        let LookFile { overdue, open, met, .. } = look;
        if overdue.is_none() && open.is_none() && met.is_none() {
            let at = if matches!(answers, LooksFile::One(_)) { at.clone() } else { at.join(place) };
            reader.error("missing-field", &at, "it says none of `overdue`, `open` and `met`");
        }
    }
}
