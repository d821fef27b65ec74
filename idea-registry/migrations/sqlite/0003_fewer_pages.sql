-- A new idea touches fewer pages: its row lies by its index, whose author holds it is in one index alone, a text's content
-- names its entry by index, and that an entry that files an idea is about it goes without a row. All three tables follow from
-- the log, and are filled anew at the next start.

DROP TABLE idea;
DROP TABLE content;
DELETE FROM about;
DELETE FROM cursor WHERE name = 'projections';

CREATE TABLE idea (
    idx         INTEGER PRIMARY KEY NOT NULL,
    id          TEXT UNIQUE NOT NULL,
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
-- Who filed an idea mostly holds it: those that were passed on alone.
CREATE INDEX idea_holder ON idea (holder, idx) WHERE holder <> author;
CREATE INDEX idea_author ON idea (author, idx);
CREATE INDEX idea_sealed ON idea (sealed) WHERE sealed IS NOT NULL;

-- Texts of ideas by the hash of their content: the same text twice is one idea.
CREATE TABLE content (
    hash   TEXT PRIMARY KEY NOT NULL,
    idx    INTEGER NOT NULL,  -- of the entry that has the text
    idea   TEXT NOT NULL,
    sealed TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX content_idx ON content (idx);
CREATE INDEX content_sealed ON content (sealed) WHERE sealed IS NOT NULL;
