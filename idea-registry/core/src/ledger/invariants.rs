//! What holds in every ledger that was loaded whole, whatever the log says.

use std::collections::BTreeSet;

use mesh_schemas::idea::{EntryId, IdeaId};

use super::{
    reach::is_acyclic,
    rows::{ContentRow, EdgeKey, IdeaRow, Ledger},
};

impl Ledger {
    /// Checks what must hold between the rows.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_entries()?;
        self.ideas.values().try_for_each(|row| self.check_idea(row))?;
        self.check_texts()?;
        for (key, edge) in &self.edges {
            self.check_edge(key, edge.proposed)?;
        }
        let known = self.jobs.keys().map(|(idea, _)| idea);
        let known = known.chain(self.ranks.keys().map(|(idea, _)| idea));
        known.into_iter().try_for_each(|idea| self.check_known(idea))
    }

    fn check_entries(&self) -> Result<(), String> {
        let indices: BTreeSet<u64> = self.entries.values().map(|row| row.index).collect();
        let all = u64::try_from(indices.len()).unwrap_or(u64::MAX);
        let whole = all == self.size && self.entries.len() == indices.len();
        ensure(whole && indices.last().is_none_or(|last| last + 1 == self.size), || {
            format!("{} entries, {all} indices, size {}", self.entries.len(), self.size)
        })?;
        for (id, row) in &self.entries {
            row.about.iter().try_for_each(|idea| self.check_known(idea))?;
            let tombstone = row.hidden.and_then(|by| self.entries.get(&by));
            ensure(
                row.hidden.is_none() || tombstone.is_some_and(|by| by.kind == "tombstone"),
                || format!("{id} is hidden by what is no tombstone"),
            )?;
        }
        for (entry, row) in &self.seen {
            ensure(!self.entries.contains_key(entry), || format!("{entry} is seen and appended"))?;
            ensure(row.index < self.size, || format!("{entry} is seen at {}", row.index))?;
            self.check_known(&row.idea)?;
        }
        Ok(())
    }

    fn check_idea(&self, row: &IdeaRow) -> Result<(), String> {
        let id = row.id;
        let entry = |entry: EntryId, kinds: &[&str]| {
            self.entries
                .get(&entry)
                .is_some_and(|found| kinds.contains(&found.kind) && found.about.contains(&id))
        };
        let own = self.entries.get(&id.into()).is_some_and(|own| own.index == row.index);
        ensure(own, || format!("{id} has no entry of its own"))?;
        ensure(entry(row.text_entry, &["idea", "revision"]), || format!("{id} has no text entry"))?;
        ensure(entry(row.holder.head, &["idea", "claim", "transfer", "release"]), || {
            format!("the chain of {id} ends with {}", row.holder.head)
        })?;
        let gone = self.entries.get(&row.text_entry).is_some_and(|text| {
            let erased = text.sealed.as_ref().is_some_and(|subject| self.erased.contains(subject));
            text.hidden.is_some() || (erased && row.title.is_empty())
        });
        ensure(!gone || (row.title.is_empty() && !self.near.contains_key(&id)), || {
            format!("{id} shows a text that is hidden or erased")
        })
    }

    fn check_texts(&self) -> Result<(), String> {
        for (content, ContentRow { entry, idea, .. }) in &self.contents {
            let found = self.entries.get(entry);
            let fits = found.is_some_and(|row| row.hidden.is_none() && row.about.contains(idea));
            ensure(fits, || format!("content {content} is of {entry}"))?;
        }
        self.near.keys().try_for_each(|idea| self.check_known(idea))
    }

    fn check_edge(&self, key: &EdgeKey, proposed: bool) -> Result<(), String> {
        let EdgeKey { relation, from, to } = *key;
        self.check_known(&from)?;
        self.check_known(&to)?;
        let round = !proposed && is_acyclic(relation) && self.reaches(relation, to, from);
        ensure(!round, || format!("{from} {relation} {to} goes round"))
    }

    fn check_known(&self, idea: &IdeaId) -> Result<(), String> {
        ensure(self.ideas.contains_key(idea), || format!("{idea} is named and not there"))
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
