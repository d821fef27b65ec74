//! The projections once more from the leaves, in memory.

use std::collections::BTreeMap;

use mesh_ideas_core::{
    body_hash,
    canonical::canonical,
    ledger::{Change, Ledger},
    text::words,
};
use mesh_schemas::idea::{Entry, EntryId, IdeaId, Say};
use serde_json::{Value, json};

use super::{Finding, Findings};
use crate::{
    replay::{Beside, Parsed},
    store::rows::stored_near,
};

/// A row or a word, by the beginning of its hash: whole, those of a large ledger would not fit into memory.
pub(super) type Digest = u128;

/// What the leaves say so far.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) ledger: Ledger,
    /// By the index of an idea, its row of what near duplicates are found by.
    pub(super) near: BTreeMap<u64, Digest>,
    /// By the index of an idea, the sum over its words.
    pub(super) words: BTreeMap<u64, Digest>,
    /// Of each idea that changed hands, the entries of its chain but for the first, which is the idea.
    pub(super) chains: BTreeMap<IdeaId, Vec<(u64, Entry)>>,
}

impl Expected {
    pub(super) fn take_in(&mut self, leaves: &[Parsed], beside: &Beside, findings: &mut Findings) {
        for (parsed, changes) in leaves.iter().zip(beside.changes(leaves)) {
            self.check_parents(parsed, findings);
            self.follow(parsed);
            let changes = self.ledger.take_in([changes]);
            changes.iter().for_each(|change| self.find_by(change, beside));
        }
        // Nothing is decided by it here, and of a large log it is most of what there is.
        self.ledger.near.clear();
    }

    fn check_parents(&self, Parsed { leaf, entry }: &Parsed, findings: &mut Findings) {
        let Say::Idea { parents, .. } = &entry.say else { return };
        let is_known =
            |parent: &IdeaId| self.ledger.ideas.contains_key(&self.ledger.stands_for(*parent));
        if !parents.iter().all(is_known) {
            let detail = "a parent is not in the log before it";
            findings.add(Finding::at(leaf.index, "entry", detail));
        }
    }

    fn follow(&mut self, Parsed { leaf, entry }: &Parsed) {
        let (Say::Claim { idea, .. } | Say::Transfer { idea, .. } | Say::Release { idea, .. }) =
            entry.say
        else {
            return;
        };
        self.chains.entry(idea).or_default().push((leaf.index, entry.clone()));
    }

    /// What an idea is found by follows from its latest text, unless that is sealed or hidden.
    fn find_by(&mut self, change: &Change, beside: &Beside) {
        match change {
            Change::Text { idea, entry, text, .. } => {
                let Some(index) = self.ledger.ideas.get(idea).map(|row| row.index) else { return };
                self.forget(index);
                let near = text.as_ref().and_then(|text| text.near.as_ref());
                if let Some((near, text)) = near.zip(beside.text_of(entry)) {
                    let row = json!([index, idea, stored_near(near)]);
                    self.near.insert(index, row_digest(&row));
                    let words = words(text);
                    let sum =
                        words.iter().fold(0, |sum: Digest, word| sum.wrapping_add(digest(word)));
                    self.words.insert(index, sum);
                }
            }
            Change::Hidden { entry, .. } => {
                for index in self.shown_by(entry) {
                    self.forget(index);
                }
            }
            Change::Entry { .. }
            | Change::Idea(_)
            | Change::Holder { .. }
            | Change::Status { .. }
            | Change::Edge { .. }
            | Change::Job { .. }
            | Change::Rank { .. }
            | Change::SeenAgain { .. }
            | Change::Erased { .. } => {}
        }
    }

    /// The ideas whose latest text an entry has, by their indices.
    fn shown_by(&self, entry: &EntryId) -> Vec<u64> {
        let about = self.ledger.entries.get(entry).map(|row| row.about.as_slice());
        let ideas = about.unwrap_or_default().iter().filter_map(|idea| self.ledger.ideas.get(idea));
        ideas.filter(|row| row.text_entry == *entry).map(|row| row.index).collect()
    }

    fn forget(&mut self, index: u64) {
        self.near.remove(&index);
        self.words.remove(&index);
    }

    /// The rows fit together.
    pub(super) fn check(&self, findings: &mut Findings) {
        if let Err(detail) = self.ledger.check_invariants() {
            findings.add(Finding::of("entry", detail));
        }
    }
}

/// A row, whichever database it comes from.
pub(super) fn row_digest(row: &Value) -> Digest {
    digest(&String::from_utf8_lossy(&canonical(row)))
}

pub(super) fn digest(text: &str) -> Digest {
    let hash = body_hash(text, None).0;
    hash.first_chunk().map_or(0, |beginning| Digest::from_be_bytes(*beginning))
}
