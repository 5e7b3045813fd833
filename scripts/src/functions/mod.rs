//! What scripts can call beside Rhai's own: one file for each area, documented where it is written.

// Rhai's macro registers what is `pub`, takes arguments by value, and unwraps their types in what it writes.
#![allow(unreachable_pub, clippy::wildcard_imports, clippy::unwrap_used, clippy::needless_pass_by_value)]

use rhai::{Engine, exported_module};

mod context;
mod dicom;
mod elements;
mod encoding;
mod endings;
mod fhir;
mod fhir_values;
mod json;
mod message;
mod number;
mod regex;
mod rows;
mod segment;
mod table;
mod text;
mod time;

pub(crate) use context::{Asks, Responses};
pub(crate) use number::read as read_number;
pub(crate) use rows::hprim as read_hprim;

/// The areas as the reference page shows them: a heading, and the functions beneath it.
pub(crate) fn areas() -> Vec<(&'static str, rhai::Module)> {
    vec![
        ("The message (HL7)", exported_module!(message::functions)),
        ("Segments", exported_module!(segment::functions)),
        ("From HL7 to FHIR: the Bundle", exported_module!(fhir::functions)),
        ("From HL7 to FHIR: values", exported_module!(fhir_values::functions)),
        ("Ending a message", exported_module!(endings::functions)),
        ("Code tables", exported_module!(table::functions)),
        ("What is not in the message", exported_module!(context::functions)),
        ("Dates and times", exported_module!(time::functions)),
        ("Text", exported_module!(text::functions)),
        ("Patterns", exported_module!(regex::functions)),
        ("Numbers", exported_module!(number::functions)),
        ("JSON", exported_module!(json::functions)),
        ("Rows: CSV, fixed width, HPRIM Médecins", exported_module!(rows::functions)),
        ("XML", exported_module!(elements::functions)),
        ("DICOM", exported_module!(dicom::functions)),
        ("Encodings", exported_module!(encoding::functions)),
    ]
}

/// All areas in one module, as each module is looked through for each function that is called.
pub(crate) fn register(engine: &mut Engine) {
    let mut all = rhai::Module::new();
    for (_, module) in areas() {
        all.combine(module);
    }
    all.build_index();
    engine.register_global_module(all.into());
    engine
        .register_type_with_name::<crate::fhir::Draft>("bundle")
        .register_type_with_name::<crate::fhir::Order>("order");
}

/// What a function that can fail gives back.
pub(crate) type Outcome<T> = Result<T, Box<rhai::EvalAltResult>>;

/// An error in words.
pub(crate) fn broke<T>(error: impl ToString) -> Outcome<T> {
    Err(error.to_string().into())
}
