-- The attempts at a delivery that did not arrive at once, packed: the first and the last of them. Nothing of those that
-- were made before this was kept.
CREATE TABLE attempts (
    delivery INTEGER PRIMARY KEY,
    dictionary INTEGER,
    packed BLOB NOT NULL
);
