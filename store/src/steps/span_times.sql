-- When what became of a message, in microseconds since it was received; nothing of those that came before this was kept.

ALTER TABLE messages ADD COLUMN ran INTEGER;        -- its steps had ended
ALTER TABLE messages ADD COLUMN took INTEGER;       -- so long they took
ALTER TABLE messages ADD COLUMN answered INTEGER;   -- what became of its answer was known
