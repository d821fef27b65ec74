-- The log itself, and what lies beside it. Times are milliseconds since the Unix epoch, UTC; ids and hashes
-- are text: hexadecimal digits, with their prefix where they have one.
--
-- `log` is the version of the origin: a log that cannot go on is followed by one with the next version.

CREATE TABLE meta (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    writer BIGINT NOT NULL  -- the writer's epoch: every transaction that writes is fenced by it
);
INSERT INTO meta (one, writer) VALUES (1, 0);

CREATE TABLE log (
    version BIGINT PRIMARY KEY NOT NULL,
    origin  TEXT COLLATE "C" UNIQUE NOT NULL,
    key     TEXT NOT NULL,  -- the verifier key
    author  TEXT NOT NULL,  -- the registry's own, as an author of entries
    made_at BIGINT NOT NULL
);

CREATE TABLE leaf (
    log  BIGINT NOT NULL,
    idx  BIGINT NOT NULL CHECK (idx >= 0),
    id   TEXT COLLATE "C" NOT NULL,
    hash TEXT NOT NULL,
    data TEXT NOT NULL,  -- canonical JSON, byte for byte
    PRIMARY KEY (log, idx),
    UNIQUE (log, id)
);

-- Sizes and roots that were or may have been signed. Written before the signature is made.
CREATE TABLE checkpoint (
    log     BIGINT NOT NULL,
    size    BIGINT NOT NULL,
    root    TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (log, size)
);

CREATE TABLE body (
    hash    TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    text    TEXT,
    sealed  TEXT,  -- base64 of nonce and ciphertext
    subject TEXT COLLATE "C",  -- whose key opens it
    CHECK ((text IS NULL) <> (sealed IS NULL)),
    CHECK ((sealed IS NULL) = (subject IS NULL))
);
CREATE INDEX body_subject ON body (subject) WHERE subject IS NOT NULL;

-- Erasing a row erases every body sealed with it.
CREATE TABLE subject_key (
    subject TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    key     TEXT NOT NULL,
    made_at BIGINT NOT NULL
);

-- How far something has come, and what it saw there.
CREATE TABLE cursor (
    name   TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    value  BIGINT NOT NULL,
    detail TEXT NOT NULL
);

-- The newest cosignature of each witness.
CREATE TABLE cosignature (
    log     BIGINT NOT NULL,
    witness TEXT COLLATE "C" NOT NULL,
    size    BIGINT NOT NULL,
    root    TEXT NOT NULL,
    line    TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (log, witness)
);

-- Nothing of the log is ever changed. Two leaves of one index are refused by the primary key.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON leaf
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A gap would be no log: what is inserted at once follows what was there, without one. Under the writer's fence
-- nobody else inserts meanwhile.
CREATE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added a
        WHERE a.idx > 0
            AND NOT EXISTS (SELECT FROM leaf l WHERE l.log = a.log AND l.idx = a.idx - 1)
    ) THEN
        RAISE EXCEPTION 'the log is append-only, without gaps';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER no_gap AFTER INSERT ON leaf REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_gap();
