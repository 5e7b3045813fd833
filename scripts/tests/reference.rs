//! The reference page is what the code says, and its examples are true.

mod channel;

use std::{collections::BTreeMap, fs, path::Path};

use channel::{Channel, ORU, at, outlet};
use engine::{Answered, Piece, Route, Script};
use scripts::{At, Format, StepFile};

#[test]
fn the_reference_page_is_what_the_code_says() {
    assert_is_current("functions.md", &scripts::reference());
}

#[test]
fn the_page_of_the_shipped_scripts_is_what_they_say() {
    assert_is_current("library.md", &scripts::library_reference());
}

fn assert_is_current(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, page).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/reference/{name} is old: run `UPDATE=1 cargo test -p scripts`");
}

#[test]
fn every_example_of_the_reference_page_is_true() {
    assert_eq!(scripts::EXAMPLE.replace('\n', "\r") + "\r", ORU);
    let page = scripts::reference();
    let examples: Vec<&str> =
        page.split("```rhai\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() > 60, "{} examples", examples.len());
    for example in examples {
        let result = holds(example);
        assert!(matches!(result, Ok(Route::Goes(_))), "{example}\n{result:?}");
    }
}

/// Runs an example as the filter of a destination that waits for another one: it sees all there is.
fn holds(example: &str) -> Result<Route, engine::Halt> {
    let mut waiting = outlet("record");
    waiting.after = Some("archive".to_owned());
    waiting.steps = vec![At::new(engine::Path::parse("steps.0"), StepFile::Filter(example.to_owned()))];
    waiting.texts = vec![("name".to_owned(), at("name", "${msg[\"MSH-10\"]}"))];
    let mut channel = Channel::new(Format::Hl7).outlet(waiting).outlet(outlet("archive"));
    channel = channel.outlet(outlet("nobody"));
    let answered = Answered { body: Some("stored".to_owned()), ..Answered::default() };
    let mut context = channel::context();
    context.responses = BTreeMap::from([("archive".to_owned(), answered)]);
    let piece = Piece::whole(&channel::message(ORU.to_owned()));
    let program = channel.compile().unwrap_or_else(|faults| panic!("{example}\n{faults:#?}"));
    program.complete(&piece, 0, &context)
}
