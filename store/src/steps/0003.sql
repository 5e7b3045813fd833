-- Answers that came after the attempts at their delivery had ended. Patient data: they go with the content.

CREATE TABLE late_answers (
    id INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL,
    at INTEGER NOT NULL,            -- nanoseconds since 1970
    body BLOB,
    facts TEXT
);

CREATE INDEX late_answers_by_delivery ON late_answers (delivery);
