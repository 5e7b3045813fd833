//! What is done to messages: a channel's steps, written in Rhai, compiled once and run on each message.
//!
//! A step has no effect on the outside. It sees the message, what its source knew, and what it asks of
//! [`engine::Context`], which records the answers; so it may be run again at will.

mod answers;
mod assemble;
mod callbacks;
mod code;
mod compile;
mod cut;
mod dicom;
mod directory;
mod document;
mod elements;
mod ending;
mod fault;
mod fhir;
mod file;
mod form;
mod functions;
mod given;
mod group;
mod handle;
mod json;
mod keys;
mod language;
mod library;
mod lint;
mod lookup;
mod nearest;
mod nested;
mod part;
mod paths;
mod pieces;
mod program;
mod read;
mod reference;
mod row_path;
mod run;
mod shape;
mod sheet;
mod step;
mod table;
mod template;
mod time;
mod tree;

pub use assemble::compile;
pub use fault::{CODES, Fault, FileDiagnostic};
pub use file::{
    At, DeidentifyFile, ExpectFile, Format, GroupFile, KnownBy, Limits, OutletFile, ProgramFile, SplitFile,
    StepFile, Whereabouts,
};
pub use library::{Library, Uses};
pub use program::Program;
pub use reference::{EXAMPLE, library_reference, reference};
pub use table::{OnMissing, Served};
pub use template::{is_template, unescape};
