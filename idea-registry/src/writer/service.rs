//! The task that writes.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use mesh_fabric::fail_point::FailPoint;
use mesh_schemas::{ErrorCode, Problem};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info_span, warn};

use super::{
    batch::{Context, cut},
    handle::{Asked, Handle, Request},
};
use crate::{
    embeddings::Feed,
    forgetting::Forgetting,
    halt::Halt,
    identity::Identity,
    near_index::NearIndex,
    store::{Store, StoreError, WriterLock},
};

/// Most requests that wait; more are refused.
const QUEUE_MAX: usize = 4_096;
/// Most requests of one transaction.
const BATCH_MAX: usize = 256;

/// What the writer works with.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) store: Store,
    pub(crate) lock: Arc<WriterLock>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) near: Arc<RwLock<NearIndex>>,
    pub(crate) halt: Halt,
    /// Who wants to know of new texts.
    pub(crate) feed: Option<Feed>,
    /// Who wants to know of erasures.
    pub(crate) forgetting: Forgetting,
}

/// Runs the writer.
#[derive(Debug)]
pub(crate) struct Service {
    context: Context,
    queue: mpsc::Receiver<Request>,
    size: watch::Sender<u64>,
    near: Arc<RwLock<NearIndex>>,
    halt: Halt,
}

/// Reads how far the log is. Requests may be queued from here on.
pub(crate) async fn start(options: Options) -> Result<(Service, Handle), Problem> {
    let Options { store, lock, identity, near, halt, feed, forgetting } = options;
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let (size, sizes) = watch::channel(store.size(identity.version).await?);
    let handle = Handle {
        queue: sender,
        identity: Arc::clone(&identity),
        size: sizes,
        halt: halt.clone(),
        asked: Asked::default(),
        near: Arc::clone(&near),
    };
    let context = Context { store, lock, identity, near: Arc::clone(&near), feed, forgetting };
    load_near(&context.store, &near).await?;
    Ok((Service { context, queue, size, near, halt }, handle))
}

impl Service {
    /// Writes until `shutdown`, and then what is queued.
    ///
    /// # Errors
    /// `E_LOCKED` when another registry writes, `E_INTEGRITY` when the database is damaged.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), Problem> {
        let mut requests = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                got = self.queue.recv_many(&mut requests, BATCH_MAX) => {
                    if got == 0 {
                        return Ok(());
                    }
                }
                () = shutdown.cancelled() => {
                    self.queue.close();
                    continue;
                }
            }
            while !requests.is_empty() {
                let rest = requests.split_off(cut(&requests));
                self.write(std::mem::replace(&mut requests, rest)).await?;
            }
        }
    }

    async fn write(&mut self, requests: Vec<Request>) -> Result<(), Problem> {
        if let Err(problem) = self.halt.check() {
            answer_all(requests, &problem);
            return Ok(());
        }
        let (size, begun) = (*self.size.borrow(), Instant::now());
        let span = info_span!("append", ledger.from = size, requests = requests.len());
        match self.context.commit(size, &requests).instrument(span).await {
            Ok(committed) => {
                FailPoint::LedgerAfterCommit.pass_if(|| committed.size > size);
                metrics::histogram!("mesh_ideas_commit_seconds")
                    .record(begun.elapsed().as_secs_f64());
                self.size.send_replace(committed.size);
                metrics::counter!("mesh_ideas_entries_total")
                    .increment(committed.size.saturating_sub(size));
                committed.answer(requests);
                Ok(())
            }
            // Another registry writes, or what is written to is damaged: nothing good comes of going on.
            Err(failed @ (StoreError::NotWriter | StoreError::Damaged { .. })) => {
                let problem = Problem::from(failed);
                answer_all(requests, &problem);
                Err(problem)
            }
            Err(failed) => {
                let problem = Problem::from(failed);
                error!("Could not append {} entries: {}", requests.len(), problem.detail);
                answer_all(requests, &problem);
                self.reload().await;
                Ok(())
            }
        }
    }

    /// After a failed commit nobody knows whether it took effect, but the database does.
    async fn reload(&mut self) {
        match self.settled_size().await {
            Ok(size) => self.settle(size),
            // The next batch fails as well, harmlessly: its indices are taken or do not follow.
            Err(failed) => warn!("Could not read the log's size: {failed}"),
        }
        if let Err(problem) = load_near(&self.context.store, &self.near).await {
            warn!("Could not read what near duplicates are found by: {}", problem.detail);
        }
    }

    /// What was durable is there, and perhaps more; less is a database that was put back under this process.
    fn settle(&self, size: u64) {
        let durable = *self.size.borrow();
        if size >= durable {
            self.size.send_replace(size);
            return;
        }
        let detail =
            format!("the database has {size} entries, and had {durable} that were durable");
        self.halt.halt(ErrorCode::LedgerRollback, detail);
    }

    /// A commit of unknown outcome may still be on its way: an empty one waits behind it.
    async fn settled_size(&self) -> Result<u64, StoreError> {
        let context = &self.context;
        context.store.settle(&context.lock).await?;
        context.store.size(context.identity.version).await
    }
}

fn answer_all(requests: Vec<Request>, problem: &Problem) {
    for request in requests {
        // Who asked may have gone.
        let _gone = request.answer.send(Err(problem.clone()));
    }
}

/// Reads all signatures anew.
async fn load_near(store: &Store, near: &RwLock<NearIndex>) -> Result<(), Problem> {
    let mut index = NearIndex::default();
    let unreadable = || {
        Problem::new(ErrorCode::Integrity, "the table near holds another format")
            .hint("run `mesh-ideas rebuild --from leaves`")
    };
    let mut from = store.near_begins(NearIndex::TEXTS_MAX).await?;
    loop {
        let rows = store.near(from).await?;
        let Some(last) = rows.last() else { break };
        from = last.0 + 1;
        for (_, idea, stored) in &rows {
            index.insert(*idea, stored.as_ref().ok_or_else(unreadable)?);
        }
    }
    near.write().unwrap_or_else(PoisonError::into_inner).replace(index);
    Ok(())
}
