//! Looks codes up in the project's tables.

use rhai::{Dynamic, ImmutableString, Map, plugin::*};

use super::Outcome;
use crate::lookup::Lookup;

#[export_module]
pub(crate) mod functions {
    /// What a table (`tables/wards.csv`) has in one column where another holds a key. Where no row has it: `()`, or what
    /// the table says above its columns (`# on_missing: hold`, or `refuse`).
    ///
    /// ```rhai
    /// table("wards", "code", "CAR", "name") == "Cardiologie" && table("wards", "code", "?", "name") == ()
    /// ```
    #[rhai_fn(return_raw)]
    pub fn table(name: &str, column: &str, key: Dynamic, wanted: &str) -> Outcome<Dynamic> {
        Lookup::by_one(column, &key)?.find(name, wanted)
    }

    /// As `table` with four arguments, with a value for keys that no row has, whatever the table says of them.
    ///
    /// ```rhai
    /// table("wards", "code", "?", "name", "unknown") == "unknown"
    /// ```
    #[rhai_fn(name = "table", return_raw)]
    pub fn table_or(
        name: &str,
        column: &str,
        key: Dynamic,
        wanted: &str,
        otherwise: Dynamic,
    ) -> Outcome<Dynamic> {
        let found = Lookup::by_one(column, &key)?.find_if_any(name, wanted)?;
        Ok(if found.is_unit() { otherwise } else { found })
    }

    /// As `table` with four arguments, where several columns must hold what the map says. `sender` in it says whose
    /// rows are meant, beside those for every sender; `valid_at`, a time or text of one, the day on which the row must
    /// be valid: today where it is empty or not said.
    ///
    /// ```rhai
    /// table("wards", #{ code: "CAR", name: "Cardiologie" }, "code") == "CAR"
    /// ```
    #[rhai_fn(name = "table", return_raw)]
    pub fn table_by(name: &str, keys: Map, wanted: &str) -> Outcome<Dynamic> {
        Lookup::by_all(&keys)?.find(name, wanted)
    }

    /// As `table` with a map, with a value for keys that no row has, whatever the table says of them.
    ///
    /// ```rhai
    /// table("wards", #{ code: "CAR", name: "Urgences" }, "code", "unknown") == "unknown"
    /// ```
    #[rhai_fn(name = "table", return_raw)]
    pub fn table_by_or(
        name: &str,
        keys: Map,
        wanted: ImmutableString,
        otherwise: Dynamic,
    ) -> Outcome<Dynamic> {
        let found = Lookup::by_all(&keys)?.find_if_any(name, &wanted)?;
        Ok(if found.is_unit() { otherwise } else { found })
    }
}
