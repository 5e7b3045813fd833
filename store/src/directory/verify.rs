//! Reads the whole directory, and says what is wrong with it.

use rusqlite::Connection;

use super::packing::unpack;

/// Rows of one table that name what is not there.
const REFERENCES: [(&str, &str); 5] = [
    (
        "syncs know of resources that are not there",
        "SELECT count(*) FROM seen WHERE resource NOT IN (SELECT resource FROM resources)",
    ),
    ("rows of no sync", "SELECT count(*) FROM seen WHERE sync NOT IN (SELECT sync FROM syncs)"),
    (
        "versions of resources that are not there",
        "SELECT count(*) FROM versions WHERE resource NOT IN (SELECT resource FROM resources)",
    ),
    (
        "search terms of resources that are not there",
        "SELECT count(*) FROM terms WHERE resource NOT IN (SELECT resource FROM resources)",
    ),
    (
        "changes wait to leave, and their version is not there",
        "SELECT count(*) FROM changes c WHERE NOT EXISTS \
         (SELECT 1 FROM resources r WHERE r.resource = c.resource AND r.version = c.version) AND NOT EXISTS \
         (SELECT 1 FROM versions v WHERE v.resource = c.resource AND v.version = c.version)",
    ),
];

/// What is wrong, in words; nothing of what resources hold.
pub(crate) fn verify(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (what, sql) in REFERENCES {
        let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        if count > 0 {
            wrong.push(format!("{what}: {count}"));
        }
    }
    let sql = "SELECT kind, id, version, body FROM resources UNION ALL \
               SELECT r.kind, r.id, v.version, v.body FROM versions v JOIN resources r USING (resource)";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let (mut count, mut first) = (0_u64, None);
    while let Some(row) = rows.next()? {
        let packed: Vec<u8> = row.get(3)?;
        let is_whole =
            unpack(&packed).is_ok_and(|body| serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
        if !is_whole {
            count += 1;
            let (kind, id, version): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            first.get_or_insert(format!("{kind}/{id}, version {version}"));
        }
    }
    wrong.extend(first.map(|first| format!("resources cannot be unpacked: {count}, the first is {first}")));
    Ok(wrong)
}
