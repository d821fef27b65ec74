//! The observer: keeps a history of its own of what was recorded, answered and really run, and says when
//! a promise is broken. It knows nothing of the core's state.
//!
//! I1 an accepted job reaches exactly one end. I2 no task succeeds twice, and what is recorded is of the
//! last epoch granted. I3 one key, one job. I4 nothing leaves an end, but by retry. I5 epochs grow and
//! leases never overlap. I8 each chunk of a result is readable and right, and a log has no gap. I9 a
//! result names only chunks of its own attempt, or of the checkpoint that it began with. I10 what ended
//! after a lease has its node, its trace and its result. I12 of a revoked node nothing is recorded. I13
//! after healing the queue drains and no lease is left. A8 a node forgets an event when it is recorded.
//! A9 an attempt whose end was recorded by its node's own word does not begin any more.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::{AttemptEnd, Change, NodeSetting, TaskRecord};
use mesh_schemas::{
    AttemptKey, EndClass, JobId, NodeId, TaskState, api::EventKind, attempt::JobState,
};

use crate::{
    db::Db,
    stats::{Kind, Stats},
};

#[derive(Debug, Default)]
struct TaskHistory {
    last_epoch: u32,
    /// The epoch whose lease is open.
    open: Option<u32>,
    /// How the last epoch ended.
    last_end: Option<EndClass>,
    successes: u32,
    ended: Option<TaskState>,
}

/// What the observer has seen.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    tasks: BTreeMap<(JobId, u32), TaskHistory>,
    keys: BTreeMap<String, JobId>,
    finished: BTreeSet<JobId>,
    accepted: BTreeSet<JobId>,
    /// What clients were told.
    answered: BTreeMap<String, JobId>,
    /// What really ran to success.
    succeeded: BTreeSet<AttemptKey>,
    /// How long the log of an attempt was when its last upload was through. More than once where a power
    /// cut took the memory of its end, and perhaps the end of its log with it.
    logged: BTreeMap<AttemptKey, BTreeSet<u64>>,
    /// Packs of the checkpoint that an attempt began with.
    given: BTreeMap<AttemptKey, BTreeSet<String>>,
    /// The manifest that each version of an attempt was given to.
    versions: BTreeMap<AttemptKey, BTreeMap<u32, String>>,
    revoked: BTreeSet<NodeId>,
    /// Whose end was recorded as its node told it.
    told: BTreeSet<AttemptKey>,
    /// Who has which attempt.
    holders: BTreeMap<AttemptKey, NodeId>,
    /// The first broken promise.
    pub(crate) broken: Option<String>,
}

impl Observer {
    /// A promise is broken; the first one counts.
    pub(crate) fn broken(&mut self, promise: &str, what: &dyn std::fmt::Display) {
        if self.broken.is_none() {
            self.broken = Some(format!("{promise}: {what}"));
        }
    }

    /// A command begins on a node.
    pub(crate) fn starts(&mut self, attempt: AttemptKey) {
        if self.told.contains(&attempt) {
            self.broken("A9", &format!("{attempt} begins though its node has told its end"));
        }
    }

    /// A command on a node ran to its good end.
    pub(crate) fn ran(&mut self, attempt: AttemptKey) {
        self.succeeded.insert(attempt);
    }

    /// All that an attempt has logged is said to be stored.
    pub(crate) fn wrote(&mut self, attempt: AttemptKey, bytes: u64) {
        self.logged.entry(attempt).or_default().insert(bytes);
    }

    /// A result with so many bytes of log was recorded.
    pub(crate) fn check_log(&mut self, attempt: AttemptKey, recorded: u64) {
        let logged = self.logged.get(&attempt);
        if let Some(written) = logged.filter(|written| written.iter().all(|w| *w > recorded)) {
            let what = format!("{recorded} of {written:?} bytes of the log of {attempt} are kept");
            self.broken("I8", &what);
        }
    }

    /// A fresh directory is made for an attempt, and its versions begin at one. Never after one was given, not
    /// even where a power cut took the node's memory of it.
    pub(crate) fn begins(&mut self, attempt: AttemptKey) {
        if self.versions.contains_key(&attempt) {
            self.broken("I8", &format!("{attempt} begins anew, and with it its versions"));
        }
    }

    /// A manifest goes to the store under this version and key.
    pub(crate) fn versioned(&mut self, attempt: AttemptKey, version: u32, key: &str) {
        let versions = self.versions.entry(attempt).or_default();
        let before = versions.entry(version).or_insert_with(|| key.to_owned()).clone();
        if before != key {
            let what = format!("version {version} of {attempt} is {before} and {key}");
            self.broken("I8", &what);
        }
    }

    /// A manifest with this version was recorded; `key` is that of its object, if it is one.
    pub(crate) fn check_version(&mut self, attempt: AttemptKey, version: u32, key: Option<&str>) {
        let versions = self.versions.get(&attempt);
        let given = versions.and_then(|versions| versions.get(&version)).map(String::as_str);
        if given != key {
            let what = format!("version {version} of {attempt} is {given:?}, recorded {key:?}");
            self.broken("I8", &what);
        }
    }

    /// An attempt begins with a checkpoint in these packs.
    pub(crate) fn give(&mut self, attempt: AttemptKey, packs: BTreeSet<String>) {
        self.given.entry(attempt).or_default().extend(packs);
    }

    pub(crate) fn given(&self, attempt: AttemptKey) -> Option<&BTreeSet<String>> {
        self.given.get(&attempt)
    }

    /// Whether what a node said of its attempt may be recorded at all.
    fn heard_of(&mut self, attempt: AttemptKey) {
        let holder = self.holders.get(&attempt);
        if holder.is_some_and(|node| self.revoked.contains(node)) {
            self.broken("I12", &format!("a revoked node's word about {attempt} was recorded"));
        }
    }

    /// A client was told that its job is accepted.
    pub(crate) fn answered(&mut self, key: &str, job: JobId) {
        let before = self.answered.insert(key.to_owned(), job);
        if before.is_some_and(|before| before != job) {
            self.broken("I3", &format!("key {key} was answered with two jobs"));
        }
    }

    /// The database has a round.
    pub(crate) fn committed(&mut self, changes: &[Change], stats: &mut Stats) {
        let retried: BTreeSet<JobId> = changes.iter().filter_map(retried_job).collect();
        for change in changes {
            self.change(change, &retried, stats);
        }
    }

    fn change(&mut self, change: &Change, retried: &BTreeSet<JobId>, stats: &mut Stats) {
        match change {
            Change::JobAccepted(job) => {
                stats.count(Kind::JobAccepted);
                if !self.accepted.insert(job.id) {
                    self.broken("I1", &format!("{} was accepted twice", job.id));
                }
                let key = job.spec.idempotency_key.clone().unwrap_or_default();
                if self.keys.insert(key.clone(), job.id).is_some() {
                    self.broken("I3", &format!("key {key} has two jobs"));
                }
            }
            Change::JobProgress { job, progress } => {
                let c = progress.counts;
                let live = c.queued + c.leased + c.running;
                let ended = c.succeeded + c.failed + c.cancelled + c.quarantined;
                if live + ended != c.total || progress.state.is_terminal() != (live == 0) {
                    self.broken("counts", &format!("{job}: {c:?} as {}", progress.state));
                }
                if !progress.state.is_terminal() && self.finished.contains(job) {
                    self.broken("I4", &format!("{job} has ended and lives again"));
                }
            }
            Change::Task(task) => self.task(task, retried, stats),
            Change::AttemptLeased { attempt, node, .. } => {
                self.holders.insert(*attempt, *node);
                self.leased(*attempt, stats);
            }
            Change::AttemptEnded(end) => {
                if end.usage.is_some() {
                    self.told.insert(end.attempt);
                    self.heard_of(end.attempt);
                }
                self.ended(end, stats);
            }
            Change::AttemptStarted { attempt, .. } | Change::AttemptManifest { attempt, .. } => {
                self.heard_of(*attempt);
            }
            Change::Node(node) => {
                if node.setting == NodeSetting::Revoked {
                    self.revoked.insert(node.id);
                }
                if node.setting == NodeSetting::Quarantined {
                    stats.count(Kind::NodeQuarantined);
                }
            }
            Change::AttemptReopened { attempt } => self.reopened(*attempt, stats),
            Change::Event(event) => {
                let Some(job) = event.job else { return };
                if event.kind == EventKind::JobRetried {
                    self.finished.remove(&job);
                    stats.count(Kind::Retried);
                }
                if event.kind == EventKind::JobFinished && !self.finished.insert(job) {
                    self.broken("I1", &format!("{job} has finished twice"));
                }
            }
            Change::NodeJournal { .. } => {}
        }
    }

    fn task(&mut self, task: &TaskRecord, retried: &BTreeSet<JobId>, stats: &mut Stats) {
        let key = format!("{}/{}", task.job, task.task);
        let history = self.tasks.entry((task.job, task.task)).or_default();
        let left_an_end = history.ended.is_some_and(|ended| ended != task.state);
        if left_an_end && retried.contains(&task.job) {
            history.successes = 0;
        }
        let epoch_is_last = task.epoch.0 == history.last_epoch;
        let open = history.open.is_some();
        history.ended = task.state.is_terminal().then_some(task.state);
        if left_an_end && !retried.contains(&task.job) {
            self.broken("I4", &format!("{key} left its end for {}", task.state));
        }
        if task.state.is_terminal() && !epoch_is_last {
            self.broken("I2", &format!("{key} ended with epoch {}", task.epoch));
        }
        if task.state.is_terminal() && open {
            self.broken("I5", &format!("{key} ended while a lease was open"));
        }
        if task.state == TaskState::Quarantined {
            stats.count(Kind::Quarantined);
        }
    }

    fn leased(&mut self, attempt: AttemptKey, stats: &mut Stats) {
        let history = self.tasks.entry((attempt.job, attempt.task)).or_default();
        let grows = attempt.epoch.0 > history.last_epoch;
        let overlaps = history.open.is_some();
        stats.count(if history.last_epoch > 0 { Kind::LeasedAgain } else { Kind::Leased });
        history.last_epoch = attempt.epoch.0;
        history.open = Some(attempt.epoch.0);
        if !grows {
            self.broken("I5", &format!("{attempt} does not have a new epoch"));
        }
        if overlaps {
            self.broken("I5", &format!("{attempt} was leased while another lease was open"));
        }
    }

    fn ended(&mut self, end: &AttemptEnd, stats: &mut Stats) {
        let attempt = end.attempt;
        let history = self.tasks.entry((attempt.job, attempt.task)).or_default();
        let held = history.open == Some(attempt.epoch.0);
        history.open = None;
        history.last_end = Some(end.class);
        let success = end.class == EndClass::Success;
        history.successes += u32::from(success);
        let twice = success && history.successes > 1;
        stats.class(end.class);
        if !held {
            self.broken("I2", &format!("the end of {attempt}, which held nothing, was recorded"));
        }
        if twice {
            self.broken("I2", &format!("{attempt} is a second success"));
        }
        if success && !self.succeeded.contains(&attempt) {
            self.broken("I2", &format!("{attempt} never succeeded anywhere"));
        }
    }

    fn reopened(&mut self, attempt: AttemptKey, stats: &mut Stats) {
        stats.count(Kind::Adopted);
        let history = self.tasks.entry((attempt.job, attempt.task)).or_default();
        let right = history.open.is_none()
            && history.last_epoch == attempt.epoch.0
            && history.last_end == Some(EndClass::NodeLost)
            && history.ended.is_none();
        history.open = Some(attempt.epoch.0);
        if !right {
            self.broken("I5", &format!("{attempt} was adopted though it is not the last"));
        }
    }

    /// What must hold when faults have been over for long.
    pub(crate) fn check_end(&mut self, db: &Db) {
        for (key, job) in self.answered.clone() {
            if !db.jobs.contains_key(&job) {
                self.broken("I1", &format!("{job} of key {key} was accepted and is gone"));
            }
        }
        for job in db.jobs.values() {
            let (id, progress) = (job.id, &job.progress);
            if !progress.state.is_terminal() {
                self.broken("I13", &format!("{id} is still {}: {:?}", progress.state, progress));
                continue;
            }
            if !self.finished.contains(&id) {
                self.broken("I1", &format!("{id} has ended without saying so"));
            }
            self.check_tasks(db, id);
        }
        for (attempt, row) in &db.attempts {
            if row.ended.is_none() {
                self.broken("I13", &format!("{attempt} is still leased"));
            }
            if row.manifest.is_none() {
                self.broken("I10", &format!("{attempt} has no result"));
            }
        }
    }

    fn check_tasks(&mut self, db: &Db, id: JobId) {
        let job = &db.jobs[&id];
        let mut succeeded = 0;
        for index in job.spec.task_range().first..=job.spec.task_range().last {
            if job.progress.fresh.is_some_and(|range| range.contains(index)) {
                if !job.progress.fresh_state.is_terminal() {
                    self.broken("I13", &format!("fresh tasks of {id} still wait"));
                }
                continue;
            }
            let Some(task) = db.tasks.get(&(id, index)) else {
                self.broken("I1", &format!("{id}/{index} is gone"));
                continue;
            };
            succeeded += u32::from(task.state == TaskState::Succeeded);
            if !task.state.is_terminal() {
                self.broken("I13", &format!("{id}/{index} is still {}", task.state));
            }
            let attempt = AttemptKey { job: id, task: index, epoch: task.epoch };
            let row = db.attempts.get(&attempt);
            if task.epoch.0 > 0 && row.is_none_or(|row| row.ended.is_none()) {
                self.broken("I10", &format!("{attempt} has no recorded end"));
            }
            if task.state == TaskState::Succeeded && task.node != row.map(|row| row.node) {
                self.broken("I10", &format!("{attempt} has no owner node"));
            }
        }
        let all = succeeded == job.progress.counts.total;
        if succeeded != job.progress.counts.succeeded
            || all != (job.progress.state == JobState::Succeeded)
        {
            self.broken("counts", &format!("{id}: {succeeded} succeeded, {:?}", job.progress));
        }
    }
}

fn retried_job(change: &Change) -> Option<JobId> {
    match change {
        Change::Event(event) if event.kind == EventKind::JobRetried => event.job,
        Change::Event(_)
        | Change::JobAccepted(_)
        | Change::JobProgress { .. }
        | Change::Task(_)
        | Change::AttemptLeased { .. }
        | Change::AttemptStarted { .. }
        | Change::AttemptManifest { .. }
        | Change::AttemptEnded(_)
        | Change::AttemptReopened { .. }
        | Change::Node(_)
        | Change::NodeJournal { .. } => None,
    }
}
