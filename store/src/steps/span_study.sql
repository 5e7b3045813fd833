-- A study belongs to one patient: of which study a message is, and whose.

ALTER TABLE messages ADD COLUMN study INTEGER;      -- of channel, sender and UID
ALTER TABLE messages ADD COLUMN patient INTEGER;    -- of the number that the message says

CREATE INDEX messages_by_study ON messages (id >> 14, study, patient) WHERE study IS NOT NULL;
