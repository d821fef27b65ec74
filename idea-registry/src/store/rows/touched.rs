//! Which rows the changes of some leaves touch.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::ledger::{Change, EdgeKey, Ledger, TextFacts};
use mesh_schemas::{
    JobId,
    idea::{AuthorId, EntryId, IdeaId, Sha256},
};

/// Keys of rows; what becomes of each is in the ledger.
#[derive(Debug, Default)]
pub(crate) struct Touched<'a> {
    pub(super) ideas: BTreeSet<IdeaId>,
    pub(super) new_ideas: BTreeSet<IdeaId>,
    /// Ideas, each with the index of an entry about it, but for its own.
    pub(super) about: BTreeSet<(IdeaId, u64)>,
    pub(super) edges: BTreeSet<EdgeKey>,
    pub(super) jobs: BTreeSet<(IdeaId, JobId)>,
    pub(super) opinions: BTreeSet<(IdeaId, AuthorId)>,
    pub(super) seen: BTreeMap<EntryId, u64>,
    /// Ideas whose latest text is another, with what follows from it.
    pub(super) texts: BTreeMap<IdeaId, (EntryId, Option<&'a TextFacts>)>,
    pub(super) contents: BTreeSet<Sha256>,
    /// Entries whose text is hidden, each with its tombstone and its body.
    pub(super) hidden: BTreeMap<EntryId, (EntryId, Option<Sha256>)>,
    pub(super) erased: BTreeSet<&'a str>,
}

impl<'a> Touched<'a> {
    /// What these changes touch; the ledger has taken them in.
    pub(super) fn by(changes: &'a [Change], ledger: &Ledger) -> Self {
        let mut touched = Self::default();
        for change in changes {
            touched.add(change, ledger);
        }
        touched
    }

    fn add(&mut self, change: &'a Change, ledger: &Ledger) {
        match change {
            Change::Entry { id, row } => {
                let others = row.about.iter().filter(|idea| **idea != IdeaId::from(*id));
                self.about.extend(others.map(|idea| (*idea, row.index)));
            }
            Change::Idea(row) => {
                self.ideas.insert(row.id);
                self.new_ideas.insert(row.id);
            }
            Change::Text { idea, entry, text, .. } => {
                self.add_text(*idea, *entry, text.as_deref());
            }
            Change::Holder { idea, .. } | Change::Status { idea, .. } => {
                self.ideas.insert(*idea);
            }
            Change::Edge { key, .. } => {
                self.edges.insert(*key);
            }
            Change::Job { idea, job, .. } => {
                self.jobs.insert((*idea, *job));
            }
            Change::Rank { idea, author, .. } => {
                self.opinions.insert((*idea, *author));
            }
            Change::SeenAgain { idea, entry, index } => {
                self.ideas.insert(*idea);
                self.seen.insert(*entry, *index);
            }
            Change::Hidden { entry, by } => self.add_hidden(*entry, *by, ledger),
            Change::Erased { subject } => {
                self.erased.insert(subject);
            }
        }
    }

    fn add_text(&mut self, idea: IdeaId, entry: EntryId, text: Option<&'a TextFacts>) {
        self.ideas.insert(idea);
        self.contents.extend(text.map(|text| text.content));
        self.texts.insert(idea, (entry, text));
    }

    /// The tombstone is about the ideas that the hidden entry is about.
    fn add_hidden(&mut self, entry: EntryId, by: EntryId, ledger: &Ledger) {
        let Some(row) = ledger.entries.get(&entry) else { return };
        self.ideas.extend(row.about.iter().filter(|idea| ledger.ideas.contains_key(idea)));
        self.hidden.insert(entry, (by, row.body));
        if let Some(tombstone) = ledger.entries.get(&by) {
            self.about.extend(row.about.iter().map(|idea| (*idea, tombstone.index)));
        }
    }
}
