//! The reading side: by id, by what a resource says of itself, by when it was written.

use engine::{Resource, Search, StoreError, Term};
use rusqlite::{Connection, types::Value as Sql};

use super::{Directory, Fault, resources, terms};

/// So many at most, whatever is asked for.
const MOST: usize = 10_000;

const COLUMNS: &str = "kind, id, version, updated, state, body";

impl engine::Directory for Directory {
    fn find(&self, search: &Search) -> Result<Vec<Resource>, StoreError> {
        self.look(|connection| find(connection, search))
    }

    fn read(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        self.look(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM resources WHERE kind = ?1 AND id = ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query((kind, id))?;
            rows.next()?.map(resources::held).transpose()
        })
    }

    fn versions(&self, kind: &str, id: &str) -> Result<Vec<Resource>, StoreError> {
        self.look(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM resources WHERE kind = ?1 AND id = ?2 UNION ALL \
                 SELECT r.kind, r.id, v.version, v.updated, v.state, v.body FROM versions v \
                 JOIN resources r USING (resource) WHERE r.kind = ?1 AND r.id = ?2 ORDER BY 3 DESC"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query((kind, id))?;
            gathered(&mut rows)
        })
    }
}

fn find(connection: &Connection, search: &Search) -> Result<Vec<Resource>, Fault> {
    let mut conditions = Conditions::default();
    for term in &search.terms {
        conditions.term(&search.kind, term);
    }
    // What is found by a term is looked up by it: `+` keeps the database from walking through the whole type.
    let plus = if conditions.has_terms { "+" } else { "" };
    conditions.also(&format!("{plus}kind = ?"), [search.kind.clone().into()]);
    conditions.also("state != 2", []);
    for (condition, time) in [("updated >= ?", search.since), ("updated < ?", search.before)] {
        if let Some(time) = time {
            conditions.also(condition, [time.into()]);
        }
    }
    if let Some(after) = &search.after {
        conditions.also("id > ?", [after.clone().into()]);
    }
    let Conditions { all, mut values, .. } = conditions;
    values.push((search.limit.min(MOST) as i64).into());
    let sql =
        format!("SELECT {COLUMNS} FROM resources WHERE {} ORDER BY {plus}id LIMIT ?", all.join(" AND "));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    gathered(&mut rows)
}

/// What rows must fulfil, and the values it is compared with.
#[derive(Default)]
struct Conditions {
    all: Vec<String>,
    values: Vec<Sql>,
    has_terms: bool,
}

impl Conditions {
    fn also<const N: usize>(&mut self, condition: &str, values: [Sql; N]) {
        self.all.push(condition.to_owned());
        self.values.extend(values);
    }

    fn term(&mut self, kind: &str, term: &Term) {
        if let Term::Id(id) = term {
            return self.also("id = ?", [id.clone().into()]);
        }
        let wanted = terms::wanted(kind, term).unwrap_or_default();
        if wanted.is_empty() {
            // A name without any letter is nobody's.
            self.also("0", []);
        }
        for wanted in wanted {
            self.has_terms = true;
            match wanted {
                terms::Wanted::Exactly(term) => {
                    self.also("resource IN (SELECT resource FROM terms WHERE term = ?)", [term.into()]);
                }
                terms::Wanted::Beginning(term) => {
                    let end = format!("{term}\u{10ffff}");
                    let condition = "resource IN (SELECT resource FROM terms WHERE term >= ? AND term < ?)";
                    self.also(condition, [term.into(), end.into()]);
                }
            }
        }
    }
}

fn gathered(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Resource>, Fault> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(resources::held(row)?);
    }
    Ok(found)
}
