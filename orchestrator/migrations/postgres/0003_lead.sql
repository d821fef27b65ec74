-- Who leads, until when by this database's clock, and where others find its API. A lead that was taken
-- without a lease ends at 0: whoever asks for one next gets it.

ALTER TABLE meta
    ADD COLUMN lead_until  BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN lead_holder TEXT NOT NULL DEFAULT '',
    ADD COLUMN lead_url    TEXT NOT NULL DEFAULT '';
