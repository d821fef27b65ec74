//! The task that copies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use mesh_fabric::backoff::Policy;
use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{
    CHECKPOINT_PATH, Level, ReadTiles as _, SignedCheckpoint, TILE_WIDTH, Tile, TreeHead,
    TrustedLog,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Objects;
use crate::{
    integrate::{Head, Seen},
    store::{Cursor, Store, WriterLock},
};

/// Between two copies: each leaves partial tiles behind.
const EVERY: Duration = Duration::from_secs(2);
/// Files that are put at a time.
const PUTS_MAX: usize = 8;

/// What is copied, and where to.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) objects: Objects,
    pub(crate) store: Store,
    pub(crate) lock: Arc<WriterLock>,
    pub(crate) head: Head,
    /// As a verifier of the copy sees it.
    pub(crate) log: TrustedLog,
    /// The cursor is of this log.
    pub(crate) version: u32,
}

/// Runs the copying.
#[derive(Debug)]
pub(crate) struct Service {
    options: Options,
    /// The copy was looked at: until then nothing is copied over it.
    compared: AtomicBool,
}

/// The name of the cursor that says up to which size the store has everything.
pub(crate) fn cursor_name(version: u32) -> String {
    format!("published/v{version}")
}

impl Service {
    pub(crate) const fn new(options: Options) -> Self {
        Self { options, compared: AtomicBool::new(false) }
    }

    /// Compares the copy with the log: one that is newer was made before the log lost entries. A store that does
    /// not answer tells nothing, and is looked at before the first copy.
    pub(crate) async fn compare(&self, ours: TreeHead) {
        if let Err(problem) = self.look(ours).await {
            warn!("Starting without a look at the copy: {}", problem.detail);
        }
    }

    async fn look(&self, ours: TreeHead) -> Result<(), Problem> {
        let Options { objects, head, log, .. } = &self.options;
        if let Some(bytes) = objects.get(CHECKPOINT_PATH).await? {
            match log.open(&bytes) {
                Ok(seen) => {
                    head.judge(&Seen { head: seen.head(), place: "in the object store" }, ours);
                }
                Err(error) => warn!("The checkpoint in the object store is written anew: {error}"),
            }
        }
        self.compared.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Copies until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        // A copy that is cut off is begun again.
        let _stopped = shutdown.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        let mut heads = self.options.head.watch();
        let mut waits = Policy::forever().waits();
        loop {
            let latest = heads.borrow_and_update().clone();
            let wait = match latest {
                Some(checkpoint) => match self.copy(&checkpoint).await {
                    Ok(()) => {
                        waits = Policy::forever().waits();
                        EVERY
                    }
                    Err(problem) => {
                        warn!("Could not copy the log's files: {}", problem.detail);
                        heads.mark_changed();
                        waits.next().unwrap_or(EVERY)
                    }
                },
                None => Duration::ZERO,
            };
            tokio::time::sleep(wait).await;
            if heads.changed().await.is_err() {
                return;
            }
        }
    }

    /// Copies what is new since the cursor.
    async fn copy(&self, checkpoint: &SignedCheckpoint) -> Result<(), Problem> {
        let Options { objects, store, version, head, .. } = &self.options;
        if !self.compared.load(Ordering::Relaxed) {
            self.look(checkpoint.head()).await?;
        }
        head.check()?;
        let name = cursor_name(*version);
        let (new, note) = (checkpoint.head().size, checkpoint.to_string());
        let cursor = store.cursor(&name).await?;
        if cursor.as_ref().is_some_and(|cursor| cursor.value == new && cursor.detail == note) {
            return Ok(());
        }
        let old = cursor.map_or(0, |cursor| cursor.value);
        objects.ensure_bucket().await?;
        stream::iter(grown(old, new))
            .map(Ok)
            .try_for_each_concurrent(PUTS_MAX, |tile| self.put(tile))
            .await?;
        objects.put(CHECKPOINT_PATH, note.clone().into_bytes()).await?;
        self.keep(&name, Cursor { value: new, detail: note }).await?;
        // Readers of an older checkpoint take the full ones.
        for tile in grown(old, new).filter(Tile::is_full) {
            objects.remove_below(&format!("{tile}.p/")).await?;
        }
        Ok(())
    }

    async fn put(&self, tile: Tile) -> Result<(), Problem> {
        let Options { objects, head, .. } = &self.options;
        // A partial tile may have become full since.
        let read = |tile: &Tile| head.tiles().read(tile);
        let bytes = match read(&tile) {
            Ok(Some(bytes)) => Some((tile, bytes)),
            Ok(None) => read(&tile.full()).ok().flatten().map(|bytes| (tile.full(), bytes)),
            Err(error) => {
                return Err(Problem::new(ErrorCode::Io, format!("cannot read {tile}: {error}")));
            }
        };
        let (tile, bytes) = bytes
            .ok_or_else(|| Problem::new(ErrorCode::Io, format!("{tile} is missing on disk")))?;
        objects.put(&tile.to_string(), bytes).await
    }

    async fn keep(&self, name: &str, cursor: Cursor) -> Result<(), Problem> {
        let doing = "keeping what was copied";
        let mut tx = self.options.store.begin(&self.options.lock, doing).await?;
        tx.set_cursor(name, &cursor).await?;
        metrics::gauge!("mesh_ideas_published_entries").set(crate::metrics::float(cursor.value));
        Ok(tx.commit(doing).await?)
    }
}

/// Tiles and bundles that are new or wider at the new size, lowest first.
fn grown(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let levels = std::iter::once((Level::Entries, 0))
        .chain((0..8).map(|n| (Level::Hashes(n), 8 * u32::from(n))));
    levels.flat_map(move |(level, shift)| {
        let first = (old >> shift) / u64::from(TILE_WIDTH);
        let last = (new >> shift) / u64::from(TILE_WIDTH);
        (first..=last).filter_map(move |index| Tile::in_log(level, index, new))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(tiles: impl Iterator<Item = Tile>) -> Vec<String> {
        tiles.map(|tile| tile.to_string()).collect()
    }

    #[test]
    fn what_grew_is_copied_and_nothing_else() {
        assert_eq!(paths(grown(0, 0)), Vec::<String>::new());
        assert_eq!(paths(grown(0, 2)), ["tile/entries/000.p/2", "tile/0/000.p/2"]);
        assert_eq!(
            paths(grown(255, 257)),
            [
                "tile/entries/000",
                "tile/entries/001.p/1",
                "tile/0/000",
                "tile/0/001.p/1",
                "tile/1/000.p/1"
            ]
        );
    }
}
