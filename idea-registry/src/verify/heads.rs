//! The rows of heads: what was signed, and what witnesses cosigned.

use std::collections::{BTreeMap, BTreeSet};

use mesh_fabric::error::chain;
use mesh_schemas::{Problem, text::shown};
use mesh_tlog::{Checkpoint, Edge, Hash, Prover, TreeHead, VerifierKey};

use super::{Finding, local::Run};
use crate::{
    store::{CheckpointRecord, CheckpointRow, Cosigned, CosignedRecord, StoreError},
    tiles::TileDir,
};

/// Leaves that are read at once.
const CHUNK: u64 = 1_024;
/// Rows of checkpoints that are read at once.
const ROWS: u64 = 4_096;

/// The roots of a log at some of its sizes, as far as they can be had.
type Roots = BTreeMap<u64, Hash>;

impl Run {
    /// Every row of a checkpoint and of a cosignature is of this tree.
    pub(super) async fn heads(&mut self, tiles: &TileDir, head: TreeHead) -> Result<(), Problem> {
        let (mut behind, mut has_row) = (i64::MIN, false);
        loop {
            let rows = self.store.checkpoint_records(self.log.version, behind, ROWS).await?;
            let Some(last) = rows.last() else { break };
            behind = last.size;
            let rows: Vec<CheckpointRow> =
                rows.into_iter().filter_map(|row| self.checkpoint_row(row)).collect();
            let roots = self.roots(tiles, head, &rows.iter().map(|row| row.size).collect()).await?;
            rows.iter().for_each(|row| self.checkpoint(row, &roots));
            has_row |= rows.iter().any(|row| row.size == head.size);
        }
        if head.size > 0 && !has_row {
            let detail = format!("the signed head of {} entries has no row", head.size);
            self.findings.add(Finding::at(head.size - 1, "checkpoint", detail));
        }
        let cosigned = self.store.cosigned_records(self.log.version).await?;
        let cosigned: Vec<Cosigned> =
            cosigned.into_iter().filter_map(|row| self.cosigned_row(row)).collect();
        let roots = self.roots(tiles, head, &cosigned.iter().map(|row| row.size).collect()).await?;
        cosigned.iter().for_each(|row| self.cosignature(row, &roots));
        Ok(())
    }

    /// Anything was ever signed, as the rows say.
    pub(super) async fn was_signed(&self) -> Result<bool, Problem> {
        Ok(!self.store.checkpoint_records(self.log.version, i64::MIN, 1).await?.is_empty())
    }

    /// A row that can be read; one that cannot is found.
    fn checkpoint_row(&mut self, row: CheckpointRecord) -> Option<CheckpointRow> {
        let index = last_of(row.size);
        let row = CheckpointRow::try_from(row);
        let bad = |error: StoreError| Finding { index, ..unreadable("checkpoint", &error) };
        row.map_err(|error| self.findings.add(bad(error))).ok()
    }

    fn cosigned_row(&mut self, row: CosignedRecord) -> Option<Cosigned> {
        let (index, witness) = (last_of(row.size), shown(&row.witness));
        let row = Cosigned::try_from(row);
        let bad = |error: StoreError| {
            let found = unreadable("cosignature", &error);
            Finding { index, detail: format!("of {witness}: {}", found.detail), ..found }
        };
        row.map_err(|error| self.findings.add(bad(error))).ok()
    }

    fn checkpoint(&mut self, row: &CheckpointRow, roots: &Roots) {
        self.checked.checkpoints += 1;
        let detail = if row.size > self.size {
            format!("a checkpoint of {} entries has a row, and there are {}", row.size, self.size)
        } else if roots.get(&row.size).is_some_and(|root| root.0 != row.root.0) {
            format!("the checkpoint of {} entries has another root", row.size)
        } else {
            return;
        };
        self.findings.add(Finding::at(row.size.saturating_sub(1), "checkpoint", detail));
    }

    fn cosignature(&mut self, row: &Cosigned, roots: &Roots) {
        self.checked.cosignatures += 1;
        let Err(what) = check(row, &self.log.origin, roots) else { return };
        let detail = format!("of {}: {what}", shown(&row.witness));
        self.findings.add(Finding::at(row.size.saturating_sub(1), "cosignature", detail));
    }

    /// From the tiles up to the signed head, and from the rows behind it: a head has its row before it is published.
    async fn roots(
        &self,
        tiles: &TileDir,
        head: TreeHead,
        sizes: &BTreeSet<u64>,
    ) -> Result<Roots, Problem> {
        let mut prover = Prover::new(tiles, head);
        let within = sizes.range(..=head.size);
        let mut roots: Roots =
            within.filter_map(|size| Some((*size, prover.root_at(*size).ok()?))).collect();
        // What is wrong with the tiles is found elsewhere.
        let Ok(mut edge) = Edge::load(tiles, head) else { return Ok(roots) };
        for size in sizes.range(head.size + 1..) {
            while edge.head().size < *size {
                let from = edge.head().size;
                let count = CHUNK.min(size - from);
                let rows = self.store.leaf_rows(self.log.version, from, count).await?;
                let data: Vec<&[u8]> = rows.iter().map(|row| row.data.as_bytes()).collect();
                match edge.integrate(&data) {
                    Ok((next, _)) if !data.is_empty() => edge = next,
                    Ok(_) | Err(_) => return Ok(roots),
                }
            }
            roots.insert(*size, edge.head().root);
        }
        Ok(roots)
    }
}

fn unreadable(what: &'static str, error: &StoreError) -> Finding {
    Finding::of(what, error.to_string())
}

/// The last entry of a head of this size, if it has any.
fn last_of(size: i64) -> Option<u64> {
    u64::try_from(size).ok()?.checked_sub(1)
}

fn check(row: &Cosigned, origin: &str, roots: &Roots) -> Result<(), String> {
    let head = TreeHead { size: row.size, root: Hash(row.root.0) };
    if roots.get(&row.size).is_none_or(|root| *root != head.root) {
        return Err(format!("the log has no head of {} entries with this root", row.size));
    }
    let key = VerifierKey::parse(&row.witness).map_err(|error| chain(&error))?;
    let checkpoint = Checkpoint::new(origin, head).map_err(|error| chain(&error))?;
    let found = checkpoint.cosignatures(&row.line, std::slice::from_ref(&key));
    match found.map_err(|error| chain(&error))?.is_empty() {
        true => Err("its line is not there".into()),
        false => Ok(()),
    }
}
