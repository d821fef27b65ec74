-- The state of all jobs, and nothing else. Times are milliseconds since the Unix epoch, UTC; ids and words
-- are text as in the API; what is only ever read whole is JSON text.
--
-- No foreign keys between jobs, tasks and attempts: the engine is the only writer and these are its hottest
-- tables. What must hold in a row by itself is a constraint.

CREATE TABLE meta (
    one       BIGINT PRIMARY KEY CHECK (one = 1),
    leader    BIGINT NOT NULL,  -- the leader's epoch: every round is fenced by it
    position  BIGINT NOT NULL,  -- in the stream NODE_EVENT
    event_seq BIGINT NOT NULL   -- last number of the event log
);
INSERT INTO meta (one, leader, position, event_seq) VALUES (1, 0, 0, 0);

CREATE TABLE job (
    id               TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name             TEXT NOT NULL,
    project          TEXT COLLATE "C" NOT NULL,
    spec             TEXT NOT NULL,  -- JSON, without the items of an array
    spec_hash        TEXT NOT NULL,
    idempotency_key  TEXT COLLATE "C" UNIQUE,
    trace            TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    state            TEXT NOT NULL,
    counts           TEXT NOT NULL,  -- JSON: tasks by state
    fresh_first      BIGINT,
    fresh_last       BIGINT,
    fresh_state      TEXT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    finished_at      BIGINT,
    CHECK ((fresh_first IS NULL) = (fresh_last IS NULL))
);
CREATE INDEX job_state ON job (state, id);
CREATE INDEX job_project ON job (project, id);

-- Apart, so that listing jobs never reads a hundred thousand lines.
CREATE TABLE job_items (
    job   TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES job (id),
    items TEXT NOT NULL  -- JSON: a list of texts
);

-- No index but the key: a task's state changes thrice in a life of milliseconds, and every index on it would
-- be written each time. What asks for states reads one job's tasks, which lie side by side.
CREATE TABLE task (
    job              TEXT COLLATE "C" NOT NULL,
    task             BIGINT NOT NULL,
    state            TEXT NOT NULL,
    epoch            BIGINT NOT NULL,
    node             TEXT COLLATE "C",
    tries            TEXT NOT NULL,  -- JSON: failed attempts by class
    eligible_at      BIGINT,
    cancel_requested BOOLEAN NOT NULL,
    checkpoint       TEXT,           -- JSON: the manifest to start from
    PRIMARY KEY (job, task),
    CHECK (node IS NOT NULL OR state NOT IN ('leased', 'running', 'succeeded'))
) WITH (fillfactor = 60);  -- room to change a row where it lies, without touching the index

CREATE TABLE attempt (
    job        TEXT COLLATE "C" NOT NULL,
    task       BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    node       TEXT COLLATE "C" NOT NULL,
    leased_at  BIGINT NOT NULL,
    started_at BIGINT,
    ended_at   BIGINT,
    class      TEXT,
    exit_code  BIGINT,
    signal     BIGINT,
    message    TEXT,
    manifest   TEXT,  -- JSON
    usage      TEXT,  -- JSON
    PRIMARY KEY (job, task, epoch),
    CHECK ((ended_at IS NULL) = (class IS NULL)),
    CHECK (ended_at IS NULL OR manifest IS NOT NULL)
) WITH (fillfactor = 60);

CREATE TABLE event (
    seq    BIGINT PRIMARY KEY,
    at     BIGINT NOT NULL,
    kind   TEXT NOT NULL,
    job    TEXT COLLATE "C",
    task   BIGINT,
    epoch  BIGINT,
    node   TEXT COLLATE "C",
    detail TEXT
);
CREATE INDEX event_job ON event (job, seq) WHERE job IS NOT NULL;
