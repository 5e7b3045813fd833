-- Messages of one span, their deliveries, and what people search by.
--
-- Small columns that every message has are apart from the bytes: a change of state rewrites a row of some
-- hundred bytes, and a look at states reads no body. The numbers of states and outcomes are in codes.rs.
-- What is looked up by a value without order has the message's number, cut to runs of 16,384, in front: so an index
-- grows at its end, however long the span is.

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

CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE
);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL,
    received INTEGER NOT NULL,      -- nanoseconds since 1970
    state INTEGER NOT NULL,
    outcome INTEGER,
    answer INTEGER NOT NULL,
    told INTEGER,                   -- the outcome the sender heard
    version INTEGER NOT NULL,       -- that received it, then whose steps ran
    identity BLOB NOT NULL,         -- as it arrived: a repeat has that of the first
    size INTEGER NOT NULL,
    copied INTEGER NOT NULL,        -- bits: 1 a repeat, with an identity of its own; 2 its id had other bytes before; 4 anew
    bytes BLOB,                     -- half a hash of the body, where it has a control id
    copy INTEGER,                   -- of channel, sender and control id
    effect INTEGER,                 -- of the identity, where one of our channels sent it
    control_id TEXT,
    kind TEXT,
    sender TEXT NOT NULL,
    flags TEXT,
    batch BLOB,
    place INTEGER,                  -- in the batch, from 1
    starts INTEGER NOT NULL,
    marks INTEGER NOT NULL,
    why TEXT,
    halt TEXT,
    inputs TEXT,
    reply TEXT,
    successor INTEGER,              -- stands for this one
    predecessors TEXT               -- those this one stands for
);

CREATE INDEX messages_by_channel ON messages (channel);
CREATE INDEX messages_open ON messages (channel) WHERE state = 2;
CREATE INDEX messages_ended_early ON messages (state) WHERE state > 3;
CREATE INDEX messages_by_copy ON messages (id >> 14, copy) WHERE copy IS NOT NULL;
CREATE INDEX messages_by_effect ON messages (id >> 14, effect) WHERE effect IS NOT NULL;

-- Body, source facts and search keys, packed. Patient data: forgotten before the rest.
CREATE TABLE contents (
    message INTEGER PRIMARY KEY,
    dictionary INTEGER,
    packed BLOB NOT NULL
);

CREATE TABLE keys (
    run INTEGER NOT NULL,
    value TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (run, value, message)
) WITHOUT ROWID;

-- A message that its steps left whole and as it came has no row here.
CREATE TABLE parts (
    message INTEGER NOT NULL,
    part INTEGER NOT NULL,          -- 0: the whole
    control_id TEXT,
    dictionary INTEGER,
    packed BLOB,
    PRIMARY KEY (message, part)
) WITHOUT ROWID;

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    part INTEGER NOT NULL,
    outlet INTEGER NOT NULL,
    state INTEGER NOT NULL,
    lane INTEGER,                   -- the outlet, as long as the delivery is in its queue
    effect BLOB NOT NULL,
    after TEXT,                     -- the destination it waits for
    pending INTEGER NOT NULL,       -- 1: it has no payload yet
    parked INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    doubts INTEGER NOT NULL,
    spent_ms INTEGER NOT NULL,
    not_before INTEGER,
    stopped INTEGER NOT NULL,
    why TEXT,                       -- it waits
    ending TEXT,                    -- why it ended, where that is not why it waited last
    keys TEXT,
    note TEXT
);

CREATE INDEX deliveries_by_message ON deliveries (message);
CREATE INDEX deliveries_in_order ON deliveries (lane, message, part) WHERE lane IS NOT NULL;
-- By key, where there is one; those with several keys are apart.
CREATE INDEX deliveries_by_key ON deliveries (lane, message >> 14, keys, message, part)
    WHERE lane IS NOT NULL AND keys IS NOT NULL;
CREATE INDEX deliveries_by_several_keys ON deliveries (lane, message, part)
    WHERE lane IS NOT NULL AND instr(keys, '","') > 0;
CREATE INDEX deliveries_for_people ON deliveries (state) WHERE state > 4;

-- What leaves, where it is not the part's body and nothing else, and what came back, packed.
CREATE TABLE payloads (
    delivery INTEGER PRIMARY KEY,
    dictionary INTEGER,
    packed BLOB NOT NULL
);

-- What the packing of this span leans on.
CREATE TABLE dictionaries (
    id INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
);

-- Says of a run of 65,536 messages that it surely holds no copy of another one.
CREATE TABLE filters (
    run INTEGER PRIMARY KEY,
    newest INTEGER NOT NULL,
    bits BLOB NOT NULL
);
