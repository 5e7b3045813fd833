//! JSON as text, and as values.

use rhai::{Dynamic, plugin::*};

use super::Outcome;
use crate::{json, run::too_large};

/// As many as a list and a map may have together, and their brackets.
const MOST_VALUES: usize = 400_000;

#[export_module]
pub(crate) mod functions {
    /// Reads JSON into maps, lists and plain values. Numbers keep their digits, `null` becomes `()`.
    ///
    /// ```rhai
    /// let read = parse_json(`{"a": [1.50]}`); read.a[0].to_string() == "1.50"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse_json(text: &str) -> Outcome<Dynamic> {
        // Each value has one of these before it: more values than lists and maps may have are not read.
        let most = text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
        if most > MOST_VALUES && json::count_values(text) > MOST_VALUES {
            return too_large("Size of document");
        }
        Ok(json::to_dynamic(&json::read(text)?))
    }

    /// Writes a value as JSON text. A time becomes an ISO time.
    ///
    /// ```rhai
    /// #{code: "K", value: 6.10}.to_json() == `{"code":"K","value":6.10}`
    /// ```
    #[rhai_fn(return_raw)]
    pub fn to_json(value: Dynamic) -> Outcome<String> {
        Ok(json::from_dynamic(&value)?.to_string())
    }

    /// As `to_json(value)`.
    #[rhai_fn(name = "to_json", return_raw)]
    pub fn map_to_json(value: rhai::Map) -> Outcome<String> {
        to_json(Dynamic::from_map(value))
    }

    /// As `to_json(value)`.
    #[rhai_fn(name = "to_json", return_raw)]
    pub fn list_to_json(value: rhai::Array) -> Outcome<String> {
        to_json(Dynamic::from_array(value))
    }
}
