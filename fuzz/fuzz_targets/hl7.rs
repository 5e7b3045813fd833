//! Reads, changes and groups arbitrary bytes as a message.

#![no_main]

#[path = "../../formats/tests/everything/mod.rs"]
#[allow(dead_code, reason = "each target plays a part of it")]
mod everything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| everything::hl7(bytes));
