//! Looks at what code asks of tables: the tables, the columns, and for whom and when.

use engine::Register;
use rhai::{Dynamic, Expr, Map, Position};

use super::Look;
use crate::{
    directory,
    nearest::nearest,
    table::{DAY, RESERVED, SENDER, Table},
};

impl Look<'_, '_> {
    /// A call of `table(…)`.
    pub(super) fn table(&mut self, arguments: &[Expr]) {
        let Some(first) = arguments.first() else { return };
        let Expr::StringConstant(name, position) = first else {
            let all: Vec<String> = self.around.tables.names().map(str::to_owned).collect();
            self.seen.tables.extend(all.clone());
            self.seen.strict_tables.extend(all);
            return;
        };
        if directory::kind(name).is_some() {
            return self.of_directory(name, &arguments[1..]);
        }
        if let Some(register) = self.around.tables.served(name) {
            self.seen.tables.insert(name.to_string());
            if is_strict(arguments) {
                self.seen.strict_tables.insert(name.to_string());
            }
            return self.asked_of_server((name, register.as_ref()), &arguments[1..]);
        }
        if self.around.tables.is_broken(name) {
            let message = format!("the table `{name}` has faults, and cannot be used");
            return self.complain("table-broken", *position, message);
        }
        let tables = self.around.tables;
        let Some(table) = tables.get(name) else {
            let help = nearest(name, tables.names());
            let message = format!(
                "there is no table `{name}`: it would be `tables/{name}.csv` or `tables/{name}.yaml`"
            );
            return self.complain_with("unknown-table", *position, message, help);
        };
        self.seen.tables.insert(name.to_string());
        if is_strict(arguments) {
            self.seen.strict_tables.insert(name.to_string());
        }
        self.asked((name, table), &arguments[1..]);
    }

    /// What is asked of a table that is the directory.
    fn of_directory(&mut self, name: &str, asked: &[Expr]) {
        let (keys, wanted): (Vec<(String, Position)>, Option<&Expr>) = match asked {
            [Expr::Map(map, _), wanted, ..] => {
                (map.0.iter().map(|(key, _)| (key.name.to_string(), key.pos)).collect(), Some(wanted))
            }
            [Expr::DynamicConstant(constant, position), wanted, ..] => {
                (names_of(constant).into_iter().map(|key| (key, *position)).collect(), Some(wanted))
            }
            [Expr::StringConstant(column, position), _, wanted, ..] => {
                (vec![(column.to_string(), *position)], Some(wanted))
            }
            _ => (Vec::new(), None),
        };
        for (key, position) in keys {
            if !directory::KEYS.contains(&key.as_str()) {
                let message =
                    format!("rows of `{name}` are not found by `{key}`: {}", directory::KEYS.join(", "));
                self.complain("unknown-column", position, message);
            }
        }
        if let Some(Expr::StringConstant(column, position)) = wanted
            && !directory::COLUMNS.contains(&column.as_str())
        {
            let help = nearest(column, directory::COLUMNS.into_iter());
            let message = format!("the table `{name}` has no column `{column}`");
            self.complain_with("unknown-column", *position, message, help);
        }
    }

    /// What is asked of a table: a column, its key and the wanted column, or a map and the wanted column.
    fn asked(&mut self, of: (&str, &Table), asked: &[Expr]) {
        match asked {
            [Expr::Map(map, position), wanted, ..] => {
                let names = map.0.iter().map(|(key, _)| (&*key.name, key.pos));
                self.keys(of, &names.collect::<Vec<_>>(), *position);
                self.column(of, wanted);
            }
            [Expr::DynamicConstant(constant, position), wanted, ..] => {
                let names = names_of(constant);
                let names = names.iter().map(|name| (name.as_str(), *position));
                self.keys(of, &names.collect::<Vec<_>>(), *position);
                self.column(of, wanted);
            }
            [Expr::StringConstant(_, position), _] => {
                let message =
                    "with three arguments, `table` takes a map: `table(\"wards\", #{ code: x }, \"name\")`";
                self.complain("unknown-function", *position, message);
            }
            [column @ Expr::StringConstant(_, position), _, wanted, ..] => {
                self.column(of, column);
                self.column(of, wanted);
                self.senders(of, &[], *position);
            }
            // A map, or a column, that has a name is known when it runs.
            [_, wanted] | [_, _, wanted, _] => self.column(of, wanted),
            _ => {}
        }
    }

    /// The same of a table whose rows a server holds: all its keys are said, and no others.
    fn asked_of_server(&mut self, (name, register): (&str, &dyn Register), asked: &[Expr]) {
        let (keys, wanted) = match asked {
            [Expr::Map(map, position), wanted, ..] => {
                let names: Vec<&str> = map.0.iter().map(|(key, _)| &*key.name).collect();
                (Some((names.iter().map(ToString::to_string).collect(), *position)), wanted)
            }
            [Expr::DynamicConstant(constant, position), wanted, ..] => {
                (Some((names_of(constant), *position)), wanted)
            }
            [Expr::StringConstant(key, position), _, wanted, ..] => {
                (Some((vec![key.to_string()], *position)), wanted)
            }
            // What has a name is known when it runs.
            [_, wanted] | [_, _, wanted, ..] => (None, wanted),
            _ => return,
        };
        let is_asked = |said: &Vec<String>| {
            said.len() == register.keys().len() && said.iter().all(|key| register.keys().contains(key))
        };
        if let Some((said, position)) = keys.filter(|(said, _)| !is_asked(said)) {
            let message = format!("the table `{name}` is asked by `{}`", register.keys().join("`, `"));
            let unknown = said.iter().find(|key| !register.keys().contains(key));
            let help = unknown.and_then(|key| nearest(key, register.keys().iter().map(String::as_str)));
            self.complain_with("unknown-column", position, message, help);
        }
        if let (Some(columns), Expr::StringConstant(wanted, position)) = (register.columns(), wanted)
            && !columns.iter().any(|column| column == wanted.as_str())
        {
            let help = nearest(wanted, columns.iter().map(String::as_str));
            let message = format!("the table `{name}` has no column `{wanted}`");
            self.complain_with("unknown-column", *position, message, help);
        }
    }

    fn keys(&mut self, of: (&str, &Table), names: &[(&str, Position)], position: Position) {
        let (name, table) = of;
        for (key, position) in names {
            match *key {
                SENDER if table.has_senders() => {}
                DAY if table.has_days() => {}
                DAY => {
                    let message =
                        format!("the table `{name}` has no days: neither `valid_from` nor `valid_to`");
                    self.complain("unknown-column", *position, message);
                }
                "valid_from" | "valid_to" => {
                    let message = format!("a day is asked by `{DAY}`");
                    self.complain("unknown-column", *position, message);
                }
                key => self.is_column(of, key, *position),
            }
        }
        if names.iter().all(|(key, _)| *key == DAY || RESERVED.contains(key)) {
            let message = "a lookup names a column and what it holds".to_owned();
            self.complain("unknown-column", position, message);
        }
        self.senders(of, names, position);
    }

    /// Rows for one sender that no lookup asks for would never be seen, and nobody would notice.
    fn senders(&mut self, (name, table): (&str, &Table), names: &[(&str, Position)], position: Position) {
        if !table.has_senders() || names.iter().any(|(key, _)| *key == SENDER) {
            return;
        }
        let message =
            format!("the table `{name}` has rows for one sender, and this lookup does not say whose");
        let help = "say it in a map: `#{ code: …, sender: msg[\"MSH-3\"] }`; `sender: \"\"` means rows for every sender";
        self.complain_with("sender-missing", position, message, Some(help.to_owned()));
    }

    fn column(&mut self, of: (&str, &Table), column: &Expr) {
        if let Expr::StringConstant(column, position) = column {
            self.is_column(of, column, *position);
        }
    }

    fn is_column(&mut self, (name, table): (&str, &Table), column: &str, position: Position) {
        if table.has_column(column) {
            return;
        }
        let help = nearest(column, table.columns());
        let message = format!("the table `{name}` has no column `{column}`");
        self.complain_with("unknown-column", position, message, help);
    }
}

/// Whether a call of `table(…)` leaves it to the table what a code means that no row has.
fn is_strict(arguments: &[Expr]) -> bool {
    match arguments {
        // A map, the wanted column, and a value for such codes.
        [_, Expr::Map(..) | Expr::DynamicConstant(..), _, _] => false,
        [_, _, _] | [_, _, _, _] => true,
        _ => false,
    }
}

/// The names in a map whose values are all known when it is compiled.
fn names_of(constant: &Dynamic) -> Vec<String> {
    let map = constant.read_lock::<Map>();
    map.map(|map| map.keys().map(ToString::to_string).collect()).unwrap_or_default()
}
