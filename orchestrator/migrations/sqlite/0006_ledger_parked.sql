-- Jobs whose idea was not in the ledger when it was told of them: told again when it is there.

CREATE TABLE ledger_parked (
    job   TEXT PRIMARY KEY NOT NULL,
    idea  TEXT NOT NULL,
    seq   INTEGER NOT NULL,  -- of the event log: the latest of the job's
    name  TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_parked_idea ON ledger_parked (idea, seq);
