-- How often a leader has begun to load the state. A round that was decided on an earlier load is refused.

ALTER TABLE meta ADD COLUMN loads BIGINT NOT NULL DEFAULT 0;
