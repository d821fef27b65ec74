//! The inputs of ranking from a ledger that was loaded whole.

use std::collections::BTreeMap;

use mesh_schemas::idea::{IdeaId, Relation};

use super::{Opinions, Outcomes, RankInput};
use crate::ledger::Ledger;

impl Ledger {
    /// What ranking needs of each idea, in the order of the ids.
    pub fn rank_inputs(&self) -> Vec<RankInput> {
        let mut opinions: BTreeMap<IdeaId, Opinions> = BTreeMap::new();
        for ((idea, _), row) in &self.ranks {
            opinions.entry(*idea).or_default().add(row);
        }
        let mut outcomes: BTreeMap<IdeaId, Outcomes> = BTreeMap::new();
        for ((idea, _), row) in &self.jobs {
            outcomes.entry(*idea).or_default().add(row.state);
        }
        let likeness = self.likenesses();
        let input = |row: &crate::ledger::IdeaRow| RankInput {
            idea: row.id,
            index: row.index,
            time: row.time,
            opinions: opinions.get(&row.id).copied().unwrap_or_default(),
            outcomes: outcomes.get(&row.id).copied().unwrap_or_default(),
            likeness: likeness.get(&row.id).copied().unwrap_or_default(),
        };
        self.ideas.values().map(input).collect()
    }

    /// Of what an idea duplicates: the largest likeness, 1,000 where it is confirmed.
    fn likenesses(&self) -> BTreeMap<IdeaId, u16> {
        let mut found: BTreeMap<IdeaId, u16> = BTreeMap::new();
        let duplicates = self.edges.iter().filter(|(key, _)| key.relation == Relation::Duplicates);
        for (key, row) in duplicates {
            let likeness = if row.proposed { row.likeness.unwrap_or_default() } else { 1000 };
            let known = found.entry(key.from).or_default();
            *known = likeness.max(*known);
        }
        found
    }
}
