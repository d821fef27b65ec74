//! Who has the last word: of all that entries say, which of them says how it is now. An index for each thing, so that a
//! large log fits into memory; what the entry says is read once more from its leaf, in [`super::follow`].

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::ledger::EdgeKey;
use mesh_schemas::{
    JobId,
    idea::{AuthorId, EntryId, IdeaId, IdeaStatus, Relation, Say, Sha256},
};

use super::{
    Finding, Findings,
    digest::{Digest, Digests},
    named::Named,
};
use crate::replay::Parsed;

/// Of one idea, the indices of entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idea {
    /// Its own.
    pub(super) index: u64,
    /// The one with its latest text.
    pub(super) text: u64,
    /// The end of its chain of ownership.
    pub(super) chain: u64,
    pub(super) seen_again: u64,
    pub(super) status: IdeaStatus,
}

/// What stands for an entry that was filed and not appended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) index: u64,
    /// The idea that has the text, and its index.
    pub(super) idea: IdeaId,
    pub(super) of: u64,
}

/// What the leaves say so far. Everything is named by an index or by a digest of its id.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) digests: Digests,
    /// In the order of the log.
    ideas: Vec<Idea>,
    seen: BTreeMap<Digest, Seen>,
    /// By content, the entry whose text it is.
    contents: BTreeMap<Digest, u64>,
    /// By edge, by job of an idea, and by idea and author, the latest entry about it.
    latest: BTreeMap<Digest, u64>,
    /// By the entry whose text is hidden, its tombstone.
    hidden: BTreeMap<u64, u64>,
    /// Of each idea that changed hands, the links of its chain behind its own entry.
    pub(super) chains: BTreeMap<u64, Vec<u64>>,
    /// Leaves that say nothing, as there is something wrong with them.
    pub(super) unsound: BTreeSet<u64>,
}

impl Last {
    pub(super) fn new() -> Self {
        Self {
            digests: Digests::new(),
            ideas: Vec::new(),
            seen: BTreeMap::new(),
            contents: BTreeMap::new(),
            latest: BTreeMap::new(),
            hidden: BTreeMap::new(),
            chains: BTreeMap::new(),
            unsound: BTreeSet::new(),
        }
    }

    /// Takes the next leaf in. `content` is that of its text, when it is at hand.
    pub(super) fn take_in(
        &mut self,
        Parsed { leaf, entry }: &Parsed,
        content: Option<Sha256>,
        named: &Named,
        findings: &mut Findings,
    ) {
        let mut look = Look { last: self, named, index: leaf.index, findings };
        match &entry.say {
            Say::Idea { parents, .. } => look.filed(leaf.id.into(), parents, content),
            Say::Revision { idea, .. } => look.revised(*idea, content),
            Say::Comment { idea, .. } => look.names(*idea),
            Say::Link { from, to, relation, .. } => {
                look.names(*from);
                look.names(*to);
                look.linked(EdgeKey { relation: *relation, from: *from, to: *to });
            }
            Say::Claim { idea, .. } | Say::Transfer { idea, .. } | Say::Release { idea, .. } => {
                look.chained(*idea);
            }
            Say::Status { idea, status, .. } => {
                let status = *status;
                look.idea(*idea).into_iter().for_each(|row| row.status = status);
            }
            Say::Rank { idea, .. } => {
                look.names(*idea);
                look.says(&opinion(*idea, entry.author));
            }
            Say::Job { idea, job, .. } => {
                look.names(*idea);
                look.says(&of_job(*idea, *job));
            }
            Say::SeenAgain { idea, entry, .. } => look.seen_again(*idea, *entry),
            Say::Tombstone { entry, .. } => look.hidden(*entry),
            Say::Erased { .. } | Say::Origin { .. } => {}
        }
    }

    /// What stands for an idea whose text was there already, as it was said before this index.
    pub(super) fn stands_for(&self, idea: IdeaId, before: u64) -> Option<&Seen> {
        self.seen(idea.into()).filter(|seen| seen.index < before)
    }

    pub(super) fn seen(&self, entry: EntryId) -> Option<&Seen> {
        self.seen.get(&self.digests.text(&entry.to_string()))
    }

    /// The idea with this index.
    pub(super) fn idea(&self, index: u64) -> Option<Idea> {
        let place = self.ideas.binary_search_by_key(&index, |idea| idea.index).ok()?;
        self.ideas.get(place).copied()
    }

    /// This entry's text is the one of its content, and it is not hidden.
    pub(super) fn has_content(&self, index: u64, content: Sha256) -> bool {
        self.contents.get(&self.digests.text(&content.to_string())) == Some(&index)
            && self.tombstone(index).is_none()
    }

    /// This entry has the last word on it.
    pub(super) fn is_latest(&self, index: u64, what: &str) -> bool {
        self.latest.get(&self.digests.text(what)) == Some(&index)
    }

    /// The index of the tombstone that hides the text of an entry.
    pub(super) fn tombstone(&self, index: u64) -> Option<u64> {
        self.hidden.get(&index).copied()
    }
}

/// What an edge is called among the latest.
pub(super) fn edge(EdgeKey { relation, from, to }: EdgeKey) -> String {
    format!("edge {relation} {from} {to}")
}

/// What a job of an idea is called there.
pub(super) fn of_job(idea: IdeaId, job: JobId) -> String {
    format!("job {idea} {job}")
}

/// What an author's opinion of an idea is called there.
pub(super) fn opinion(idea: IdeaId, author: AuthorId) -> String {
    format!("opinion {idea} {author}")
}

/// One leaf being taken in.
struct Look<'a> {
    last: &'a mut Last,
    named: &'a Named,
    index: u64,
    findings: &'a mut Findings,
}

impl Look<'_> {
    fn wrong(&mut self, detail: &str) {
        self.findings.add(Finding::at(self.index, "entry", detail));
    }

    /// An idea that is in the log before this leaf.
    fn known(&self, idea: IdeaId) -> Option<usize> {
        let index = self.named.index_of(idea.into()).filter(|index| *index < self.index)?;
        self.last.ideas.binary_search_by_key(&index, |row| row.index).ok()
    }

    fn names(&mut self, idea: IdeaId) {
        if self.known(idea).is_none() {
            self.wrong("it names an idea that is not in the log before it");
        }
    }

    fn idea(&mut self, idea: IdeaId) -> Option<&mut Idea> {
        self.names(idea);
        let place = self.known(idea)?;
        self.last.ideas.get_mut(place)
    }

    fn says(&mut self, what: &str) {
        self.last.latest.insert(self.last.digests.text(what), self.index);
    }

    fn linked(&mut self, key: EdgeKey) {
        let to = self.last.stands_for(key.to, self.index).map_or(key.to, |seen| seen.idea);
        self.says(&edge(EdgeKey { to, ..key }));
    }

    fn filed(&mut self, own: IdeaId, parents: &[IdeaId], content: Option<Sha256>) {
        for parent in parents {
            let seen = self.last.stands_for(*parent, self.index).is_some();
            if !seen && self.known(*parent).is_none() {
                self.wrong("a parent is not in the log before it");
            }
            self.linked(EdgeKey { relation: Relation::Derives, from: own, to: *parent });
        }
        let (index, status) = (self.index, IdeaStatus::Open);
        self.last.ideas.push(Idea { index, text: index, chain: index, seen_again: 0, status });
        self.content(content);
    }

    fn revised(&mut self, idea: IdeaId, content: Option<Sha256>) {
        let index = self.index;
        self.idea(idea).into_iter().for_each(|row| row.text = index);
        self.content(content);
    }

    /// Whoever has a text first keeps it, until it is hidden.
    fn content(&mut self, content: Option<Sha256>) {
        let Some(content) = content else { return };
        let content = self.last.digests.text(&content.to_string());
        let owner = self.last.contents.entry(content).or_insert(self.index);
        if self.last.hidden.contains_key(owner) {
            *owner = self.index;
        }
    }

    fn chained(&mut self, idea: IdeaId) {
        let index = self.index;
        let Some(row) = self.idea(idea) else { return };
        row.chain = index;
        let own = row.index;
        self.last.chains.entry(own).or_default().push(index);
    }

    fn seen_again(&mut self, idea: IdeaId, entry: EntryId) {
        if self.named.index_of(entry).is_some() {
            self.wrong("it says of an entry that is in the log that it was filed again");
        }
        let index = self.index;
        let Some(row) = self.idea(idea) else { return };
        let of = row.index;
        let entry = self.last.digests.text(&entry.to_string());
        if self.last.seen.insert(entry, Seen { index, idea, of }).is_none() {
            self.idea(idea).into_iter().for_each(|row| row.seen_again += 1);
        }
    }

    fn hidden(&mut self, entry: EntryId) {
        let hidden = self.named.index_of(entry).filter(|hidden| *hidden < self.index);
        match hidden {
            Some(hidden) => drop(self.last.hidden.insert(hidden, self.index)),
            None => self.wrong("it hides an entry that is not in the log before it"),
        }
    }
}
