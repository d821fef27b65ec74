//! The logs that were left for the one that is current. Their files and rows prove what the registry said before: they are
//! looked after like its own.

use mesh_ideas_core::parse_leaf;
use mesh_schemas::{Problem, idea::AuthorId};
use mesh_tlog::{TILE_WIDTH, TreeHead, leaf_hash};

use super::{Finding, entry, files::Place as Where, local::Run};
use crate::{
    integrate::packs_cursor,
    pack::Erasures,
    rebuild::{signed, trusted},
    registry::Place,
    store::{Leaf, LeafRow, LogRow, Store},
    tiles::TileDir,
};

/// What is wrong with any of them. `later` is what the current log erased, which has all their erasures.
pub(super) async fn all(
    place: &Place,
    store: &Store,
    logs: Vec<LogRow>,
    authors: &[AuthorId],
    later: &Erasures,
) -> Result<Vec<Finding>, Problem> {
    let mut found = Vec::new();
    for log in logs {
        let run = Run::begin(store.clone(), log, authors).await?;
        found.extend(one(place, run, later).await?);
    }
    Ok(found)
}

/// Files, rows of heads, and rows of leaves. A log whose directory was moved away whole has its rows alone.
async fn one(place: &Place, mut run: Run, later: &Erasures) -> Result<Vec<Finding>, Problem> {
    let tiles = TileDir::of_log(&place.data, run.log.version);
    // The entries lie elsewhere there: whichever text of the subject it was, it may be gone.
    let later = later.0.keys().map(|subject| (subject.clone(), u64::MAX));
    run.erasures.merge(Erasures(later.collect()));
    run.has_packs = run.store.cursor(&packs_cursor(run.log.version)).await?.is_some();
    let was_signed = run.was_signed().await?;
    let mut head = TreeHead::EMPTY;
    if was_signed && tiles.path().exists() {
        head = run.head(trusted(&run.log).and_then(|key| signed(&tiles, &key)));
        run.files(&tiles, head, Where::Disk).await?;
    }
    run.heads(&tiles, head).await?;
    run.leaves().await?;
    let origin = &run.log.origin;
    let left = |finding: Finding| Finding {
        detail: format!("in {origin}, which was left: {}", finding.detail),
        ..finding
    };
    Ok(run.findings.sorted().into_iter().map(left).collect())
}

impl Run {
    /// The rows follow each other, and each is what its hash and its id say.
    async fn leaves(&mut self) -> Result<(), Problem> {
        let mut next = 0;
        while next < self.size {
            let rows = self.store.leaf_rows(self.log.version, next, u64::from(TILE_WIDTH)).await?;
            if rows.is_empty() {
                self.findings.add(Finding::at(next, "leaf", "the row is missing"));
                break;
            }
            for row in rows {
                let index = u64::try_from(row.idx).unwrap_or(u64::MAX);
                if index != next {
                    self.findings.add(Finding::at(next, "leaf", "the row is missing"));
                }
                if !is_sound(row) {
                    let detail = "the row is not what its hash and its id say";
                    self.findings.add(Finding::at(index, "leaf", detail));
                }
                next = index.saturating_add(1);
            }
        }
        Ok(())
    }
}

fn is_sound(row: LeafRow) -> bool {
    let Ok(leaf) = Leaf::try_from(row) else { return false };
    leaf_hash(leaf.data.as_bytes()).0 == leaf.hash.0
        && parse_leaf(leaf.data.as_bytes()).is_ok_and(|read| entry::has_id(&read, leaf.id))
}
