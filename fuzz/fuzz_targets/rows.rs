//! Reads, changes and takes apart arbitrary bytes as CSV, as fixed width and as HPRIM.

#![no_main]

#[path = "../../formats/tests/everything/mod.rs"]
mod everything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| everything::rows(bytes));
