//! What a shell must load before a batch is decided.

use std::collections::BTreeSet;

use mesh_schemas::{
    JobId,
    idea::{EntryId, IdeaId, Relation, Say, Sha256},
};

use super::{EdgeKey, reach::is_acyclic};
use crate::check::Checked;

/// Keys of rows. Whatever exists of them must be in the [`super::Ledger`], and the size of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Entries, also among those that were filed and not appended (`seen`), and then the idea that has the text.
    pub entries: BTreeSet<EntryId>,
    /// Ideas. Of an entry among `entries` that a tombstone hides, also the ideas that it is about.
    pub ideas: BTreeSet<IdeaId>,
    /// Contents, each with the idea that has it: what is filed with the same text is seen again there, and counted.
    pub contents: BTreeSet<Sha256>,
    /// Edges.
    pub edges: BTreeSet<EdgeKey>,
    /// All confirmed edges of the relation that can be reached from the idea, or from the one that has its text.
    pub reach: BTreeSet<(Relation, IdeaId)>,
    /// Jobs of ideas.
    pub jobs: BTreeSet<(IdeaId, JobId)>,
}

impl Wanted {
    /// What a batch needs: its submissions, each with the hash of its text's content.
    pub fn of<'a>(batch: impl IntoIterator<Item = (&'a Checked, Option<Sha256>)>) -> Self {
        let mut wanted = Self::default();
        let mut linked = BTreeSet::new();
        for (checked, content) in batch {
            wanted.add(checked, content);
            if let Say::Link { relation, .. } = checked.entry().say {
                linked.insert(relation);
            }
        }
        // A new idea closes no circle by itself: its parents matter to the links of the same batch alone.
        wanted.reach.retain(|(relation, _)| linked.contains(relation));
        wanted
    }

    fn add(&mut self, checked: &Checked, content: Option<Sha256>) {
        self.entries.insert(checked.id());
        self.contents.extend(content);
        match &checked.entry().say {
            Say::Idea { parents, .. } => {
                self.ideas.extend(parents);
                self.entries.extend(parents.iter().map(|parent| EntryId::from(*parent)));
                self.reach.extend(parents.iter().map(|parent| (Relation::Derives, *parent)));
            }
            Say::Link { from, to, relation, .. } => {
                let (relation, from, to) = (*relation, *from, *to);
                self.ideas.extend([from, to]);
                self.edges.insert(EdgeKey { relation, from, to });
                self.reach.extend(is_acyclic(relation).then_some((relation, to)));
            }
            Say::Job { idea, job, .. } => {
                self.ideas.insert(*idea);
                self.jobs.insert((*idea, *job));
            }
            Say::SeenAgain { idea, entry, .. } => {
                self.ideas.insert(*idea);
                self.entries.insert(*entry);
            }
            Say::Tombstone { entry, .. } => {
                self.entries.insert(*entry);
            }
            Say::Revision { idea, .. }
            | Say::Comment { idea, .. }
            | Say::Claim { idea, .. }
            | Say::Transfer { idea, .. }
            | Say::Release { idea, .. }
            | Say::Status { idea, .. }
            | Say::Rank { idea, .. } => {
                self.ideas.insert(*idea);
            }
            Say::Erased { .. } | Say::Origin { .. } => {}
        }
    }
}
