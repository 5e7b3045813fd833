-- Messages that another one stands for: a person ran them again, or their sender sent them again.

CREATE TABLE successions (
    message INTEGER PRIMARY KEY,
    successor INTEGER NOT NULL
);

CREATE INDEX successions_by_successor ON successions (successor);
