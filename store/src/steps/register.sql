-- What is not of one message: what people did and set, what channels were, and how far the journal is filed.

CREATE TABLE switches (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL
);

-- A channel's file and scripts, once by content.
CREATE TABLE versions (
    hash BLOB PRIMARY KEY,
    channel TEXT NOT NULL,
    text TEXT NOT NULL
) WITHOUT ROWID;

-- `filed`: the journal's last record that is in the files. `messages`, `deliveries`: the highest ids that rows were
-- forgotten of, since an id is never given twice.
CREATE TABLE numbers (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID;
