//! The shell of the core, with one rhythm: take what came, apply it, append the records, act, publish.
//!
//! Everything that came meanwhile is one batch: one write to the journal, one to the supervisor, one
//! message of events. Nothing here waits for the network but the hand-over of what is published.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mesh_fabric::{fail_point::FailPoint, time::Clock};
use mesh_node_core::{Action, Input, Node, Output, Supervised};
use mesh_schemas::{AttemptKey, ErrorCode, Problem, Timestamp, manifest::ManifestSummary};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    board::Board,
    environment,
    janitor::Janitor,
    journal::Journal,
    outbox::Outbox,
    prepare::{Preparer, Wanted},
    supervise::{Events, Requests},
    uploads::{Order, Subject},
    wire::Wire,
};
use crate::{config::NodeConfig, protocol::Request};

/// How often time is an input.
const TICK_EVERY: Duration = Duration::from_millis(250);
/// Most inputs taken before the records are written.
const BATCH_MAX: usize = 512;
/// After the drain's end, how much longer the last uploads and confirmations may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);

/// The core and everything it drives.
pub(super) struct Engine {
    pub(super) node: Node,
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    pub(super) config: Arc<NodeConfig>,
    pub(super) board: Arc<Board>,
    pub(super) wire: Wire,
    pub(super) requests: Requests,
    pub(super) preparer: Preparer,
    pub(super) uploads: mpsc::UnboundedSender<Order>,
    /// Attempts that the uploads know of.
    pub(super) ordered: BTreeSet<AttemptKey>,
    pub(super) janitor: Janitor,
    pub(super) outbox: Outbox,
    pub(super) shutdown: CancellationToken,
    pub(super) out: Output,
}

impl Engine {
    /// Runs until the node is drained.
    ///
    /// # Errors
    /// The supervisor is gone, or the journal cannot be written: the next life goes on.
    pub(super) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut events: Events,
    ) -> Result<(), Problem> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut ticked_at = self.clock.now();
        let mut give_up_at = None;
        // What the snapshot led to.
        self.step(&mut batch).await?;
        loop {
            let wait = self.wait(ticked_at);
            tokio::select! {
                said = events.next() => batch.extend(said?),
                count = inputs.recv_many(&mut batch, BATCH_MAX) => {
                    debug_assert!(count > 0, "the engine's friends hold a sender");
                }
                () = tokio::time::sleep(wait) => {}
                () = self.shutdown.cancelled(), if give_up_at.is_none() => {}
            }
            if self.shutdown.is_cancelled() && give_up_at.is_none() {
                give_up_at = Some(self.drain(&mut batch));
            }
            let now = self.clock.now();
            if now.since(ticked_at) >= TICK_EVERY {
                ticked_at = now;
                batch.push(Input::Tick);
            }
            FailPoint::AgentExitHeard.pass_if(|| batch.iter().any(is_exit));
            self.step(&mut batch).await?;
            self.outbox.flush(&mut self.node, &self.wire, self.clock.now()).await;
            if let Some(give_up_at) = give_up_at
                && (self.node.is_empty() || self.clock.now() >= give_up_at)
            {
                return self.leave().await;
            }
        }
    }

    /// How long nothing has to be done if nothing comes.
    fn wait(&self, ticked_at: Timestamp) -> Duration {
        let now = self.clock.now();
        let tick = (ticked_at + TICK_EVERY).since(now);
        let start = self.node.next_start().map(|due| due.since(now));
        let publish = self.outbox.due(&self.node, &self.wire).map(|due| due.since(now));
        [start, publish].into_iter().flatten().fold(tick, Duration::min)
    }

    /// Begins to stop; returns when to give up waiting.
    fn drain(&mut self, batch: &mut Vec<Input>) -> Timestamp {
        self.board.draining.store(true, Ordering::Relaxed);
        let deadline = self.clock.now() + self.config.drain_timeout.duration();
        batch.push(Input::Drain { deadline });
        let grace = self.node.attempts().map(|(_, a)| a.job.run.timeouts.kill_grace).max();
        deadline + grace.unwrap_or_default().duration() + FLUSH_TIMEOUT
    }

    async fn leave(&mut self) -> Result<(), Problem> {
        tracing::info!(empty = self.node.is_empty(), "Drained");
        self.requests.push(&Request::Shutdown);
        self.requests.flush().await
    }

    /// Applies a batch and does what it led to; what is done at once may lead to more.
    async fn step(&mut self, batch: &mut Vec<Input>) -> Result<(), Problem> {
        loop {
            let now = self.clock.now();
            for input in batch.drain(..) {
                if let Input::Prepared { attempt, .. } = &input {
                    self.preparer.forget(*attempt);
                }
                self.node.apply(now, input, &mut self.out);
            }
            self.node.tell_starts(now, &mut self.out);
            if self.out.is_empty() {
                return self.requests.flush().await;
            }
            self.append()?;
            let attempts = self.node.attempts().map(|(key, attempt)| (*key, attempt.is_over()));
            self.board.show(self.node.journal(), attempts);
            self.act(batch);
            for rejected in self.out.rejected.drain(..) {
                metrics::counter!("mesh_node_inputs_rejected_total").increment(1);
                tracing::debug!(%rejected, "An input was not taken");
            }
        }
    }

    fn append(&mut self) -> Result<(), Problem> {
        let written = self.journal.append(self.out.records.drain(..)).and_then(|()| {
            match self.journal.wants_compaction() {
                true => self.journal.compact(self.node.compacted()),
                false => Ok(()),
            }
        });
        written.map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot write the journal: {error}"))
                .hint("make room on the disk; running jobs go on meanwhile")
        })
    }

    fn act(&mut self, batch: &mut Vec<Input>) {
        let mut wanted = Vec::new();
        let mut forgotten = Vec::new();
        for action in std::mem::take(&mut self.out.actions) {
            match action {
                Action::Prepare(key) => {
                    let attempt = self.node.attempt(key);
                    wanted.extend(attempt.map(|a| Wanted::new(&self.config.data_dir, a)));
                }
                Action::AbortPrepare(key) => self.preparer.abort(key),
                Action::Submit(key) => self.submit(key),
                Action::Stop { attempt, grace } => {
                    let grace_ms = u64::try_from(grace.duration().as_millis()).unwrap_or(u64::MAX);
                    self.requests.push(&Request::Kill { attempt, grace_ms });
                }
                Action::Watch(key) => self.order(key, Order::Watch),
                Action::StoreFinal(key) if self.left_nothing(key) => {
                    let manifest = Box::new(ManifestSummary::empty());
                    batch.push(Input::Stored { attempt: key, manifest, missing: None });
                }
                Action::StoreFinal(key) => self.order(key, Order::Final),
                Action::Forget(key) => forgotten.push(key),
                Action::Beat => self.wire.beat(),
                Action::Hello => self.wire.hello(),
            }
        }
        if !wanted.is_empty() {
            batch.extend(self.preparer.prepare(wanted));
        }
        if !forgotten.is_empty() {
            self.forget(forgotten);
        }
    }

    fn submit(&mut self, key: AttemptKey) {
        if let Some(attempt) = self.node.attempt(key) {
            let spawn = environment::spawn(&self.config, attempt);
            self.requests.push(&Request::Spawn(Box::new(spawn)));
        }
    }

    /// True when there is nothing to store: no other thread need be asked.
    fn left_nothing(&self, key: AttemptKey) -> bool {
        let subject = |attempt| Subject::new(&self.config.data_dir, attempt);
        self.node.attempt(key).is_some_and(|attempt| subject(attempt).is_empty())
    }

    fn order(&mut self, key: AttemptKey, order: impl FnOnce(Subject) -> Order) {
        if let Some(attempt) = self.node.attempt(key) {
            self.ordered.insert(key);
            // The uploads end only when the agent does.
            let _ended = self.uploads.send(order(Subject::new(&self.config.data_dir, attempt)));
        }
    }

    fn forget(&mut self, attempts: Vec<AttemptKey>) {
        for attempt in &attempts {
            if self.ordered.remove(attempt) {
                let _ended = self.uploads.send(Order::Drop(*attempt));
            }
            self.janitor.remove(*attempt);
        }
        self.requests.push(&Request::Forget { attempts });
    }
}

/// The supervisor says that an attempt is over.
const fn is_exit(input: &Input) -> bool {
    matches!(input, Input::Supervised { state: Supervised::Exited(_), .. })
}
