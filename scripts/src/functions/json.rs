//! JSON as text, and as values.

use std::collections::HashSet;

use rhai::{Array, Dynamic, ImmutableString, Map, plugin::*};

use super::Outcome;
use crate::{json, pieces::list_of, run::too_large, tree::Tree};

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

    /// What the members of a group have under these names, each combination once, in the order in which they came. Names that
    /// hold nothing are left out. So a script need not hold all of a large group at once.
    ///
    /// ```rhai
    /// let group = parse_json(`{"members": [{"msg": {"a": "1"}}, {"msg": {"a": "1", "b": "2"}}]}`);
    /// group.distinct(["a"]).len() == 1 && group.distinct(["a", "b"])[1].b == "2"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn distinct(group: &mut Map, names: Array) -> Outcome<Array> {
        combinations(group.get("members"), &names)
    }

    /// As `group.distinct(names)`, of `msg` itself.
    #[rhai_fn(name = "distinct", return_raw, pure)]
    pub fn distinct_of_message(group: &mut Tree, names: Array) -> Outcome<Array> {
        group.with(|root| {
            combinations(root.read_lock::<Map>().and_then(|map| map.get("members").cloned()).as_ref(), &names)
        })
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
    pub fn map_to_json(value: Map) -> Outcome<String> {
        to_json(Dynamic::from_map(value))
    }

    /// As `to_json(value)`.
    #[rhai_fn(name = "to_json", return_raw)]
    pub fn list_to_json(value: Array) -> Outcome<String> {
        to_json(Dynamic::from_array(value))
    }
}

/// Each combination of what stands under these names in `msg` of the members.
fn combinations(members: Option<&Dynamic>, names: &Array) -> Outcome<Array> {
    let names: Vec<ImmutableString> =
        names.iter().filter_map(|name| name.clone().into_immutable_string().ok()).collect();
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let members = members.and_then(Dynamic::read_lock::<Array>);
    for member in members.iter().flat_map(|members| members.iter()) {
        let member = member.read_lock::<Map>();
        let Some(brought) = member.as_ref().and_then(|member| member.get("msg")) else { continue };
        let Some(brought) = brought.read_lock::<Map>() else { continue };
        let mut row = Map::new();
        let mut key = String::new();
        for name in &names {
            key.push('\u{1f}');
            let value = brought.get(name.as_str()).filter(|value| !value.is_unit());
            if let Some(value) = value {
                key.push_str(&value.to_string());
                row.insert(name.as_str().into(), value.clone());
            }
        }
        if !row.is_empty() && seen.insert(key) {
            found.push(row);
        }
    }
    list_of(found.into_iter().map(Dynamic::from_map))
}
