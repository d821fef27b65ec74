-- What the log says about ideas, as rows to ask. All of it follows from the leaves and the bodies beside
-- them: `mesh-ideas rebuild` empties these tables and fills them anew. What is only ever read whole is JSON text.

CREATE TABLE idea (
    id          TEXT PRIMARY KEY NOT NULL,
    idx         INTEGER UNIQUE NOT NULL,
    author      TEXT NOT NULL,
    author_name TEXT,
    time        INTEGER NOT NULL,
    tags        TEXT NOT NULL,  -- JSON: a list of texts
    source      TEXT,
    text_entry  TEXT NOT NULL,
    sealed      TEXT,  -- the subject for whom that text is sealed
    title       TEXT NOT NULL,
    holder      TEXT,
    head        TEXT NOT NULL,  -- the end of the chain of ownership
    status      TEXT NOT NULL,
    seen_again  INTEGER NOT NULL
) STRICT;
CREATE INDEX idea_status ON idea (status, idx);
CREATE INDEX idea_holder ON idea (holder, idx);
CREATE INDEX idea_author ON idea (author, idx);
CREATE INDEX idea_sealed ON idea (sealed) WHERE sealed IS NOT NULL;

CREATE TABLE tag (
    tag TEXT NOT NULL,
    idx INTEGER NOT NULL,  -- of the idea
    PRIMARY KEY (tag, idx)
) STRICT, WITHOUT ROWID;

-- Which entries are about an idea.
CREATE TABLE about (
    idea TEXT NOT NULL,
    idx  INTEGER NOT NULL,  -- of the entry
    PRIMARY KEY (idea, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE hidden (
    entry TEXT PRIMARY KEY NOT NULL,
    tombstone TEXT NOT NULL,
    body  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hidden_body ON hidden (body);

-- Entries that were filed and not appended, with the index of the one that stands for each.
CREATE TABLE seen (
    entry TEXT PRIMARY KEY NOT NULL,
    idx   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Texts of ideas by the hash of their content: the same text twice is one idea.
CREATE TABLE content (
    hash   TEXT PRIMARY KEY NOT NULL,
    entry  TEXT NOT NULL,
    idea   TEXT NOT NULL,
    sealed TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX content_entry ON content (entry);
CREATE INDEX content_sealed ON content (sealed) WHERE sealed IS NOT NULL;

CREATE TABLE edge (
    relation TEXT NOT NULL,
    source   TEXT NOT NULL,
    target   TEXT NOT NULL,
    proposed INTEGER NOT NULL,
    likeness INTEGER,
    PRIMARY KEY (source, relation, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_target ON edge (target, relation);

CREATE TABLE job (
    idea  TEXT NOT NULL,
    job   TEXT NOT NULL,
    name  TEXT NOT NULL,
    state TEXT NOT NULL,
    entry TEXT NOT NULL,
    idx   INTEGER NOT NULL,
    PRIMARY KEY (idea, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_job ON job (job);

CREATE TABLE opinion (
    idea   TEXT NOT NULL,
    author TEXT NOT NULL,
    impact INTEGER,
    cost   INTEGER,
    risk   INTEGER,
    vote   INTEGER,
    PRIMARY KEY (idea, author)
) STRICT, WITHOUT ROWID;

-- What near duplicates are found by: signature and bands of the latest text.
CREATE TABLE near (
    idx  INTEGER PRIMARY KEY NOT NULL,  -- of the idea
    idea TEXT NOT NULL,
    data TEXT NOT NULL  -- base64
) STRICT;

CREATE TABLE erased (
    subject TEXT PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

-- Words of the latest text; the row id is the idea's index. Only the words are kept, cut by the registry itself.
CREATE VIRTUAL TABLE words USING fts5(
    list, content='', contentless_delete=1, detail=none, tokenize='ascii'
);
