-- Jobs whose idea was not in the ledger when it was told of them: told again when it is there.

CREATE TABLE ledger_parked (
    job   TEXT COLLATE "C" PRIMARY KEY,
    idea  TEXT COLLATE "C" NOT NULL,
    seq   BIGINT NOT NULL,  -- of the event log: the latest of the job's
    name  TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX ledger_parked_idea ON ledger_parked (idea, seq);
