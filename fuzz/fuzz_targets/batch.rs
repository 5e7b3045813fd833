//! Cuts arbitrary bytes as a batch and answers each message.

#![no_main]

#[path = "../../formats/tests/everything/mod.rs"]
#[allow(dead_code, reason = "each target plays a part of it")]
mod everything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| everything::batch(bytes));
