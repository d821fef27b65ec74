//! The task that integrates and signs.

use std::{sync::Arc, time::Duration};

use mesh_fabric::{backoff::Policy, error::chain, fail_point::FailPoint, time};
use mesh_schemas::{ErrorCode, Problem, idea::Sha256};
use mesh_tlog::{Checkpoint, Edge, SignedCheckpoint, TreeHead};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info_span, warn};

use super::{
    head::{Head, Judgement, Seen},
    packs,
    start::{self, CHUNK, integrate},
};
use crate::{
    absent::Absent,
    halt::Halt,
    identity::Identity,
    pack::Packer,
    store::{CheckpointRow, Store, StoreError, WriterLock},
    unheard::Unheard,
};

/// Leaves are gathered for so long,
const GATHER: Duration = Duration::from_millis(250);
/// or until there are so many.
const GATHER_LEAVES: u64 = 256;

/// What the integrator works with.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) store: Store,
    pub(crate) lock: Arc<WriterLock>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) head: Head,
    pub(crate) halt: Halt,
    pub(crate) unheard: Unheard,
    pub(crate) absent: Absent,
}

/// Runs the integrator.
#[derive(Debug)]
pub(crate) struct Service {
    options: Options,
    edge: Edge,
    packer: Packer,
}

/// Compares what was signed before with what is there. Nothing is signed yet.
pub(crate) async fn start(options: Options) -> Result<Service, Problem> {
    let Options { store, identity, head, halt, .. } = &options;
    let edge = start::edge(store, identity, head, halt).await?;
    let mut packer = Packer::new(store, identity.version, head.tiles());
    if halt.check().is_ok() {
        packs::ensure(&options, &mut packer, edge.head().size).await?;
        head.adopt(edge.head(), &identity.trusted()?);
    }
    Ok(Service { options, edge, packer })
}

impl Service {
    /// The head that was signed last, or may have been.
    pub(crate) fn last(&self) -> TreeHead {
        self.edge.head()
    }

    /// Integrates until `shutdown`, and then what is there; nothing before all have said what they have.
    pub(crate) async fn run(
        mut self,
        mut sizes: watch::Receiver<u64>,
        shutdown: CancellationToken,
    ) {
        // What is durable is signed in a later life, if nobody answers in this one.
        if shutdown.run_until_cancelled(self.options.unheard.all_heard()).await.is_none() {
            return;
        }
        // Signed before, and perhaps not published.
        self.keep_on(|service| service.publish(service.edge.head()), &shutdown).await;
        while !shutdown.is_cancelled() && self.options.halt.check().is_ok() {
            self.gather(&mut sizes, &shutdown).await;
            self.catch_up(&sizes, &shutdown).await;
        }
        // A halted log stays as it is, and is shown so: no part ends unasked.
        shutdown.cancelled().await;
        self.catch_up(&sizes, &shutdown).await;
    }

    /// Waits until there is enough to do.
    async fn gather(&self, sizes: &mut watch::Receiver<u64>, shutdown: &CancellationToken) {
        let ours = self.edge.head().size;
        let wait = async {
            if sizes.wait_for(|size| *size > ours).await.is_err() {
                // The writer has ended; so does the process.
                std::future::pending::<()>().await;
            }
            let enough = sizes.wait_for(|size| *size >= ours + GATHER_LEAVES);
            // Either is reason enough.
            let _either = tokio::time::timeout(GATHER, enough).await;
        };
        // What is there is integrated in any case.
        let _stopped = shutdown.run_until_cancelled(wait).await;
    }

    async fn catch_up(&mut self, sizes: &watch::Receiver<u64>, shutdown: &CancellationToken) {
        let mut waits = Policy::forever().waits();
        // Not what comes meanwhile: that is gathered first.
        let size = *sizes.borrow();
        while self.edge.head().size < size && self.options.halt.check().is_ok() {
            let span = info_span!("integrate", ledger.from = self.edge.head().size);
            let Err(problem) = self.step().instrument(span).await else { continue };
            warn!("Could not integrate: {}", problem.detail);
            if problem.code == ErrorCode::Integrity {
                self.options.halt.halt(problem.code, problem.detail);
            }
            if shutdown.is_cancelled() {
                return;
            }
            tokio::time::sleep(waits.next().unwrap_or(GATHER)).await;
        }
    }

    /// Takes the next leaves in, and signs.
    async fn step(&mut self) -> Result<(), Problem> {
        let Options { store, lock, identity, head, absent, .. } = &self.options;
        let begun = Instant::now();
        let from = self.edge.head().size;
        let leaves = store.leaves(identity.version, from, CHUNK).await?;
        if leaves.is_empty() {
            let detail = format!("the leaf {from} was durable and is missing");
            return Err(Problem::new(ErrorCode::Integrity, detail));
        }
        start::check(&self.edge, &leaves)?;
        // Before the bundles whose entries name them.
        let written = self.packer.write(&leaves).await?;
        let (edge, files) =
            tokio::task::block_in_place(|| integrate(&self.edge, &leaves, head.tiles()))?;
        self.keep_row(edge.head()).await?;
        FailPoint::LedgerAfterRow.pass();
        self.publish(edge.head())?;
        head.tiles().remove_partial(&files);
        self.packer.tidy(&written);
        self.edge = edge;
        if written.new_missing > 0
            && let Err(error) = absent.add(store, lock, identity.version, written.new_missing).await
        {
            warn!("Could not keep how many texts are missing: {}", chain(&error));
        }
        metrics::gauge!("mesh_ideas_signed_entries")
            .set(crate::metrics::float(self.edge.head().size));
        metrics::histogram!("mesh_ideas_integrate_seconds").record(begun.elapsed().as_secs_f64());
        debug!(entries = self.edge.head().size, "Signed a checkpoint");
        Ok(())
    }

    /// The row comes before the signature: of two processes that disagree one is refused here.
    async fn keep_row(&self, tree: TreeHead) -> Result<(), Problem> {
        let Options { store, lock, identity, halt, .. } = &self.options;
        let row = CheckpointRow { size: tree.size, root: Sha256(tree.root.0) };
        let continues = |last| self.check_continued(last, tree);
        let failed = match keep(store, lock, identity.version, row, continues).await {
            Ok(kept) => return kept,
            Err(failed) => failed,
        };
        // It may have taken effect all the same, now or before a restart.
        match store.last_checkpoint(identity.version).await? {
            Some(last) if last == row => Ok(()),
            Some(last) if last.size >= row.size => {
                let (size, ours) = (last.size, row.size);
                let detail = format!(
                    "there is a checkpoint of {size} entries that the next one, of {ours}, does not continue"
                );
                halt.halt(ErrorCode::LedgerFork, detail.clone());
                Err(Problem::new(ErrorCode::LedgerFork, detail))
            }
            Some(_) | None => Err(failed.into()),
        }
    }

    /// Halts when the last row is not what `tree` continues, as of a database that was put back. A row of a try that
    /// seemed to fail is between the two.
    fn check_continued(&self, last: TreeHead, tree: TreeHead) -> Result<(), Problem> {
        let Options { head, halt, .. } = &self.options;
        let ours = self.edge.head();
        if last == ours {
            return Ok(());
        }
        if last.size < ours.size {
            let detail = format!(
                "the last checkpoint of the database has {} entries, and one of {} was signed",
                last.size, ours.size
            );
            halt.halt(ErrorCode::LedgerRollback, detail);
            return halt.check();
        }
        match head.judge(&Seen { head: last, place: "in the database" }, tree) {
            Judgement::Ours => Ok(()),
            Judgement::Halted => halt.check(),
            Judgement::Unread => {
                Err(Problem::new(ErrorCode::Io, "the checkpoint in the database has no tiles here"))
            }
        }
    }

    /// Signs and publishes what has a row.
    fn publish(&self, tree: TreeHead) -> Result<(), Problem> {
        let Options { identity, head, halt, .. } = &self.options;
        halt.check()?;
        let internal = |error: String| Problem::new(ErrorCode::Internal, error);
        let checkpoint =
            Checkpoint::new(identity.origin(), tree).map_err(|e| internal(e.to_string()))?;
        let sign = || SignedCheckpoint::sign(checkpoint, &identity.signer);
        let signed = info_span!("sign", ledger.size = tree.size).in_scope(sign);
        let signed = signed.map_err(|error| internal(error.to_string()))?;
        let published =
            info_span!("publish", ledger.size = tree.size).in_scope(|| head.publish(signed));
        published.map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot write the checkpoint: {error}"))
        })
    }

    /// Tries until it succeeds, the log is halted, or `shutdown`.
    async fn keep_on(
        &self,
        act: impl Fn(&Self) -> Result<(), Problem>,
        shutdown: &CancellationToken,
    ) {
        let mut waits = Policy::forever().waits();
        while let Err(problem) = act(self) {
            if self.options.halt.check().is_err() || shutdown.is_cancelled() {
                return;
            }
            warn!("Could not publish the checkpoint: {}", problem.detail);
            tokio::time::sleep(waits.next().unwrap_or(GATHER)).await;
        }
    }
}

/// Keeps a row behind the last one, if it continues that, while nobody else can write.
async fn keep(
    store: &Store,
    lock: &WriterLock,
    log: u32,
    row: CheckpointRow,
    continues: impl FnOnce(TreeHead) -> Result<(), Problem>,
) -> Result<Result<(), Problem>, StoreError> {
    let doing = "keeping a checkpoint";
    let mut tx = store.begin(lock, doing).await?;
    let last = store.last_checkpoint(log).await?;
    if last == Some(row) {
        // By a try that seemed to fail.
        return Ok(Ok(()));
    }
    if let Err(problem) = continues(last.map_or(TreeHead::EMPTY, start::tree_head)) {
        return Ok(Err(problem));
    }
    tx.insert_checkpoint(log, row, time::now()).await?;
    tx.commit(doing).await?;
    Ok(Ok(()))
}
