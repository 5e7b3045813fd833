-- When a delivery ended, in nanoseconds since 1970; nothing of those that ended before this was kept.
ALTER TABLE deliveries ADD COLUMN ended INTEGER;
