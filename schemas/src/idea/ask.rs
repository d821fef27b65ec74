//! What the registry is asked over NATS, on `mesh.v1.ideas.<ask>`, and what it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    attempt::{JobState, words},
    error::Problem,
    id::JobId,
};

use super::{
    AuthorId, EdgeView, Entry, EntryId, EntryView, IdeaDetail, IdeaGraph, IdeaId, IdeaJob,
    IdeaStatus, IdeaView, LogEntry, RankedIdea, Relation, Sha256,
};

/// An entry on its way into the log, with the text it refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The entry, signed.
    pub entry: Entry,
    /// The text, when the entry has a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The salt of a sealed body, 32 bytes in hex; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Sha256>,
}

/// The answer to a submission: durable from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The entry that says it: the one submitted, or the `seen_again` that stands for it.
    pub entry: EntryId,
    /// Its index in the log; absent while the registry is away and the entry waits on the stream `IDEA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The idea it is about; of a text that was there already, the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idea: Option<IdeaId>,
    /// False when the log already held this very entry, or this text.
    pub created: bool,
    /// Near duplicates that were found and linked as proposals, likest first, with thousandths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<(IdeaId, u16)>,
}

/// One question to the registry. The kind is also the last token of the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum LedgerAsk {
    /// Append; answered with [`LedgerAnswer::Appended`].
    Append(Box<Submission>),
    /// One idea, with as much of what was said about it as one answer has room for. `idea` may be the beginning of an
    /// id, of at least 6 digits.
    Show {
        /// The id or its beginning.
        idea: String,
    },
    /// Ideas, newest first.
    List(IdeaQuery),
    /// Ideas whose text has these words.
    Search(SearchQuery),
    /// Ideas by score.
    Rank(RankQuery),
    /// The entries about an idea, in the order of the log, page by page.
    About(PartQuery),
    /// Edges, of one idea or all, page by page.
    Edges(EdgeQuery),
    /// The neighbourhood of an idea, or edges of all, as much as one answer has room for.
    Graph {
        /// Around which; all when absent.
        idea: Option<IdeaId>,
        /// How far, 1 to 16 edges.
        depth: u32,
        /// Which way.
        direction: Direction,
    },
    /// The jobs of an idea, newest first, page by page.
    Jobs(PartQuery),
    /// The ideas of a job.
    Ideas {
        /// Which.
        job: JobId,
    },
    /// Whether an idea is in the log, for the orchestrator's gate. Cheap.
    Exists {
        /// Which.
        idea: IdeaId,
    },
    /// A job of an idea began or ended; for the orchestrator alone.
    JobState {
        /// Of which idea.
        idea: IdeaId,
        /// The job.
        job: JobId,
        /// Where it is.
        state: JobState,
        /// Its name.
        job_name: String,
    },
    /// The latest checkpoint, as a signed note with its witnesses' lines.
    Checkpoint {},
    /// Inclusion of an entry in the latest checkpoint, and consistency with an older size.
    Prove {
        /// Which entry; none for consistency alone.
        entry: Option<EntryId>,
        /// The older size.
        old_size: Option<u64>,
    },
    /// One file of the log by its tlog-tiles path, such as `tile/0/000.p/5` or `tile/entries/000`.
    Tile {
        /// Its path.
        path: String,
    },
    /// Entries of the log with their indices, from one on; at most 256.
    Entries {
        /// The first index.
        from: u64,
        /// How many.
        count: u32,
    },
    /// One text by its hash.
    Body {
        /// Its hash.
        hash: Sha256,
    },
    /// Destroys the key of a subject; for administrators alone.
    Erase {
        /// Whose.
        subject: String,
    },
    /// Sizes and health.
    Stats {},
}

impl LedgerAsk {
    /// The word in the field `ask`, which is also the last token of the subject.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Append(_) => "append",
            Self::Show { .. } => "show",
            Self::List(_) => "list",
            Self::Search(_) => "search",
            Self::Rank(_) => "rank",
            Self::About(_) => "about",
            Self::Edges(_) => "edges",
            Self::Graph { .. } => "graph",
            Self::Jobs(_) => "jobs",
            Self::Ideas { .. } => "ideas",
            Self::Exists { .. } => "exists",
            Self::JobState { .. } => "job_state",
            Self::Checkpoint {} => "checkpoint",
            Self::Prove { .. } => "prove",
            Self::Tile { .. } => "tile",
            Self::Entries { .. } => "entries",
            Self::Body { .. } => "body",
            Self::Erase { .. } => "erase",
            Self::Stats {} => "stats",
        }
    }
}

/// The registry's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum LedgerAnswer {
    /// To `append`, `job_state` and `erase`.
    Appended(Appended),
    /// To `show`.
    Idea(Box<IdeaDetail>),
    /// To `list` and `search`.
    Ideas {
        /// The rows.
        items: Vec<IdeaView>,
        /// Pass as `cursor` for the following page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// To `rank`.
    Ranking {
        /// Best first.
        items: Vec<RankedIdea>,
    },
    /// To `graph`.
    Graph(IdeaGraph),
    /// To `about`.
    About {
        /// In the order of the log. Texts for which the page has no room are left out, and can be asked for by their hash.
        items: Vec<EntryView>,
        /// Pass as `cursor` for the following page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// To `edges`.
    Edges {
        /// By the idea that they come from.
        items: Vec<EdgeView>,
        /// Pass as `cursor` for the following page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// To `jobs` and `ideas`.
    Jobs {
        /// Each job with its idea.
        items: Vec<IdeaJob>,
        /// Pass as `cursor` for the following page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// To `exists`.
    Exists {
        /// It is in the log.
        exists: bool,
    },
    /// To `checkpoint`.
    Checkpoint(LedgerCheckpoint),
    /// To `prove`.
    Proof(LedgerProof),
    /// To `tile`: the bytes, base64.
    Tile {
        /// The file.
        data: String,
    },
    /// To `entries`.
    Entries {
        /// In order.
        items: Vec<LogEntry>,
    },
    /// To `body`.
    Body {
        /// The text.
        text: String,
    },
    /// To `stats`.
    Stats(LedgerStats),
    /// What was wrong.
    Problem(Problem),
}

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerCheckpoint {
    /// The signed note.
    pub note: String,
    /// The verifier key of the log, as in signed notes. A client pins the first it sees.
    pub key: String,
    /// With which keys the registry signs and signed its own entries: a note that begins with [`AUTHORS_STATEMENT`] and
    /// the origin, signed by the log's key, with one author a line. Empty from a registry of before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub authors: String,
    /// The last head that the witnesses of the registry cosigned together, as a signed note: a busy log has a newer one
    /// before they have. Empty when that is the head in `note`, or when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cosigned: String,
}

/// First line of the note in which a log names the registry's keys.
pub const AUTHORS_STATEMENT: &str = "deskmesh ideas authors v1";

/// Proofs against one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerProof {
    /// The head that they lead to.
    pub checkpoint: LedgerCheckpoint,
    /// The entry with its index, when one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<LogEntry>,
    /// Inclusion of that entry: hashes from the leaf up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inclusion: Vec<Sha256>,
    /// Consistency with the older size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consistency: Vec<Sha256>,
}

words! {
    /// Which way edges are followed.
    Direction {
        /// To what an idea points at: its ancestors.
        Out = "out",
        /// To what points at an idea: its descendants.
        In = "in",
        /// Both.
        Both = "both",
    }
}

/// Which ideas, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdeaQuery {
    /// Where they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<IdeaStatus>,
    /// Who holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<AuthorId>,
    /// Who filed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<AuthorId>,
    /// With this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// With an edge of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<Relation>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most rows, 1 to 1,000; 100 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of what belongs to an idea.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartQuery {
    /// Which.
    pub idea: IdeaId,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most rows, 1 to 1,000; 100 when not said. A page may have fewer, and still be followed by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of edges.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeQuery {
    /// Only those from and to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idea: Option<IdeaId>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Most rows, 1 to 1,000; 100 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Ideas by their words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// Words that must all be in the text, or a whole text to find near duplicates of.
    pub text: String,
    /// Find what is like the text instead of what has its words.
    #[serde(default)]
    pub similar: bool,
    /// Most rows, 1 to 1,000; 20 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The best ideas.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankQuery {
    /// Only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<IdeaStatus>,
    /// Most rows, 1 to 1,000; 20 when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Sizes and health of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerStats {
    /// The log's origin.
    pub origin: String,
    /// Entries that are durable.
    pub entries: u64,
    /// Size of the latest signed checkpoint.
    pub signed: u64,
    /// Size of what the object store holds.
    pub published: u64,
    /// Size that a witness has cosigned; absent without a witness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnessed: Option<u64>,
    /// Ideas.
    pub ideas: u64,
    /// Why nothing is signed any more, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// What somebody should look at while the log goes on, such as a witness that is away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
}
