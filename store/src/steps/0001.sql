-- Messages, their deliveries, and what people search by.
--
-- Small columns that every message has are apart from the bytes: a change of state rewrites a row of some
-- hundred bytes, and a look at states reads no body. The numbers of states and outcomes are in codes.rs.

CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE outlets (
    id INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (channel, name)
);

-- A channel's file and scripts, once by content; the text comes with `remember`.
CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    channel INTEGER,
    text TEXT
);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL,
    received INTEGER NOT NULL,      -- nanoseconds since 1970
    state INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    answer INTEGER NOT NULL,
    told INTEGER NOT NULL,          -- the outcome the sender heard
    version INTEGER NOT NULL,       -- that received it, then whose steps ran
    identity BLOB NOT NULL,         -- as it arrived: a repeat has that of the first
    size INTEGER NOT NULL,
    copied INTEGER NOT NULL,        -- bits: 1 a repeat, with an identity of its own; 2 its id had other bytes before; 4 anew
    bytes BLOB,                     -- half a hash of the body, where it has a control id
    copy INTEGER,                   -- of channel, sender and control id
    effect INTEGER,                 -- of the identity, where one of our channels sent it
    content INTEGER,                -- the channel, as long as the bytes are kept
    control_id TEXT,
    kind TEXT,
    sender TEXT,
    flags TEXT,
    batch BLOB,
    place INTEGER,                  -- in the batch, from 1
    starts INTEGER NOT NULL DEFAULT 0,
    marks INTEGER NOT NULL DEFAULT 0,
    why TEXT,
    halt TEXT,
    inputs TEXT,
    reply TEXT
);

CREATE INDEX messages_by_channel ON messages (channel);
CREATE INDEX messages_open ON messages (channel) WHERE state = 2;
CREATE INDEX messages_ended_early ON messages (state) WHERE state > 3;
CREATE INDEX messages_by_copy ON messages (copy) WHERE copy IS NOT NULL;
CREATE INDEX messages_by_effect ON messages (effect) WHERE effect IS NOT NULL;
CREATE INDEX messages_with_content ON messages (content) WHERE content IS NOT NULL;

-- Patient data: forgotten before the rest.
CREATE TABLE contents (
    message INTEGER PRIMARY KEY,
    body BLOB NOT NULL,
    facts TEXT,
    keys TEXT
);

CREATE TABLE keys (
    value TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (value, message)
) WITHOUT ROWID;

-- A message that its steps left whole and as it came has no row here.
CREATE TABLE parts (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    part INTEGER NOT NULL,          -- 0: the whole
    control_id TEXT,
    halt TEXT,
    body BLOB
);

CREATE UNIQUE INDEX parts_by_message ON parts (message, part);

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    part INTEGER NOT NULL,
    outlet INTEGER NOT NULL,
    state INTEGER NOT NULL,
    lane INTEGER,                   -- the outlet, as long as the delivery is in its queue
    effect BLOB NOT NULL,
    after INTEGER,                  -- the outlet it waits for
    pending INTEGER NOT NULL,       -- 1: it has no payload yet
    parked INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    counted INTEGER NOT NULL DEFAULT 0,
    doubts INTEGER NOT NULL DEFAULT 0,
    spent_ms INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER,
    stopped INTEGER NOT NULL DEFAULT 0,
    why TEXT,                       -- it waits
    ending TEXT,                    -- why it ended, where that is not why it waited last
    keys TEXT,
    note TEXT
);

CREATE INDEX deliveries_by_message ON deliveries (message);
CREATE INDEX deliveries_in_order ON deliveries (lane, message, part) WHERE lane IS NOT NULL;
CREATE INDEX deliveries_for_people ON deliveries (state) WHERE state > 4;

-- What leaves, where it is not the part's body and nothing else.
CREATE TABLE payloads (
    delivery INTEGER PRIMARY KEY,
    body BLOB,
    texts TEXT,
    inputs TEXT
);

CREATE TABLE responses (
    delivery INTEGER PRIMARY KEY,
    body BLOB,
    facts TEXT
);

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

-- The highest ids that rows were forgotten of: an id is never given twice.
CREATE TABLE highest (
    what TEXT PRIMARY KEY,
    id INTEGER NOT NULL
) WITHOUT ROWID;

-- Written to see whether writing works.
CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
);
