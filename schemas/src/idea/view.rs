//! Ideas as people see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{JobView, TaskView},
    attempt::{JobState, words},
    id::JobId,
    time::Timestamp,
};

use super::{AuthorId, Entry, EntryId, IdeaId, IdeaStatus, Relation};

/// An entry with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogEntry {
    /// Its index, from 0.
    pub index: u64,
    /// The leaf's data: the entry's canonical JSON, as text, byte for byte.
    pub data: String,
}

/// An idea as shown in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdeaView {
    /// Which.
    pub id: IdeaId,
    /// Its index in the log.
    pub index: u64,
    /// First line of its latest text, cut to 120 characters; empty when erased or hidden, and in lists when sealed.
    pub title: String,
    /// Who filed it.
    pub author: AuthorId,
    /// That author's name, as they gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_name: Option<String>,
    /// Who holds it; nobody after a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<AuthorId>,
    /// Where it stands.
    pub status: IdeaStatus,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// When it was filed, by its author's clock.
    pub time: Timestamp,
    /// How often the same text was filed again.
    pub seen_again: u64,
    /// Sum of the votes.
    pub votes: i64,
}

/// An idea, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdeaDetail {
    /// What lists show.
    #[serde(flatten)]
    pub view: IdeaView,
    /// Its latest text; absent when erased or hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Every entry about it, in the order of the log.
    pub entries: Vec<EntryView>,
    /// Who held it, from its author on.
    pub owners: Vec<OwnerView>,
    /// Edges from and to it.
    pub edges: Vec<EdgeView>,
    /// The work that came of it.
    pub jobs: Vec<IdeaJob>,
    /// Which of these lists are not whole: of entries, owners and jobs the newest are there, of entries and owners also the
    /// first. Each can be asked for page by page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<IdeaPart>,
}

words! {
    /// A list that belongs to an idea.
    IdeaPart {
        /// What was said about it.
        Entries = "entries",
        /// Who held it; follows from the entries.
        Owners = "owners",
        /// Edges from and to it.
        Edges = "edges",
        /// The work that came of it.
        Jobs = "jobs",
    }
}

/// An entry with its id and index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryView {
    /// Its id.
    pub id: EntryId,
    /// Its index in the log.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
    /// Its text, when it has one that is neither erased nor hidden, and the answer has room for it: each can be asked for by
    /// its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// One link of an ownership chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerView {
    /// The entry that says so.
    pub entry: EntryId,
    /// Who holds it from there on; nobody after a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<AuthorId>,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EdgeView {
    /// From this one,
    pub from: IdeaId,
    /// to that one.
    pub to: IdeaId,
    /// In which way.
    pub relation: Relation,
    /// Proposed by the registry and not confirmed.
    pub proposed: bool,
    /// How alike, in thousandths, when proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<u16>,
}

/// Ideas and the edges between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdeaGraph {
    /// The ideas, in the order of the log.
    pub ideas: Vec<IdeaView>,
    /// The edges among them.
    pub edges: Vec<EdgeView>,
    /// Connected parts, largest first, each in the order of the log.
    pub components: Vec<Vec<IdeaId>>,
    /// There is more than one answer has room for: page by page all edges can be had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A job that came of an idea.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdeaJob {
    /// The idea.
    pub idea: IdeaId,
    /// The job.
    pub job: JobId,
    /// The job's name.
    pub job_name: String,
    /// Where it was last said to be.
    pub state: JobState,
    /// The entry that says so.
    pub entry: EntryId,
}

/// What came of an idea: one job, as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdeaWork {
    /// As the ledger has it.
    pub idea: IdeaJob,
    /// As the cluster has it; absent when it is another cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobView>,
    /// Its tasks with their last attempts and what these stored; the first hundred, of which `job` has the number of all.
    pub tasks: Vec<TaskView>,
}

/// The way back from a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobIdeas {
    /// The job.
    pub job: JobId,
    /// The idea that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<IdeaId>,
    /// That idea; absent while it has not come to the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idea: Option<IdeaDetail>,
    /// What the ledger was told of the job.
    pub told: Vec<IdeaJob>,
}

/// An idea with its score and how that came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankedIdea {
    /// The idea.
    pub idea: IdeaView,
    /// The sum of all terms.
    pub score: f64,
    /// Each term.
    pub terms: Vec<RankTerm>,
}

/// One term of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankTerm {
    /// `impact`, `cost`, `risk`, `novelty`, `age`, `votes`, `outcome` or `graph`.
    pub name: String,
    /// What was found, from 0 to 1 or from -1 to 1.
    pub value: f64,
    /// By what it is multiplied; from the configuration.
    pub weight: f64,
}
