//! Simulated nodes: each a real connection with a node's own rights that says what a node says, and no
//! process behind it. Orchestrator, broker and database are the real ones.
//!
//! Joining is limited to two machines a second, on purpose; a thousand would take eight minutes. The nodes'
//! rows are therefore written into the database beforehand, with credentials signed by the cluster's keys.

mod account;
mod node;
mod outbox;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use mesh_schemas::api::{NodeState, ServerInfo};
use tokio::{runtime::Runtime, sync::watch, task::JoinSet};

use crate::{
    client::Client,
    cluster::{Cluster, until},
};

/// Longest wait for all nodes to be welcome.
const ONLINE_WITHIN: Duration = Duration::from_secs(120);
/// Longest wait for one node to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// What a node does with the tasks that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Runs them without end.
    Hold,
    /// Each has succeeded at once, held ones too.
    End,
    /// Beats once more and is never heard again.
    Die,
}

/// What the nodes did so far, all together.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Attempts that they were told to start, each counted once.
    pub(crate) started: AtomicU64,
    /// Attempts whose end is recorded.
    pub(crate) ended: AtomicU64,
    /// Attempts that they ran and were told to give up as somebody else's.
    pub(crate) fenced: AtomicU64,
    /// When which node died.
    died: Mutex<Vec<(usize, Instant)>>,
    /// Why nodes ended that should not have.
    failures: Mutex<Vec<String>>,
}

/// A fleet at work; its nodes end with it.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) counters: Arc<Counters>,
    modes: Vec<watch::Sender<Mode>>,
    // Ends the nodes when it is dropped.
    _nodes: JoinSet<()>,
}

/// How large a fleet is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Nodes.
    pub(crate) nodes: usize,
    /// Processors that each offers.
    pub(crate) cpu: u32,
}

impl Fleet {
    /// Adds the nodes to a mesh on SQLite without others and waits until all are online. Restarts the
    /// orchestrator, so that it reads them.
    pub(crate) fn start(runtime: &Runtime, cluster: &Cluster, size: Size) -> anyhow::Result<Self> {
        let accounts = runtime.block_on(account::make(&cluster.mesh.data(), size.nodes))?;
        let before = cluster.orchestrator()?;
        cluster.kill("orchestrator")?;
        until(ONLINE_WITHIN, "a new orchestrator", || {
            cluster.orchestrator().ok().filter(|pid| *pid != before)
        })?;
        cluster.until_serving()?;
        let (counters, mut nodes, mut modes) =
            (Arc::new(Counters::default()), JoinSet::new(), Vec::new());
        for (number, account) in accounts.into_iter().enumerate() {
            let (sender, mode) = watch::channel(Mode::Hold);
            modes.push(sender);
            let counters = Arc::clone(&counters);
            let life = node::live(number, account, size.cpu, mode, counters);
            nodes.spawn_on(life, runtime.handle());
        }
        let fleet = Self { counters, modes, _nodes: nodes };
        fleet.until_online(&mut cluster.client()?)?;
        Ok(fleet)
    }

    fn until_online(&self, client: &mut Client) -> anyhow::Result<()> {
        let wanted = u32::try_from(self.modes.len())?;
        until(ONLINE_WITHIN, "all simulated nodes to be online", || {
            let info: ServerInfo = client.read("/api/v1/info").ok()?;
            std::thread::sleep(Duration::from_millis(100));
            (info.nodes.get(&NodeState::Online).copied() >= Some(wanted)).then_some(())
        })
        .with_context(|| format!("failures: {:?}", self.counters.failures()))
    }

    /// Tells all nodes what to do from now on. Those that have died stay dead.
    pub(crate) fn set(&self, mode: Mode) {
        for node in &self.modes {
            // Nobody listens at a node that has died.
            let _ = node.send(mode);
        }
    }

    /// Ends a node's life; when it was last heard.
    pub(crate) fn kill(&self, number: usize) -> anyhow::Result<Instant> {
        let node = self.modes.get(number).context("there is no such node")?;
        node.send(Mode::Die).context("the node has died before")?;
        until(GONE_WITHIN, "a simulated node to die", || self.counters.died(number))
    }

    /// Attempts started so far.
    pub(crate) fn started(&self) -> u64 {
        self.counters.started.load(Ordering::Relaxed)
    }

    /// Attempts whose end is recorded so far.
    pub(crate) fn ended(&self) -> u64 {
        self.counters.ended.load(Ordering::Relaxed)
    }

    /// Waits until all nodes together have started so many attempts since the fleet's beginning.
    pub(crate) fn until_started(&self, wanted: u64, deadline: Duration) -> anyhow::Result<()> {
        self.until_count("tasks to start", &self.counters.started, wanted, deadline)
    }

    /// Waits until the ends of so many attempts are recorded.
    pub(crate) fn until_ended(&self, wanted: u64, deadline: Duration) -> anyhow::Result<()> {
        self.until_count("ends to be recorded", &self.counters.ended, wanted, deadline)
    }

    fn until_count(
        &self,
        what: &str,
        counter: &AtomicU64,
        wanted: u64,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        let count = || counter.load(Ordering::Relaxed);
        let waited = until(deadline, what, || (count() >= wanted).then_some(()));
        let failures = self.counters.failures();
        ensure!(failures.is_empty(), "simulated nodes failed: {failures:?}");
        waited.with_context(|| format!("{} of {wanted}", count()))
    }
}

impl Counters {
    fn died(&self, number: usize) -> Option<Instant> {
        let died = self.died.lock().unwrap_or_else(PoisonError::into_inner);
        died.iter().find(|(dead, _)| *dead == number).map(|(_, at)| *at)
    }

    fn note_death(&self, number: usize) {
        self.died.lock().unwrap_or_else(PoisonError::into_inner).push((number, Instant::now()));
    }

    fn note_failure(&self, why: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    /// The first few.
    fn failures(&self) -> Vec<String> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().take(3).cloned().collect()
    }
}
