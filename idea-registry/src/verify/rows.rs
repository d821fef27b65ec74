//! Every row of a leaf: its entry, its signature and its text.

use mesh_schemas::Problem;
use mesh_tlog::{TILE_WIDTH, leaf_hash};

use super::{Finding, entry, local::Run, named::Named};
use crate::{
    pack,
    replay::{Beside, Parsed},
    store::{Leaf, LeafRow},
};

impl Run {
    pub(super) async fn rows(&mut self) -> Result<(), Problem> {
        let mut next = 0;
        while next < self.size {
            let rows = self.store.leaf_rows(self.log.version, next, u64::from(TILE_WIDTH)).await?;
            let (mut sound, first) = (Vec::new(), next);
            for row in rows {
                let index = u64::try_from(row.idx).unwrap_or(u64::MAX);
                if index != next {
                    self.findings.add(Finding::at(next, "leaf", "the row is missing"));
                }
                next = index.saturating_add(1);
                sound.extend(self.row(index, row));
            }
            if next == first {
                self.findings.add(Finding::at(next, "leaf", "the row is missing"));
                break;
            }
            self.bodies(&sound).await?;
            let beside = Beside::load(&self.store, &sound).await?;
            let named = Named::load(&self.store, self.log.version, &sound).await?;
            for leaf in &sound {
                let content = beside.content(leaf).filter(|_| !self.is_erased(leaf));
                self.last.take_in(leaf, content, &named, &mut self.findings);
            }
        }
        if let Some(index) = self.store.repeated_leaf(self.log.version).await? {
            self.findings.add(Finding::at(index, "leaf", "the entry is in the log before it"));
        }
        self.texts_and_keys().await
    }

    /// The text of this entry was erased: it says nothing, wherever it may still be.
    pub(super) fn is_erased(&self, Parsed { leaf, entry }: &Parsed) -> bool {
        let body = entry.say.body().cloned();
        let named = body.map(|body| pack::Named { index: leaf.index, body });
        named.is_some_and(|named| self.erasures.of(&named).is_some())
    }

    /// The entry of a row that says something.
    fn row(&mut self, index: u64, row: LeafRow) -> Option<Parsed> {
        let sound = self.sound(index, row);
        if sound.is_none() {
            self.last.unsound.insert(index);
        }
        sound
    }

    fn sound(&mut self, index: u64, row: LeafRow) -> Option<Parsed> {
        self.checked.leaves += 1;
        let row = match Leaf::try_from(row) {
            Ok(row) => row,
            Err(error) => {
                self.findings.add(Finding::at(index, "leaf", error.to_string()));
                return None;
            }
        };
        if leaf_hash(row.data.as_bytes()).0 != row.hash.0 {
            let detail = "the row's hash is not that of its data";
            self.findings.add(Finding::at(index, "leaf", detail));
        }
        let entry = match entry::sound(row.data.as_bytes(), &mut self.registry) {
            Ok(entry) => entry,
            Err(detail) => {
                self.findings.add(Finding::at(index, "entry", detail));
                return None;
            }
        };
        self.checked.signatures += 1;
        if !entry::has_id(&entry, row.id) {
            let detail = "the row's id is not that of its entry";
            self.findings.add(Finding::at(index, "leaf", detail));
        }
        Some(Parsed { leaf: row, entry })
    }
}
