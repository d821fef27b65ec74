-- What the log says about ideas, as rows to ask. All of it follows from the leaves and the bodies beside
-- them: `mesh-ideas rebuild` empties these tables and fills them anew. What is only ever read whole is JSON text.

CREATE TABLE idea (
    id          TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    idx         BIGINT UNIQUE NOT NULL,
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
CREATE INDEX idea_holder ON idea (holder, idx);
CREATE INDEX idea_author ON idea (author, idx);
CREATE INDEX idea_sealed ON idea (sealed) WHERE sealed IS NOT NULL;

CREATE TABLE tag (
    tag TEXT COLLATE "C" NOT NULL,
    idx BIGINT NOT NULL,  -- of the idea
    PRIMARY KEY (tag, idx)
);

-- Which entries are about an idea.
CREATE TABLE about (
    idea TEXT COLLATE "C" NOT NULL,
    idx  BIGINT NOT NULL,  -- of the entry
    PRIMARY KEY (idea, idx)
);

CREATE TABLE hidden (
    entry TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    tombstone TEXT NOT NULL,
    body  TEXT COLLATE "C" NOT NULL
);
CREATE INDEX hidden_body ON hidden (body);

-- Entries that were filed and not appended, with the index of the one that stands for each.
CREATE TABLE seen (
    entry TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    idx   BIGINT NOT NULL
);

-- Texts of ideas by the hash of their content: the same text twice is one idea.
CREATE TABLE content (
    hash   TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    entry  TEXT COLLATE "C" NOT NULL,
    idea   TEXT NOT NULL,
    sealed TEXT COLLATE "C"
);
CREATE INDEX content_entry ON content (entry);
CREATE INDEX content_sealed ON content (sealed) WHERE sealed IS NOT NULL;

CREATE TABLE edge (
    relation TEXT COLLATE "C" NOT NULL,
    source   TEXT COLLATE "C" NOT NULL,
    target   TEXT COLLATE "C" NOT NULL,
    proposed BIGINT NOT NULL,
    likeness BIGINT,
    PRIMARY KEY (source, relation, target)
);
CREATE INDEX edge_target ON edge (target, relation);

CREATE TABLE job (
    idea  TEXT COLLATE "C" NOT NULL,
    job   TEXT COLLATE "C" NOT NULL,
    name  TEXT NOT NULL,
    state TEXT NOT NULL,
    entry TEXT NOT NULL,
    idx   BIGINT NOT NULL,
    PRIMARY KEY (idea, job)
);
CREATE INDEX job_job ON job (job);

CREATE TABLE opinion (
    idea   TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    impact BIGINT,
    cost   BIGINT,
    risk   BIGINT,
    vote   BIGINT,
    PRIMARY KEY (idea, author)
);

-- What near duplicates are found by: signature and bands of the latest text.
CREATE TABLE near (
    idx  BIGINT PRIMARY KEY NOT NULL,  -- of the idea
    idea TEXT NOT NULL,
    data TEXT NOT NULL  -- base64
);

CREATE TABLE erased (
    subject TEXT COLLATE "C" PRIMARY KEY NOT NULL
);

-- Words of the latest text.
CREATE TABLE words (
    idx   BIGINT PRIMARY KEY NOT NULL,  -- of the idea
    list  TEXT[] NOT NULL
);
CREATE INDEX words_list ON words USING gin (list);
