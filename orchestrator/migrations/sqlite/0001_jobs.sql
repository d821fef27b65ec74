-- The state of all jobs, and nothing else. Times are milliseconds since the Unix epoch, UTC; ids and words
-- are text as in the API; what is only ever read whole is JSON text.
--
-- No foreign keys between jobs, tasks and attempts: the engine is the only writer and these are its hottest
-- tables. What must hold in a row by itself is a constraint.

CREATE TABLE meta (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    leader    INTEGER NOT NULL,  -- the leader's epoch: every round is fenced by it
    position  INTEGER NOT NULL,  -- in the stream NODE_EVENT
    event_seq INTEGER NOT NULL   -- last number of the event log
) STRICT;
INSERT INTO meta (one, leader, position, event_seq) VALUES (1, 0, 0, 0);

CREATE TABLE job (
    id               TEXT PRIMARY KEY NOT NULL,
    name             TEXT NOT NULL,
    project          TEXT NOT NULL,
    spec             TEXT NOT NULL,  -- JSON, without the items of an array
    spec_hash        TEXT NOT NULL,
    idempotency_key  TEXT UNIQUE,
    trace            TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    state            TEXT NOT NULL,
    counts           TEXT NOT NULL,  -- JSON: tasks by state
    fresh_first      INTEGER,
    fresh_last       INTEGER,
    fresh_state      TEXT NOT NULL,
    cancel_requested INTEGER NOT NULL,
    finished_at      INTEGER,
    CHECK ((fresh_first IS NULL) = (fresh_last IS NULL))
) STRICT;
CREATE INDEX job_state ON job (state, id);
CREATE INDEX job_project ON job (project, id);

-- Apart, so that listing jobs never reads a hundred thousand lines.
CREATE TABLE job_items (
    job   TEXT PRIMARY KEY NOT NULL REFERENCES job (id),
    items TEXT NOT NULL  -- JSON: a list of texts
) STRICT;

-- No index but the key: a task's state changes thrice in a life of milliseconds, and every index on it would
-- be written each time. What asks for states reads one job's tasks, which lie side by side.
CREATE TABLE task (
    job              TEXT NOT NULL,
    task             INTEGER NOT NULL,
    state            TEXT NOT NULL,
    epoch            INTEGER NOT NULL,
    node             TEXT,
    tries            TEXT NOT NULL,  -- JSON: failed attempts by class
    eligible_at      INTEGER,
    cancel_requested INTEGER NOT NULL,
    checkpoint       TEXT,           -- JSON: the manifest to start from
    PRIMARY KEY (job, task),
    CHECK (node IS NOT NULL OR state NOT IN ('leased', 'running', 'succeeded'))
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    job        TEXT NOT NULL,
    task       INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    node       TEXT NOT NULL,
    leased_at  INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    class      TEXT,
    exit_code  INTEGER,
    signal     INTEGER,
    message    TEXT,
    manifest   TEXT,  -- JSON
    usage      TEXT,  -- JSON
    PRIMARY KEY (job, task, epoch),
    CHECK ((ended_at IS NULL) = (class IS NULL)),
    CHECK (ended_at IS NULL OR manifest IS NOT NULL)
) STRICT;

CREATE TABLE event (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    job    TEXT,
    task   INTEGER,
    epoch  INTEGER,
    node   TEXT,
    detail TEXT
) STRICT;
CREATE INDEX event_job ON event (job, seq) WHERE job IS NOT NULL;
