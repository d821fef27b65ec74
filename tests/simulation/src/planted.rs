//! Bugs that others have shipped, or that are easily made, planted on purpose: what a shell does beside or
//! instead of the core. Each must be found by the checks.

use std::{collections::BTreeMap, time::Duration};

use mesh_core::{AttemptEnd, Change, Core, Input, Output, TaskRecord};
use mesh_schemas::{
    AttemptKey, EndClass, NodeId, TaskState, Timestamp,
    message::{AttemptEnded, NodeBeat, NodeEvent},
};

use crate::{db::Db, env::Env, options::Options, orchestrator::Around};

/// How long a node must be silent for the planted rescue to take its work away.
const RESCUE_AFTER: Duration = Duration::from_secs(30);

macro_rules! bugs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A bug put in on purpose, to see that the checks find it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $variant,)*
        }

        impl Bug {
            /// Each of them, controls included.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

bugs! {
    /// The end of any attempt is recorded, whoever holds the task by then.
    NoFence = "no-fence",
    /// Clients and nodes are answered before the commit.
    AckBeforeCommit = "ack-before-commit",
    /// Leases of silent nodes are ended by a loop that reads, waits, and writes without looking again.
    RescueWithoutCas = "rescue-without-cas",
    /// No bug but a control: the same loop, which does look again. Nothing may find fault with it.
    RescueWithCas = "rescue-with-cas",
    /// The database takes rounds of a leader that has been replaced.
    OldLeaderNotFenced = "old-leader-not-fenced",
    /// After a transaction of unknown outcome the state is loaded again under the same lead: it may come
    /// to pass afterwards.
    ReloadUnderOldLead = "reload-under-old-lead",
    /// The database takes rounds that were decided before the state was loaded again.
    OldLoadNotFenced = "old-load-not-fenced",
    /// How far a journal is recorded is written before the round that records it.
    SeqOutsideTransaction = "seq-outside-transaction",
    /// A job is not looked for by its idempotency key.
    DedupeKeyDropped = "dedupe-key-dropped",
    /// A retry on demand begins to count epochs anew.
    EpochReused = "epoch-reused",
    /// A node that comes back gets its attempt back though another has the task.
    AdoptThoughLeased = "adopt-though-leased",
    /// A node forgets events when they are sent, not when they are recorded.
    ForgetAtPublish = "forget-at-publish",
    /// A torn last line stays in the journal, and what is written next joins it.
    TornTailKept = "torn-tail-kept",
    /// After a power cut, which may take the journal's tail, events are numbered on as before.
    SameJournalAfterPowerCut = "same-journal-after-power-cut",
    /// A manifest is reported before the chunks that it names are in the store.
    ManifestBeforeChunks = "manifest-before-chunks",
    /// Nobody looks whether what the store said it has is there.
    StoreBelieved = "store-believed",
    /// The version of a manifest is written down only once the manifest is stored.
    VersionForgotten = "version-forgotten",
    /// What is asked back while it waits is given back, and stays where it waits.
    RecalledAndRun = "recalled-and-run",
}

impl Bug {
    /// The bug of this name.
    ///
    /// # Errors
    /// All names, when there is none like it.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|bug| bug.name() == name);
        let names = || Self::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("no such bug; there are: {}", names()))
    }

    /// It is there to be found.
    pub fn is_one(self) -> bool {
        self != Self::RescueWithCas
    }

    /// Sees to it that what it needs is there.
    pub(crate) fn make_room(self, options: &mut Options) {
        if self == Self::OldLeaderNotFenced {
            options.orchestrators = 2;
        }
    }
}

/// What planted code adds to a round beside the core.
pub(crate) fn beside(
    around: &Around<'_>,
    core: &Core,
    now: Timestamp,
    input: &Input,
    out: &mut Output,
) {
    match (around.env.options.bug, input) {
        (Some(Bug::NoFence), input) => record_without_fence(core, now, input, around.db, out),
        (Some(Bug::AdoptThoughLeased), Input::NodeBeat(beat)) => {
            adopt_though_leased(core, beat, around.db, out);
        }
        (Some(_) | None, _) => {}
    }
}

/// The planted loop that rescues runs.
pub(crate) const fn rescues(options: &Options) -> bool {
    matches!(options.bug, Some(Bug::RescueWithoutCas | Bug::RescueWithCas))
}

fn adopt_though_leased(core: &Core, beat: &NodeBeat, db: &Db, out: &mut Output) {
    let held = beat.held.iter().flat_map(|of| of.tasks.iter().map(|task| (of.job, *task)));
    for (job, (task, epoch)) in held {
        let attempt = AttemptKey { job, task, epoch };
        let Some(row) = db.tasks.get(&(job, task)) else { continue };
        let lost = db.attempts.get(&attempt).and_then(|row| row.ended) == Some(EndClass::NodeLost);
        if lost && !core.holds(beat.node, attempt) && is_held(row.state) {
            out.changes.push(Change::AttemptReopened { attempt });
            let task = TaskRecord { epoch, node: Some(beat.node), ..row.clone() };
            out.changes.push(Change::Task(Box::new(task)));
        }
    }
}

/// "No fence": writes the good end of any attempt straight to its task, whoever holds it by then.
fn record_without_fence(core: &Core, now: Timestamp, input: &Input, db: &Db, out: &mut Output) {
    let Input::NodeEvents(events) = input else { return };
    let recorded = db.journals.get(&(events.node, events.journal)).copied().unwrap_or(0);
    for (seq, event) in (events.first_seq..).zip(&events.events) {
        let NodeEvent::AttemptEnded(ended) = event else { continue };
        let good = ended.class == EndClass::Success;
        if good && seq > recorded && !core.holds(events.node, ended.attempt) {
            write_end(now, ended, db, out);
        }
    }
}

fn write_end(now: Timestamp, ended: &AttemptEnded, db: &Db, out: &mut Output) {
    let attempt = ended.attempt;
    let Some(task) = db.tasks.get(&(attempt.job, attempt.task)) else { return };
    let mut task = task.clone();
    task.state = TaskState::Succeeded;
    out.changes.push(Change::AttemptEnded(Box::new(AttemptEnd {
        attempt,
        started_at: ended.started_at,
        recorded_at: now,
        class: ended.class,
        exit_code: ended.exit_code,
        signal: None,
        message: None,
        manifest: Some(ended.manifest.clone()),
        usage: Some(ended.usage),
    })));
    out.changes.push(Change::Task(Box::new(task)));
}

/// "Rescue without compare-and-set": reads which tasks silent nodes hold, and a while later queues them
/// again without looking whether they are still held.
#[derive(Debug, Default)]
pub(crate) struct Rescuer {
    heard: BTreeMap<NodeId, u64>,
    found: Vec<TaskRecord>,
    write_at: u64,
}

impl Rescuer {
    pub(crate) fn heard(&mut self, env: &Env, node: NodeId) {
        self.heard.insert(node, env.now);
    }

    /// What it writes now.
    pub(crate) fn look(&mut self, env: &mut Env, db: &Db, now: Timestamp) -> Vec<Change> {
        if !self.found.is_empty() {
            if env.now < self.write_at {
                return Vec::new();
            }
            let mut found = std::mem::take(&mut self.found);
            if env.options.bug == Some(Bug::RescueWithCas) {
                found.retain(|read| {
                    let row = db.tasks.get(&(read.job, read.task));
                    row.is_some_and(|row| is_held(row.state) && row.epoch == read.epoch)
                });
            }
            return queue_again(db, &found, now);
        }
        let ttl = u64::try_from(RESCUE_AFTER.as_millis()).unwrap_or(0);
        let silent = |node: &NodeId| self.heard.get(node).is_none_or(|at| env.now - at > ttl);
        let held = db.tasks.values().filter(|task| is_held(task.state));
        let lost = held.filter(|task| task.node.as_ref().is_some_and(silent));
        self.found = lost.cloned().collect();
        self.write_at = env.now + env.rng.between(100, 3_000);
        Vec::new()
    }
}

const fn is_held(state: TaskState) -> bool {
    matches!(state, TaskState::Leased | TaskState::Running)
}

/// In itself this is a right rescue, counts and all: only nobody has looked what became of the tasks
/// since they were read.
fn queue_again(db: &Db, found: &[TaskRecord], now: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut jobs = BTreeMap::new();
    for task in found {
        let attempt = AttemptKey { job: task.job, task: task.task, epoch: task.epoch };
        changes.push(Change::AttemptEnded(Box::new(AttemptEnd {
            attempt,
            started_at: None,
            recorded_at: now,
            class: EndClass::NodeLost,
            exit_code: None,
            signal: None,
            message: None,
            manifest: None,
            usage: None,
        })));
        let Some(mut row) = db.tasks.get(&(task.job, task.task)).cloned() else { continue };
        let progress = jobs.entry(task.job).or_insert_with(|| db.jobs[&task.job].progress.clone());
        match row.state {
            TaskState::Leased => progress.counts.leased -= 1,
            TaskState::Running => progress.counts.running -= 1,
            TaskState::Queued
            | TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Quarantined => {
                progress.counts.queued = progress.counts.queued.wrapping_sub(1)
            }
        }
        progress.counts.queued = progress.counts.queued.wrapping_add(1);
        row.state = TaskState::Queued;
        row.eligible_at = Some(now);
        changes.push(Change::Task(Box::new(row)));
    }
    changes.extend(jobs.into_iter().map(|(job, progress)| Change::JobProgress { job, progress }));
    changes
}
