//! Reads, changes and de-identifies arbitrary bytes as a DICOM file.

#![no_main]

#[path = "../../formats/tests/everything/mod.rs"]
mod everything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| everything::dicom(bytes));
