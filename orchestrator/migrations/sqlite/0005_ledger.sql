-- How far the event log has been told to the ledger of ideas.

ALTER TABLE meta ADD COLUMN ledger_told INTEGER NOT NULL DEFAULT 0;
