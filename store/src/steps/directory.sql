-- Resources of other servers, kept in step: the directory.
CREATE TABLE names (name TEXT NOT NULL) STRICT;

-- The current version of each resource. A removed one stays, with state 2.
CREATE TABLE resources (
    resource INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    state INTEGER NOT NULL,
    hash BLOB NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX resources_updated ON resources (kind, updated);

CREATE TABLE versions (
    resource INTEGER NOT NULL,
    version INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    state INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (resource, version)
) STRICT, WITHOUT ROWID;

-- What people search by, made of the current version.
CREATE TABLE terms (
    term TEXT NOT NULL,
    resource INTEGER NOT NULL,
    PRIMARY KEY (term, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE syncs (
    sync INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT 'null',
    resources INTEGER NOT NULL DEFAULT 0,
    stopped INTEGER NOT NULL DEFAULT 0,
    now INTEGER NOT NULL DEFAULT 0,
    whole INTEGER NOT NULL DEFAULT 0,
    UNIQUE (channel, kind)
) STRICT;

-- What a sync knows of each resource: by which the next page is compared.
CREATE TABLE seen (
    sync INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    state INTEGER NOT NULL,
    version INTEGER NOT NULL,
    pass INTEGER NOT NULL,
    PRIMARY KEY (sync, resource)
) STRICT, WITHOUT ROWID;

-- Changes that have not left yet.
CREATE TABLE changes (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    sync INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    version INTEGER NOT NULL,
    what INTEGER NOT NULL,
    previous INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_sync ON changes (sync, change);
