//! The rows of heads: what was signed, and what witnesses cosigned.

use std::collections::{BTreeMap, BTreeSet};

use mesh_fabric::error::chain;
use mesh_schemas::Problem;
use mesh_tlog::{Checkpoint, Edge, Hash, Prover, TreeHead, VerifierKey};

use super::{Finding, local::Run};
use crate::{
    store::{CheckpointRow, Cosigned},
    tiles::TileDir,
};

/// Leaves that are read at once.
const CHUNK: u64 = 1_024;

/// The roots of a log at some of its sizes, as far as they can be had.
type Roots = BTreeMap<u64, Hash>;

impl Run {
    /// Every row of a checkpoint and of a cosignature is of this tree.
    pub(super) async fn heads(&mut self, tiles: &TileDir, head: TreeHead) -> Result<(), Problem> {
        let checkpoints = self.store.checkpoints(self.log.version).await?;
        let cosigned = self.store.cosigned(self.log.version).await?;
        let sizes = checkpoints.iter().map(|row| row.size);
        let sizes = sizes.chain(cosigned.iter().map(|row| row.size)).collect();
        let roots = self.roots(tiles, head, &sizes).await?;
        if head.size > 0 && !checkpoints.iter().any(|row| row.size == head.size) {
            let detail = format!("the signed head of {} entries has no row", head.size);
            self.findings.add(Finding::at(head.size - 1, "checkpoint", detail));
        }
        checkpoints.iter().for_each(|row| self.checkpoint(row, &roots));
        cosigned.iter().for_each(|row| self.cosignature(row, &roots));
        Ok(())
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
        let detail = format!("of {}: {what}", mesh_schemas::text::shown(&row.witness));
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
