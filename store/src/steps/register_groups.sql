-- Messages that are run together, in groups. Times in nanoseconds since 1970; `mark` is the hash of the group's key, which
-- is a patient's or a study's and goes with the members.
CREATE TABLE groups (
    channel TEXT NOT NULL,
    mark BLOB NOT NULL,
    key TEXT,
    expected INTEGER,               -- how many members a sender says there are
    through INTEGER NOT NULL,       -- the last member that a run has had
    runs INTEGER NOT NULL,
    gone INTEGER NOT NULL,          -- members that are no longer kept
    first INTEGER,                  -- when the first and the last member came that no run has had
    last INTEGER NOT NULL,
    PRIMARY KEY (channel, mark)
) WITHOUT ROWID;

CREATE INDEX groups_open ON groups (channel, last) WHERE first IS NOT NULL;

CREATE TABLE members (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    mark BLOB NOT NULL,
    message INTEGER NOT NULL,
    name TEXT,                      -- one of the same name takes its place
    received INTEGER NOT NULL,
    brings TEXT NOT NULL
);

CREATE INDEX members_of ON members (channel, mark, place);
CREATE INDEX members_named ON members (channel, mark, name) WHERE name IS NOT NULL;
CREATE INDEX members_message ON members (message);
CREATE INDEX members_received ON members (channel, received);

CREATE TABLE runs (
    message INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    mark BLOB NOT NULL,
    number INTEGER NOT NULL,
    through INTEGER NOT NULL,
    received INTEGER NOT NULL
);

CREATE INDEX runs_of ON runs (channel, mark, number);
