//! The ledger of ideas: what an entry says, and who may be asked what about it.
//!
//! An entry is canonical JSON (RFC 8785: sorted keys, no white space, integers only) of at most
//! [`ENTRY_BYTES_MAX`] bytes, and it is the leaf's data in the log, signature included. Entries are
//! never changed or removed; a correction is an entry of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    attempt::{JobState, words},
    id::JobId,
    time::Timestamp,
};

mod ask;
mod hash;
mod view;

pub use ask::{
    AUTHORS_STATEMENT, Appended, Direction, EdgeQuery, IdeaQuery, LedgerAnswer, LedgerAsk,
    LedgerCheckpoint, LedgerProof, LedgerStats, PartQuery, RankQuery, SearchQuery, Submission,
};
pub use hash::{AuthorId, EntryId, HashError, IdeaId, Sha256, Signature};
pub use view::{
    EdgeView, EntryView, IdeaDetail, IdeaGraph, IdeaJob, IdeaPart, IdeaView, IdeaWork, JobIdeas,
    LogEntry, OwnerView, RankTerm, RankedIdea,
};

/// Version of an entry.
pub const ENTRY_VERSION: u32 = 1;
/// Longest entry, in bytes of canonical JSON.
pub const ENTRY_BYTES_MAX: usize = 16 * 1024;
/// Longest body, in bytes of UTF-8.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Most parents of one idea, and most tags.
pub const PARENTS_MAX: usize = 32;
/// Longest tag, subject and name of an author, in bytes.
pub const WORD_BYTES_MAX: usize = 63;
/// Longest reason or note, in bytes.
pub const NOTE_BYTES_MAX: usize = 1024;
/// How far ahead of the registry's clock an entry's time may be, in milliseconds.
pub const FUTURE_MILLIS_MAX: i64 = 300_000;

/// One entry of the log, as its author signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// [`ENTRY_VERSION`].
    pub v: u32,
    /// Who says it.
    pub author: AuthorId,
    /// The author's name, for people; nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When, by the author's clock.
    pub time: Timestamp,
    /// What is said.
    pub say: Say,
    /// Ed25519 signature of the author over the canonical JSON of the entry without this field, behind
    /// the context line `deskmesh ideas entry v1\n`.
    pub sig: Signature,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Say {
    /// A new idea. Its id is the id of this entry.
    Idea {
        /// Its text.
        body: BodyRef,
        /// Ideas that it derives from; each is also an edge.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parents: Vec<IdeaId>,
        /// Words to find it by.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tags: Vec<String>,
        /// Where it came from, such as `issue 12` or a URL, when it was imported.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// A newer text of an idea, by its holder.
    Revision {
        /// Which.
        idea: IdeaId,
        /// The new text.
        body: BodyRef,
    },
    /// A remark, by anybody.
    Comment {
        /// On which idea.
        idea: IdeaId,
        /// The remark.
        body: BodyRef,
    },
    /// An edge between two ideas, by anybody; or proposed by the registry.
    Link {
        /// From this one,
        from: IdeaId,
        /// to that one.
        to: IdeaId,
        /// In which way.
        relation: Relation,
        /// Proposed by the registry, for a person to confirm by a link of their own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        proposed: bool,
        /// How alike the texts are, in thousandths; on proposed duplicates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        likeness: Option<u16>,
    },
    /// Takes an idea that nobody holds.
    Claim {
        /// Which.
        idea: IdeaId,
        /// The entry of the chain that this follows: the idea itself, or the latest claim, transfer or release.
        follows: EntryId,
    },
    /// Gives an idea away, by its holder.
    Transfer {
        /// Which.
        idea: IdeaId,
        /// To whom.
        to: AuthorId,
        /// As in `claim`.
        follows: EntryId,
    },
    /// Lets an idea go, by its holder.
    Release {
        /// Which.
        idea: IdeaId,
        /// As in `claim`.
        follows: EntryId,
    },
    /// Where an idea stands, by its holder.
    Status {
        /// Which.
        idea: IdeaId,
        /// Where.
        status: IdeaStatus,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// What an author thinks of an idea; the latest of each author counts.
    Rank {
        /// Which.
        idea: IdeaId,
        /// How much it would change, 0 to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impact: Option<u8>,
        /// What it would cost, 0 to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<u8>,
        /// How likely it is to fail or harm, 0 to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        risk: Option<u8>,
        /// -1, 0 or 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vote: Option<i8>,
    },
    /// Work that came of an idea began or ended; written by the registry for the orchestrator.
    Job {
        /// Of which idea.
        idea: IdeaId,
        /// The job.
        job: JobId,
        /// Where the job is.
        state: JobState,
        /// Its name, for people.
        job_name: String,
    },
    /// The same text was filed once more; written by the registry.
    SeenAgain {
        /// The idea that was there.
        idea: IdeaId,
        /// The entry that was filed and not appended.
        entry: EntryId,
        /// Who filed it.
        by: AuthorId,
        /// That author's signature over it.
        by_sig: Signature,
    },
    /// Hides a body of the author's own or of an idea held; the hash stays.
    Tombstone {
        /// Whose body.
        entry: EntryId,
        /// Why.
        reason: String,
    },
    /// All bodies sealed for a subject were erased; written by the registry.
    Erased {
        /// Whose.
        subject: String,
    },
    /// The first entry of a log that goes on where another could not; written by the registry.
    Origin {
        /// The log before.
        old_origin: String,
        /// Its last witnessed size.
        old_size: u64,
        /// Its root at that size.
        old_root: Sha256,
        /// The verifier key of the log that begins here, so that nobody can put the entry at the head of another; absent in
        /// logs of before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
}

impl Say {
    /// The word in the field `kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Idea { .. } => "idea",
            Self::Revision { .. } => "revision",
            Self::Comment { .. } => "comment",
            Self::Link { .. } => "link",
            Self::Claim { .. } => "claim",
            Self::Transfer { .. } => "transfer",
            Self::Release { .. } => "release",
            Self::Status { .. } => "status",
            Self::Rank { .. } => "rank",
            Self::Job { .. } => "job",
            Self::SeenAgain { .. } => "seen_again",
            Self::Tombstone { .. } => "tombstone",
            Self::Erased { .. } => "erased",
            Self::Origin { .. } => "origin",
        }
    }

    /// The text it refers to.
    pub const fn body(&self) -> Option<&BodyRef> {
        match self {
            Self::Idea { body, .. } | Self::Revision { body, .. } | Self::Comment { body, .. } => {
                Some(body)
            }
            Self::Link { .. }
            | Self::Claim { .. }
            | Self::Transfer { .. }
            | Self::Release { .. }
            | Self::Status { .. }
            | Self::Rank { .. }
            | Self::Job { .. }
            | Self::SeenAgain { .. }
            | Self::Tombstone { .. }
            | Self::Erased { .. }
            | Self::Origin { .. } => None,
        }
    }

    /// The step in an idea's chain of holders that it is when `author` says it; nothing when it is none.
    pub const fn holding(&self, author: AuthorId) -> Option<Holding> {
        let (holder, follows) = match self {
            Self::Idea { .. } => (Some(author), None),
            Self::Claim { follows, .. } => (Some(author), Some(*follows)),
            Self::Transfer { to, follows, .. } => (Some(*to), Some(*follows)),
            Self::Release { follows, .. } => (None, Some(*follows)),
            Self::Revision { .. }
            | Self::Comment { .. }
            | Self::Link { .. }
            | Self::Status { .. }
            | Self::Rank { .. }
            | Self::Job { .. }
            | Self::SeenAgain { .. }
            | Self::Tombstone { .. }
            | Self::Erased { .. }
            | Self::Origin { .. } => return None,
        };
        Some(Holding { holder, follows })
    }
}

/// A step in an idea's chain of holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Who holds the idea from here on; nobody after a release.
    pub holder: Option<AuthorId>,
    /// The step before; none before the idea itself.
    pub follows: Option<EntryId>,
}

/// A text that lies beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyRef {
    /// SHA-256 of the text; of a salt of 32 bytes and the text, when sealed.
    pub hash: Sha256,
    /// Its length, in bytes of UTF-8, without the salt.
    pub bytes: u32,
    /// The subject for whom it is kept encrypted: erasing the subject's key erases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

words! {
    /// How one idea stands to another.
    Relation {
        /// The first grew out of the second. No cycles.
        Derives = "derives",
        /// The first says the same as the second. No cycles.
        Duplicates = "duplicates",
        /// The first stands in the way of the second. No cycles.
        Blocks = "blocks",
        /// The first speaks against the second.
        Refutes = "refutes",
        /// The first is the work that the second asked for. No cycles.
        Implements = "implements",
    }
}

words! {
    /// Where an idea stands.
    IdeaStatus {
        /// Filed; nobody has decided.
        Open = "open",
        /// To be done.
        Accepted = "accepted",
        /// Being done.
        Started = "started",
        /// Done and in use.
        Shipped = "shipped",
        /// Not to be done.
        Rejected = "rejected",
    }
}
