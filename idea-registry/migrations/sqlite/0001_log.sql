-- The log itself, and what lies beside it. Times are milliseconds since the Unix epoch, UTC; ids and hashes
-- are text: hexadecimal digits, with their prefix where they have one.
--
-- `log` is the version of the origin: a log that cannot go on is followed by one with the next version.

CREATE TABLE meta (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    writer INTEGER NOT NULL  -- the writer's epoch: every transaction that writes is fenced by it
) STRICT;
INSERT INTO meta (one, writer) VALUES (1, 0);

CREATE TABLE log (
    version INTEGER PRIMARY KEY NOT NULL,
    origin  TEXT UNIQUE NOT NULL,
    key     TEXT NOT NULL,  -- the verifier key
    author  TEXT NOT NULL,  -- the registry's own, as an author of entries
    made_at INTEGER NOT NULL
) STRICT;

CREATE TABLE leaf (
    log  INTEGER NOT NULL,
    idx  INTEGER NOT NULL,
    id   TEXT NOT NULL,
    hash TEXT NOT NULL,
    data TEXT NOT NULL,  -- canonical JSON, byte for byte
    PRIMARY KEY (log, idx),
    UNIQUE (log, id)
) STRICT;

-- Sizes and roots that were or may have been signed. Written before the signature is made.
CREATE TABLE checkpoint (
    log     INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    root    TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (log, size)
) STRICT;

CREATE TABLE body (
    hash    TEXT PRIMARY KEY NOT NULL,
    text    TEXT,
    sealed  TEXT,  -- base64 of nonce and ciphertext
    subject TEXT,  -- whose key opens it
    CHECK ((text IS NULL) <> (sealed IS NULL)),
    CHECK ((sealed IS NULL) = (subject IS NULL))
) STRICT;
CREATE INDEX body_subject ON body (subject) WHERE subject IS NOT NULL;

-- Erasing a row erases every body sealed with it.
CREATE TABLE subject_key (
    subject TEXT PRIMARY KEY NOT NULL,
    key     TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

-- How far something has come, and what it saw there.
CREATE TABLE cursor (
    name   TEXT PRIMARY KEY NOT NULL,
    value  INTEGER NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- The newest cosignature of each witness.
CREATE TABLE cosignature (
    log     INTEGER NOT NULL,
    witness TEXT NOT NULL,
    size    INTEGER NOT NULL,
    root    TEXT NOT NULL,
    line    TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (log, witness)
) STRICT;

-- Nothing of the log is ever changed. An insert with OR REPLACE would delete without the trigger of DELETE, and
-- a gap would be no log: both are refused when inserting.
CREATE TRIGGER leaf_insert BEFORE INSERT ON leaf
WHEN NEW.idx IS NOT (SELECT COALESCE(MAX(idx) + 1, 0) FROM leaf WHERE log = NEW.log)
    OR EXISTS (SELECT 1 FROM leaf WHERE log = NEW.log AND id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER leaf_update BEFORE UPDATE ON leaf
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER leaf_delete BEFORE DELETE ON leaf
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER checkpoint_insert BEFORE INSERT ON checkpoint
WHEN NEW.size <= (SELECT MAX(size) FROM checkpoint WHERE log = NEW.log)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER log_insert BEFORE INSERT ON log
WHEN NEW.version <= (SELECT MAX(version) FROM log)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_update BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_delete BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
