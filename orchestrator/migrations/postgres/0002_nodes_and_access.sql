-- Machines and people: who may take part, and how far each node's journal is recorded.

CREATE TABLE node (
    id         TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    public_key TEXT NOT NULL,
    joined_at  BIGINT NOT NULL,
    setting    TEXT NOT NULL,
    report     TEXT  -- JSON: its last report
);

-- A node that lost its disk has a new journal; its old one may still be on the way.
CREATE TABLE journal (
    node    TEXT COLLATE "C" NOT NULL,
    journal TEXT COLLATE "C" NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (node, journal)
);

-- Secrets are never here, only SHA-256 of them.
CREATE TABLE token (
    id          TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    scope       TEXT NOT NULL,
    secret_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

CREATE TABLE join_code (
    code_hash  TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    expires_at BIGINT NOT NULL
);
