//! The task that copies.
//!
//! The store's own server takes no conditional uploads but those of new objects, so a former writer's upload cannot
//! be refused there. It is refused by the database before it begins, and what slips through is seen and mended at
//! the next look.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use mesh_fabric::backoff::Policy;
use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{CHECKPOINT_PATH, SignedCheckpoint, Tile, TreeHead, TrustedLog};
use tokio::{task::block_in_place, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    Objects,
    files::{damaged, grown, on_disk, packs_of},
};
use crate::{
    integrate::{Head, Judgement, Seen},
    pack::{self, Pack},
    store::{Cursor, Store, WriterLock},
    unheard::Unheard,
};

/// Between two copies: each leaves partial tiles behind.
const EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether the copy is still what was put.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Files that are put at a time.
const PUTS_MAX: usize = 8;

/// How the store is called where it is waited for.
const NAME: &str = "the object store";

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
    pub(crate) unheard: Unheard,
    /// The head that was signed last, or may have been, when the process began.
    pub(crate) start: TreeHead,
}

/// Runs the copying.
#[derive(Debug)]
pub(crate) struct Service {
    options: Options,
    /// Up to where the store has been seen to have everything.
    there: u64,
    /// Its checkpoint has been seen to be the one that was put last.
    intact: bool,
}

/// The name of the cursor that says up to which size the store has everything.
pub(crate) fn cursor_name(version: u32) -> String {
    format!("published/v{version}")
}

impl Service {
    /// From here on nothing is signed before the store has answered.
    pub(crate) fn new(options: Options) -> Self {
        options.unheard.expect(NAME);
        Self { options, there: 0, intact: false }
    }

    /// Compares the copy with the log: one that is newer was made before the log lost entries. True when the store
    /// has answered; until then nothing is copied over what it has.
    pub(crate) async fn compare(&mut self) -> bool {
        match self.look(self.options.start).await {
            Ok(()) => {
                self.options.unheard.heard(NAME);
                true
            }
            Err(problem) => {
                warn!("Nothing is signed yet: {}", problem.detail);
                false
            }
        }
    }

    /// An upload that was given up may land late, and a registry that does not know yet that it is not the writer
    /// any more may put what it has; a store may lose things or be put back itself. What is found decides from
    /// where on everything is put again.
    async fn look(&mut self, ours: TreeHead) -> Result<(), Problem> {
        let Options { objects, head, log, version, store, .. } = &self.options;
        let (mut there, mut intact) = (0, false);
        if let Some(bytes) = objects.get(CHECKPOINT_PATH).await? {
            let cursor = store.cursor(&cursor_name(*version)).await?;
            intact = cursor.is_some_and(|cursor| cursor.detail.as_bytes() == bytes);
            match log.open(&bytes) {
                Ok(seen) => {
                    let seen = Seen { head: seen.head(), place: "in the object store" };
                    if head.judge(&seen, ours) == Judgement::Unread {
                        let detail = "the copy cannot be compared: the tiles cannot be read";
                        return Err(Problem::new(ErrorCode::Io, detail));
                    }
                    there = seen.head.size;
                }
                Err(error) => warn!("The checkpoint in the object store is written anew: {error}"),
            }
        }
        (self.there, self.intact) = (there, intact);
        Ok(())
    }

    /// Copies until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let serve = async {
            let mut waits = Policy::forever().waits();
            while !self.compare().await {
                tokio::time::sleep(waits.next().unwrap_or(EVERY)).await;
            }
            self.follow().await;
        };
        // A copy that is cut off is begun again.
        let _stopped = shutdown.run_until_cancelled(serve).await;
    }

    async fn follow(&mut self) {
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
            match timeout(LOOK_EVERY, heads.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    self.look_again().await;
                    heads.mark_changed();
                }
            }
        }
    }

    /// Nothing is to be copied; is everything that was still there?
    async fn look_again(&mut self) {
        let Some(latest) = self.options.head.latest() else { return };
        let looked = match self.check_writer().await {
            Ok(()) => self.look(latest.head()).await,
            Err(problem) => Err(problem),
        };
        match looked {
            Ok(()) if self.intact => {}
            Ok(()) => warn!("The copy is not what was put there last: it is put again"),
            Err(problem) => warn!("Could not look at the copy: {}", problem.detail),
        }
    }

    /// A former writer ends here; what it has put just before is seen at the next look.
    async fn check_writer(&self) -> Result<(), Problem> {
        drop(self.options.store.begin(&self.options.lock, "copying").await?);
        Ok(())
    }

    /// Copies what is new since the cursor, or since what the store was seen to have.
    async fn copy(&mut self, checkpoint: &SignedCheckpoint) -> Result<(), Problem> {
        let Options { objects, store, version, head, .. } = &self.options;
        head.check()?;
        let name = cursor_name(*version);
        let (new, note) = (checkpoint.head().size, checkpoint.to_string());
        let cursor = store.cursor(&name).await?;
        let is_last = |cursor: &Cursor| cursor.value == new && cursor.detail == note;
        if self.intact && cursor.as_ref().is_some_and(is_last) {
            return Ok(());
        }
        let old = cursor.map_or(0, |cursor| cursor.value).min(self.there).min(new);
        self.check_writer().await?;
        objects.ensure_bucket().await?;
        let packs = block_in_place(|| packs_of(head.tiles(), old, new))?;
        stream::iter(&packs)
            .map(Ok)
            .try_for_each_concurrent(PUTS_MAX, |pack| self.put_pack(pack))
            .await?;
        stream::iter(grown(old, new))
            .map(Ok)
            .try_for_each_concurrent(PUTS_MAX, |tile| self.put_tile(tile))
            .await?;
        objects.put(CHECKPOINT_PATH, note.clone().into_bytes()).await?;
        if objects.get(CHECKPOINT_PATH).await?.as_deref() != Some(note.as_bytes()) {
            return Err(forgotten(CHECKPOINT_PATH));
        }
        self.keep(&name, Cursor { value: new, detail: note }).await?;
        // Readers of an older checkpoint take the full ones.
        for tile in grown(old, new).filter(Tile::is_full) {
            objects.remove_below(&format!("{tile}.p/")).await?;
        }
        for pack in packs.iter().filter(|pack| pack.closed) {
            objects.remove_below(&format!("{}/", pack.partial_dir())).await?;
        }
        (self.there, self.intact) = (new, true);
        Ok(())
    }

    async fn put_tile(&self, tile: Tile) -> Result<(), Problem> {
        let (tile, bytes) = on_disk(self.options.head.tiles(), tile)?;
        self.put(&tile.to_string(), bytes).await
    }

    async fn put_pack(&self, pack: &Pack) -> Result<(), Problem> {
        let file = pack::read(self.options.head.tiles(), pack).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot read {}: {error}", pack.path()))
        })?;
        let missing = || damaged(&format!("{} is missing on disk", pack.path()));
        let file = file.ok_or_else(missing)?;
        self.put(&file.path, file.bytes).await
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        let (objects, length) = (&self.options.objects, bytes.len());
        objects.put(path, bytes).await?;
        if objects.is_there(path, length).await? { Ok(()) } else { Err(forgotten(path)) }
    }

    async fn keep(&self, name: &str, cursor: Cursor) -> Result<(), Problem> {
        let doing = "keeping what was copied";
        let mut tx = self.options.store.begin(&self.options.lock, doing).await?;
        tx.set_cursor(name, &cursor).await?;
        metrics::gauge!("mesh_ideas_published_entries").set(crate::metrics::float(cursor.value));
        Ok(tx.commit(doing).await?)
    }
}

/// The store has said that it has a file, and has it not.
fn forgotten(path: &str) -> Problem {
    let detail = format!("the object store has confirmed {path} and does not have it");
    Problem::new(ErrorCode::ObjectsDown, detail)
}
