//! The JSON Schemas of the files of a project.

use serde_json::Value;

/// The schema of a channel file.
pub fn schema() -> Value {
    unimplemented!("being written")
}

/// The schema of `relais.yaml`.
pub fn settings_schema() -> Value {
    unimplemented!("being written")
}

/// The schema of a file of `environments/`.
pub fn environment_schema() -> Value {
    unimplemented!("being written")
}

/// The schema of a file of `sources/`.
pub fn source_schema() -> Value {
    unimplemented!("being written")
}
