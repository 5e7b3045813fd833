//! Reads a project: its channel files, settings and tests, with everything wrong about them in one run.

mod channel;
mod cross;
mod destination_file;
mod explain;
mod fault;
mod file;
mod files;
mod lint;
mod load;
mod near;
mod project;
mod reading;
mod reference;
mod report;
mod schema;
mod settings;
mod shape;
mod templates;
mod tests_file;
mod trial;
mod values;
mod variables;
mod yaml;

pub use channel::Channel;
pub use explain::{codes, explain};
pub use fault::{Colour, Fault, render_text, to_json};
pub use load::load;
pub use project::{Options, Project, Secrets};
pub use reference::reference;
pub use schema::{environment_schema, schema, settings_schema, source_schema};
pub use settings::{LogFormat, LogLevel, LogSettings, Reload, ServerSettings, StoreSettings};
pub use templates::{Template, templates};
pub use trial::{Expected, Problem, TestResult, junit, run_tests};
