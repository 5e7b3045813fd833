-- What a channel asked under a key, and when it was answered. Whichever comes first makes the row: `asked` is empty until
-- the question has come, `answered` until the answer has. Times in nanoseconds since 1970.
CREATE TABLE expected (
    channel TEXT NOT NULL,
    key TEXT NOT NULL,
    message INTEGER,                -- that asked
    asked INTEGER,
    due INTEGER,
    answered INTEGER,
    PRIMARY KEY (channel, key)
) WITHOUT ROWID;

CREATE INDEX expected_open ON expected (due) WHERE answered IS NULL;
