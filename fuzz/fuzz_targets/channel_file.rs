//! Loads arbitrary bytes as the only channel file of a project: whatever they are, what is wrong is said.

#![no_main]

use channels::{Colour, Options, load, render_text};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let project = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = project.path().join("channels");
    std::fs::create_dir(&folder).expect("a folder can be made");
    std::fs::write(folder.join("fuzzed.yaml"), bytes).expect("a file can be written");
    let read = load(project.path(), &Options::default());
    let sound = read.channels.iter().any(|channel| channel.plan.is_some());
    assert!(sound || !read.faults.is_empty() || bytes.is_empty(), "nothing runs, and nothing is said");
    render_text(&read.faults, Colour::Plain);
});
