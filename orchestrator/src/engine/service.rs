//! The loop around the core.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mesh_core::{Change, Command, Input, Output};
use mesh_fabric::{
    backoff::{self, Policy},
    error::chain,
    fail_point::FailPoint,
    time::Clock,
};
use mesh_schemas::{ErrorCode, Problem};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    handle::Handle,
    live::Live,
    metrics,
    request::{Request, answer},
    round::{self, Answers, Inputs},
    watch::Watchers,
};
use crate::store::{Committed, Round, Store, StoreError};

/// Most requests that wait for a round; one more is told `E_BUSY`.
const REQUESTS_WAITING_MAX: usize = 8_192;
/// Most requests of one round.
const ROUND_REQUESTS_MAX: usize = 1_024;
/// How long requests wait for the state to be loaded before they are refused.
const LOAD_PATIENCE: Duration = Duration::from_secs(2);
/// How often time passes for the core.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How long a commit may take before its outcome counts as unknown.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(30);

/// Why the engine ended.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another orchestrator leads, or the store holds what this version cannot read.
    #[error("the engine cannot go on")]
    Store(#[source] StoreError),
}

impl EngineError {
    /// Another orchestrator leads.
    pub const fn is_fenced(&self) -> bool {
        let Self::Store(error) = self;
        matches!(error, StoreError::NotLeader { .. })
    }

    /// As told to an operator.
    pub fn problem(&self) -> Problem {
        let Self::Store(error) = self;
        match error {
            StoreError::NotLeader { .. } => Problem::new(ErrorCode::NotLeader, error.to_string())
                .hint("stop one of the two; this one has written nothing since"),
            StoreError::Unavailable { .. } => Problem::new(ErrorCode::StoreDown, chain(error)),
            StoreError::Unreadable { .. } => Problem::new(ErrorCode::Internal, error.to_string()),
            StoreError::Damaged { .. } => error.damaged(),
        }
    }
}

/// What the engine is made of.
#[derive(Debug)]
pub struct Options {
    /// What the core decides by.
    pub core: mesh_core::Config,
    /// This leader's epoch, from [`Store::take_lead`].
    pub leader: u64,
    /// The system of record.
    pub store: Arc<dyn Store>,
    /// The leader's clock.
    pub clock: Clock,
    /// Where commands go after their commit. When it is full they are dropped: the core says them again.
    pub commands: mpsc::Sender<Vec<Command>>,
}

/// Owns the core.
#[derive(Debug)]
pub struct Service {
    options: Options,
    requests: mpsc::Receiver<Request>,
    watchers: Arc<Watchers>,
}

/// Why serving ended.
enum Ended {
    /// Everything that waited is done.
    Stopped,
    /// The store is out of reach, or what became of a commit is unknown.
    StoreLost,
}

impl Service {
    /// An engine that has not loaded anything yet, and the way into it.
    pub fn new(options: Options) -> (Self, Handle) {
        let (sender, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        let watchers = Arc::new(Watchers::new());
        let handle = Handle::new(sender, Arc::clone(&watchers), options.leader);
        (Self { options, requests, watchers }, handle)
    }

    /// Runs until `shutdown`, and then until everything that waits is done.
    ///
    /// # Errors
    /// When another orchestrator leads, or the store cannot be read by this version.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), EngineError> {
        loop {
            let Some(live) = self.load(&shutdown).await? else { return Ok(()) };
            match self.serve(live, &shutdown).await? {
                Ended::Stopped => return Ok(()),
                Ended::StoreLost => metrics::reloaded(),
            }
        }
    }

    /// Loads all that is live, trying for ever. Requests wait a moment for it, as a start is quick, and are
    /// refused after that. `None` on shutdown.
    async fn load(&mut self, shutdown: &CancellationToken) -> Result<Option<Live>, EngineError> {
        let (store, leader) = (Arc::clone(&self.options.store), self.options.leader);
        let retryable = |error: &StoreError| matches!(error, StoreError::Unavailable { .. });
        let notify = |error: &StoreError, wait: Duration| {
            warn!(wait_ms = wait.as_millis(), "Cannot load from the database: {}", chain(error));
        };
        // A commit that was given up may still come to pass until the store has settled; after that it is
        // refused, so that what is loaded is final.
        let settle_and_load = || async {
            let number = store.settle(leader).await?;
            let (snapshot, position) = store.load().await?;
            Ok((number, snapshot, position))
        };
        let load = backoff::retry(Policy::forever(), settle_and_load, retryable, notify);
        tokio::pin!(load);
        let patience = tokio::time::sleep(LOAD_PATIENCE);
        tokio::pin!(patience);
        let (mut patient, mut refused) = (true, Vec::new());
        let (number, snapshot, position) = loop {
            tokio::select! {
                loaded = &mut load => break loaded.map_err(EngineError::Store)?,
                () = &mut patience, if patient => patient = false,
                count = self.requests.recv_many(&mut refused, ROUND_REQUESTS_MAX), if !patient => {
                    if count == 0 { return Ok(None); }
                    refuse_all(&mut refused);
                }
                () = shutdown.cancelled() => return Ok(None),
            }
        };
        info!(jobs = snapshot.jobs.len(), nodes = snapshot.nodes.len(), "Loaded what is live");
        let now = self.options.clock.now();
        let live = Live::new(self.options.core.clone(), number, snapshot, now);
        self.watchers.loaded(position);
        Ok(Some(live))
    }

    async fn serve(
        &mut self,
        mut live: Live,
        shutdown: &CancellationToken,
    ) -> Result<Ended, EngineError> {
        let mut ticks = interval(TICK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting = Vec::with_capacity(ROUND_REQUESTS_MAX);
        let mut closing = false;
        loop {
            tokio::select! {
                count = self.requests.recv_many(&mut waiting, ROUND_REQUESTS_MAX) => {
                    if count == 0 {
                        return Ok(self.last_round(&mut live).await);
                    }
                }
                _ = ticks.tick() => waiting.push(Request::Tell(Input::Tick)),
                () = shutdown.cancelled(), if !closing => {
                    closing = true;
                    self.requests.close();
                    continue;
                }
            }
            if let Err(error) = self.round(&mut live, &mut waiting).await {
                return self.lost(error);
            }
        }
    }

    async fn round(&self, live: &mut Live, requests: &mut Vec<Request>) -> Result<(), StoreError> {
        let started = Instant::now();
        let has_tick = requests.iter().any(|r| matches!(r, Request::Tell(Input::Tick)));
        let mut inputs = Inputs::sort(requests.drain(..));
        let now = self.options.clock.now();
        for ask in std::mem::take(&mut inputs.asks) {
            live.answer(now, ask);
        }
        live.position = inputs.position.or(live.position);
        let inputs = inputs.look_up(&*self.options.store).await;
        if inputs.is_empty() {
            return Ok(());
        }
        let mut out = Output::default();
        let answers = round::apply(&mut live.core, now, inputs, &mut out);
        self.finish(live, out, answers, has_tick).await?;
        if has_tick {
            live.show(now);
        }
        metrics::round(started.elapsed());
        Ok(())
    }

    /// Commits, then answers, sends and wakes; in this order and never otherwise.
    async fn finish(
        &self,
        live: &mut Live,
        out: Output,
        answers: Answers,
        keep_position: bool,
    ) -> Result<(), StoreError> {
        if !out.changes.is_empty() || (keep_position && live.position.is_some()) {
            let position = live.position.take();
            match self.commit(live.load, &out.changes, position).await {
                Ok(committed) => {
                    live.remember(&out.changes);
                    self.watchers.committed(committed.event_seq, &out.changes);
                }
                Err(error) => {
                    for (reply, _) in answers {
                        answer(reply, Err(round::commit_failed(&error)));
                    }
                    return Err(error);
                }
            }
        }
        FailPoint::OrchestratorAfterCommit.pass_if(|| !answers.is_empty());
        for (reply, result) in answers {
            answer(reply, result);
        }
        self.send(out.commands);
        Ok(())
    }

    async fn commit(
        &self,
        load: u64,
        changes: &[Change],
        position: Option<u64>,
    ) -> Result<Committed, StoreError> {
        let started = Instant::now();
        let round = Round { leader: self.options.leader, load, changes, position };
        let committed = match timeout(COMMIT_WAIT_MAX, self.options.store.commit(round)).await {
            Ok(committed) => committed?,
            Err(_) => {
                let source = sqlx::Error::PoolTimedOut;
                return Err(StoreError::Unavailable { doing: "committing a round", source });
            }
        };
        metrics::commit(started.elapsed());
        Ok(committed)
    }

    fn send(&self, commands: Vec<Command>) {
        let count = commands.len();
        metrics::recalled(&commands);
        if count > 0 && self.options.commands.try_send(commands).is_err() {
            metrics::commands_dropped(count);
        }
    }

    /// Keeps the position, as nothing comes after.
    async fn last_round(&self, live: &mut Live) -> Ended {
        let ended = self.finish(live, Output::default(), Answers::new(), true).await;
        if let Err(error) = ended {
            warn!("The last position of the stream was not kept: {}", chain(&error));
        }
        Ended::Stopped
    }

    fn lost(&self, error: StoreError) -> Result<Ended, EngineError> {
        match error {
            StoreError::Unavailable { .. } => {
                warn!("A commit failed or its outcome is unknown: {}", chain(&error));
                Ok(Ended::StoreLost)
            }
            StoreError::NotLeader { .. }
            | StoreError::Unreadable { .. }
            | StoreError::Damaged { .. } => Err(EngineError::Store(error)),
        }
    }
}

fn refuse_all(requests: &mut Vec<Request>) {
    for request in requests.drain(..) {
        request.refuse(round::nothing_accepted());
    }
}
