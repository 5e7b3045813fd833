//! Reads, changes and takes apart arbitrary bytes as XML.

#![no_main]

#[path = "../../formats/tests/everything/mod.rs"]
mod everything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| everything::xml(bytes));
