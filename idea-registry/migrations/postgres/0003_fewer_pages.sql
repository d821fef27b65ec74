-- A new idea touches fewer pages: its row lies by its index, whose author holds it is in one index alone, a text's content
-- names its entry by index, and that an entry that files an idea is about it goes without a row. All three tables follow from
-- the log, and are filled anew at the next start.

DROP TABLE idea;
DROP TABLE content;
DELETE FROM about;
DELETE FROM cursor WHERE name = 'projections';

CREATE TABLE idea (
    idx         BIGINT PRIMARY KEY NOT NULL,
    id          TEXT COLLATE "C" UNIQUE NOT NULL,
    author      TEXT COLLATE "C" NOT NULL,
    author_name TEXT,
    time        BIGINT NOT NULL,
    tags        TEXT NOT NULL,  -- JSON: a list of texts
    source      TEXT,
    text_entry  TEXT COLLATE "C" NOT NULL,
    sealed      TEXT COLLATE "C",  -- the subject for whom that text is sealed
    title       TEXT NOT NULL,
    holder      TEXT COLLATE "C",
    head        TEXT NOT NULL,  -- the end of the chain of ownership
    status      TEXT COLLATE "C" NOT NULL,
    seen_again  BIGINT NOT NULL
);
CREATE INDEX idea_status ON idea (status, idx);
-- Who filed an idea mostly holds it: those that were passed on alone.
CREATE INDEX idea_holder ON idea (holder, idx) WHERE holder <> author;
CREATE INDEX idea_author ON idea (author, idx);
CREATE INDEX idea_sealed ON idea (sealed) WHERE sealed IS NOT NULL;

-- Texts of ideas by the hash of their content: the same text twice is one idea.
CREATE TABLE content (
    hash   TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    idx    BIGINT NOT NULL,  -- of the entry that has the text
    idea   TEXT NOT NULL,
    sealed TEXT COLLATE "C"
);
CREATE INDEX content_idx ON content (idx);
CREATE INDEX content_sealed ON content (sealed) WHERE sealed IS NOT NULL;

-- Not the other way round, or it might be taken for an index of all leaves of a log.
ALTER TABLE leaf DROP CONSTRAINT leaf_log_id_key, ADD UNIQUE (id, log);

-- Looks at what is in front of the added leaves, and never at all leaves: a plan that is made while the table is empty is
-- kept for as long as the session.
CREATE OR REPLACE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    part RECORD;
BEGIN
    FOR part IN
        SELECT a.log, MIN(a.idx) AS first, MAX(a.idx) AS last, COUNT(*) AS count FROM added a GROUP BY a.log
    LOOP
        IF part.last - part.first + 1 <> part.count OR part.first > 0
            AND NOT EXISTS (SELECT FROM leaf l WHERE l.log = part.log AND l.idx = part.first - 1)
        THEN
            RAISE EXCEPTION 'the log is append-only, without gaps';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
