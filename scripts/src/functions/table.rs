//! Looks codes up in the project's tables.

use rhai::{Dynamic, ImmutableString, plugin::*};

use super::Outcome;
use crate::{part, run};

#[export_module]
pub(crate) mod functions {
    /// What a table (`tables/wards.csv`) has in one column where another holds a key; `()` where no row has it.
    ///
    /// ```rhai
    /// table("wards", "code", "CAR", "name") == "Cardiologie" && table("wards", "code", "?", "name") == ()
    /// ```
    #[rhai_fn(return_raw)]
    pub fn table(name: &str, column: &str, key: Dynamic, wanted: &str) -> Outcome<Dynamic> {
        let key = part::for_text(&key)?;
        let value: Option<ImmutableString> =
            run::tables()?.look_up(name, column, &key, wanted)?.map(Into::into);
        run::ask(|context| context.looked_up(name, &key, wanted, value.as_deref()))?;
        Ok(value.map_or(Dynamic::UNIT, Into::into))
    }

    /// As `table` with four arguments, with a value for keys that no row has.
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
        let found = table(name, column, key, wanted)?;
        Ok(if found.is_unit() { otherwise } else { found })
    }
}
