//! The ledger as values: what its projections hold.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{
    JobId, Timestamp,
    attempt::JobState,
    idea::{AuthorId, EntryId, IdeaId, IdeaStatus, Relation, Sha256},
};

use super::Holder;
use crate::near::Signature;

/// All that is known, or as much of it as was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// How many leaves the log has: the index of the next.
    pub size: u64,
    /// Entries by id.
    pub entries: BTreeMap<EntryId, EntryRow>,
    /// Entries that were filed and not appended, with the `seen_again` that stands for each.
    pub seen: BTreeMap<EntryId, SeenRow>,
    /// Ideas by id.
    pub ideas: BTreeMap<IdeaId, IdeaRow>,
    /// Texts of ideas by the hash of their content.
    pub contents: BTreeMap<Sha256, ContentRow>,
    /// Edges.
    pub edges: BTreeMap<EdgeKey, EdgeRow>,
    /// Jobs of ideas.
    pub jobs: BTreeMap<(IdeaId, JobId), JobRow>,
    /// What authors think of ideas.
    pub ranks: BTreeMap<(IdeaId, AuthorId), RankRow>,
    /// Signatures of the latest texts of ideas.
    pub near: BTreeMap<IdeaId, Signature>,
    /// Subjects whose texts were erased.
    pub erased: BTreeSet<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Its index in the log.
    pub index: u64,
    /// Who said it.
    pub author: AuthorId,
    /// The word in the field `kind`.
    pub kind: &'static str,
    /// The ideas that it is about; of a tombstone none, as the hidden entry has them.
    pub about: Vec<IdeaId>,
    /// The text that it refers to.
    pub body: Option<Sha256>,
    /// The subject for whom the text is sealed.
    pub sealed: Option<String>,
    /// The tombstone that hides its text.
    pub hidden: Option<EntryId>,
}

/// What stands for an entry that was filed and not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenRow {
    /// The index of the `seen_again`.
    pub index: u64,
    /// The idea that has the text.
    pub idea: IdeaId,
}

/// Whose a content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRow {
    /// The entry that has the text.
    pub entry: EntryId,
    /// Its idea.
    pub idea: IdeaId,
    /// The subject for whom the text is sealed.
    pub sealed: Option<String>,
}

/// One idea.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdeaRow {
    /// Which.
    pub id: IdeaId,
    /// Its index in the log.
    pub index: u64,
    /// Who filed it.
    pub author: AuthorId,
    /// That author's name.
    pub author_name: Option<String>,
    /// When it was filed, by its author's clock.
    pub time: Timestamp,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// The entry that has its latest text.
    pub text_entry: EntryId,
    /// The subject for whom that text is sealed.
    pub sealed: Option<String>,
    /// The title of that text; empty when it is sealed, hidden or erased.
    pub title: String,
    /// Who holds it, and by which entry.
    pub holder: Holder,
    /// Where it stands.
    pub status: IdeaStatus,
    /// How often its text was filed again.
    pub seen_again: u64,
}

/// Which edge. Ordered by relation and beginning, so that one idea's edges lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EdgeKey {
    /// In which way.
    pub relation: Relation,
    /// From this one,
    pub from: IdeaId,
    /// to that one.
    pub to: IdeaId,
}

/// What is known of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeRow {
    /// Proposed by the registry and not confirmed.
    pub proposed: bool,
    /// How alike the texts are, while it is proposed.
    pub likeness: Option<u16>,
}

/// A job of an idea.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Where it was last said to be.
    pub state: JobState,
    /// Its name.
    pub name: String,
    /// The entry that says so.
    pub entry: EntryId,
    /// That entry's index.
    pub index: u64,
}

/// What one author thinks of an idea, by the latest entry alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RankRow {
    /// How much it would change, 0 to 100.
    pub impact: Option<u8>,
    /// What it would cost, 0 to 100.
    pub cost: Option<u8>,
    /// How likely it is to fail or harm, 0 to 100.
    pub risk: Option<u8>,
    /// -1, 0 or 1.
    pub vote: Option<i8>,
}
