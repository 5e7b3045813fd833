//! Reads a project: its channel files, settings and tests, with everything wrong about them in one run.

mod channel;
mod explain;
mod fault;
mod project;
mod schema;
mod settings;
mod templates;
mod trial;

pub use channel::Channel;
pub use explain::{codes, explain};
pub use fault::{Colour, Fault, render_text, to_json};
pub use project::{Options, Project, Secrets, load};
pub use schema::{environment_schema, schema, settings_schema, source_schema};
pub use settings::{LogFormat, LogLevel, LogSettings, Reload, ServerSettings, StoreSettings};
pub use templates::{Template, templates};
pub use trial::{Expected, Problem, TestResult, junit, run_tests};
