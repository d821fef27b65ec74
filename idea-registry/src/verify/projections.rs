//! The projections once more from the leaves, in memory, and the rows beside them.

use mesh_ideas_core::ledger::{Ledger, verify_chain};
use mesh_schemas::{
    Problem,
    idea::{Entry, EntryId, IdeaId, Say},
};
use std::collections::BTreeMap;

use super::{Finding, Findings};
use crate::{
    replay::{Beside, Parsed},
    store::Store,
};

/// What the leaves say so far.
#[derive(Debug, Default)]
pub(super) struct Projections {
    ledger: Ledger,
    /// Of each idea that changed hands, the entries of its chain.
    chains: BTreeMap<IdeaId, Vec<(u64, Entry)>>,
}

impl Projections {
    pub(super) fn take_in(&mut self, leaves: &[Parsed], beside: &Beside, findings: &mut Findings) {
        for Parsed { leaf, entry } in leaves {
            if let Say::Idea { parents, .. } = &entry.say
                && parents.iter().any(|parent| !self.is_known(*parent, leaves, leaf.index))
            {
                let detail = "a parent is not in the log before it";
                findings.add(Finding::at(leaf.index, "entry", detail));
            }
            let chain = if let Say::Idea { .. } = entry.say {
                Some(IdeaId::from(leaf.id))
            } else if let Say::Claim { idea, .. }
            | Say::Transfer { idea, .. }
            | Say::Release { idea, .. } = entry.say
            {
                Some(idea)
            } else {
                None
            };
            if let Some(idea) = chain {
                self.chains.entry(idea).or_default().push((leaf.index, entry.clone()));
            }
        }
        self.ledger.take_in(beside.changes(leaves));
    }

    fn is_known(&self, idea: IdeaId, leaves: &[Parsed], before: u64) -> bool {
        let is_it = |parsed: &Parsed| IdeaId::from(parsed.leaf.id) == idea || repeats(parsed, idea);
        let before = |parsed: &Parsed| parsed.leaf.index < before && is_it(parsed);
        self.ledger.ideas.contains_key(&self.ledger.stands_for(idea)) || leaves.iter().any(before)
    }

    /// Compares with the rows; how many there are.
    pub(super) async fn compare(
        &mut self,
        store: &Store,
        findings: &mut Findings,
    ) -> Result<u64, Problem> {
        self.check_chains(findings);
        if let Err(detail) = self.ledger.check_invariants() {
            findings.add(Finding::of("entry", detail));
        }
        let rows = store.for_verifying().await?;
        for (id, row) in &self.ledger.ideas {
            if rows.ideas.get(id) != Some(row) {
                let detail = format!("the row of {id} is not what the log says");
                findings.add(Finding::at(row.index, "projection", detail));
            }
        }
        let same = rows.ideas.len() == self.ledger.ideas.len()
            && rows.edges == self.ledger.edges
            && rows.jobs == self.ledger.jobs
            && rows.ranks == self.ledger.ranks
            && rows.seen == self.ledger.seen
            && rows.contents == self.ledger.contents
            && store.hidden().await? == self.hidden();
        if !same {
            let detail = "ideas, edges, jobs, opinions, contents, sightings or tombstones are not what the log says";
            findings.add(Finding::of("projection", detail));
        }
        let links = rows.edges.len() + rows.jobs.len() + rows.ranks.len();
        let count = rows.ideas.len() + links + rows.seen.len() + rows.contents.len();
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn hidden(&self) -> BTreeMap<EntryId, EntryId> {
        let entries = self.ledger.entries.iter();
        entries.filter_map(|(entry, row)| Some((*entry, row.hidden?))).collect()
    }

    /// Every chain of ownership holds, link by link.
    fn check_chains(&self, findings: &mut Findings) {
        for chain in self.chains.values().filter(|chain| chain.len() > 1) {
            let entries: Vec<Entry> = chain.iter().map(|(_, entry)| entry.clone()).collect();
            if let Err(fault) = verify_chain(&entries) {
                let index = chain.get(fault.place).map_or(0, |(index, _)| *index);
                let detail = format!("the chain of ownership breaks: {:?}", fault.kind);
                findings.add(Finding::at(index, "entry", detail));
            }
        }
    }
}

/// The idea was filed and not appended: another has its text.
fn repeats(parsed: &Parsed, idea: IdeaId) -> bool {
    matches!(parsed.entry.say, Say::SeenAgain { entry, .. } if IdeaId::from(entry) == idea)
}
