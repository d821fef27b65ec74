-- Machines and people: who may take part, and how far each node's journal is recorded.

CREATE TABLE node (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    public_key TEXT NOT NULL,
    joined_at  INTEGER NOT NULL,
    setting    TEXT NOT NULL,
    report     TEXT  -- JSON: its last report
) STRICT;

-- A node that lost its disk has a new journal; its old one may still be on the way.
CREATE TABLE journal (
    node    TEXT NOT NULL,
    journal TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (node, journal)
) STRICT;

-- Secrets are never here, only SHA-256 of them.
CREATE TABLE token (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    scope       TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE join_code (
    code_hash  TEXT PRIMARY KEY NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
