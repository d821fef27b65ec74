//! The projections as rows: loading what a batch of entries needs, and saving what it changes.
//!
//! Every table is read and written set by set, a statement for each, whatever the batch's size. Live appends
//! and a rebuild go through the same two functions.

mod edges;
mod entries;
mod ideas;
mod links;
mod texts;
mod touched;

use std::collections::BTreeMap;

use mesh_ideas_core::ledger::{Change, Ledger, Wanted};
use mesh_schemas::idea::EntryId;

pub(crate) use edges::Row as EdgeRecord;
pub(crate) use entries::seen_row;
pub(crate) use ideas::{Row as IdeaRecord, values as idea_values};
pub(crate) use links::Row as JobRecord;
pub(crate) use texts::to_stored as stored_near;
use touched::Touched;

use super::{StoreError, Tx};

/// Texts at hand, by the entry that has each.
pub(crate) type Texts = BTreeMap<EntryId, String>;

impl Tx {
    /// Loads whatever exists of what is wanted; the log has `size` leaves.
    pub(crate) async fn load(
        &mut self,
        log: u32,
        size: u64,
        wanted: Wanted,
    ) -> Result<Ledger, StoreError> {
        let mut ledger = Ledger { size, ..Ledger::default() };
        self.load_entries(log, wanted.entries, &mut ledger).await?;
        self.load_contents(log, wanted.contents, &mut ledger).await?;
        // Whose text is hidden, and whose text is seen again.
        let hidden = ledger.entries.values().flat_map(|row| row.about.iter().copied());
        let seen = ledger.contents.values().map(|row| row.idea);
        let stands_for = ledger.seen.values().map(|row| row.idea);
        let ideas = wanted.ideas.into_iter().chain(hidden).chain(seen).chain(stands_for).collect();
        self.load_ideas(ideas, &mut ledger).await?;
        let reach = wanted.reach.into_iter();
        let reach = reach.map(|(relation, idea)| (relation, ledger.stands_for(idea))).collect();
        self.load_edges(wanted.edges, &mut ledger).await?;
        self.load_reach(reach, &mut ledger).await?;
        self.load_jobs(wanted.jobs, &mut ledger).await?;
        Ok(ledger)
    }

    /// Saves what the changes touched, as the ledger has it now that they are applied. `texts` are those of
    /// the new entries, as far as they are at hand.
    pub(crate) async fn save(
        &mut self,
        ledger: &Ledger,
        changes: &[Change],
        texts: &Texts,
    ) -> Result<(), StoreError> {
        let touched = Touched::by(changes, ledger);
        self.save_ideas(ledger, &touched).await?;
        self.save_about(&touched).await?;
        self.save_contents(ledger, &touched).await?;
        self.save_finding(ledger, &touched, texts).await?;
        self.save_edges(ledger, &touched).await?;
        self.save_jobs(ledger, &touched).await?;
        self.save_opinions(ledger, &touched).await?;
        self.save_seen(&touched).await?;
        self.save_erased(&touched).await
    }

    /// Empties every projection.
    pub(crate) async fn forget_projections(&mut self) -> Result<(), StoreError> {
        const TABLES: [&str; 12] = [
            "idea", "tag", "about", "hidden", "seen", "content", "edge", "job", "opinion", "near",
            "erased", "words",
        ];
        for table in TABLES {
            let text = format!("DELETE FROM {table}");
            self.execute(super::sql::Query::new("emptying a projection", text)).await?;
        }
        Ok(())
    }
}
