//! The store against a model of it: maps to which each change is applied by itself, in its order.

use std::collections::BTreeMap;

use mesh_core::{AttemptEnd, Change, EventRecord, JobRecord, NodeRecord, Snapshot, TaskRecord};
use mesh_orchestrator::store::{EventFilter, Store};
use mesh_schemas::{
    AttemptKey, JobId, JournalId, NodeId, TaskState,
    api::{AttemptView, EventView, TaskView},
    attempt::JobState,
    manifest::ManifestSummary,
};

use super::{
    database::{Database, Leader},
    mesh::Mesh,
};

/// So many runs, of so many steps each.
const SEEDS: u64 = 6;
const STEPS: usize = 120;

/// Goal: no sequence of changes, however cut into rounds, is stored as anything else than what it says.
/// Method: the real core at the mercy of random users and nodes; now and then all is compared.
pub(crate) async fn what_the_core_changed_is_loaded_as_a_model_has_it(database: Database) {
    for seed in 0..SEEDS {
        let (mut mesh, mut model) = (Mesh::new(seed), Model::default());
        let database = database.fresh().await;
        let leader = database.lead().await;
        for step in 0..STEPS {
            mesh.step();
            if mesh.random.below(3) == 0 {
                commit(&leader, &mut mesh, &mut model).await;
            }
            if mesh.random.below(15) == 0 {
                retry(&leader, &mut mesh, &mut model).await;
            }
            if mesh.random.below(40) == 0 {
                commit(&leader, &mut mesh, &mut model).await;
                mesh.restart(leader.store.load().await.unwrap().0);
            }
            if step % 30 == 29 {
                commit(&leader, &mut mesh, &mut model).await;
                model.compare(&*leader.store, &format!("seed {seed}, step {step}")).await;
            }
        }
        assert!(model.attempts.len() > 10, "seed {seed} did too little");
    }
}

async fn commit(leader: &Leader, mesh: &mut Mesh, model: &mut Model) {
    let changes = mesh.take_changes();
    leader.commit(&changes).await;
    for change in changes {
        model.apply(change);
    }
}

async fn retry(leader: &Leader, mesh: &mut Mesh, model: &mut Model) {
    commit(leader, mesh, model).await;
    for job in mesh.jobs.clone() {
        let record = leader.store.job(job).await.unwrap().unwrap();
        if record.progress.state.is_terminal() && record.progress.state != JobState::Succeeded {
            let tasks = leader.store.retryable(job).await.unwrap();
            let after = leader.store.job_states(&record.spec.after).await.unwrap();
            return mesh.retry(record, tasks, after);
        }
    }
}

#[derive(Default)]
struct Model {
    jobs: BTreeMap<JobId, JobRecord>,
    tasks: BTreeMap<(JobId, u32), TaskRecord>,
    attempts: BTreeMap<AttemptKey, AttemptView>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    journals: BTreeMap<(NodeId, JournalId), u64>,
    events: Vec<EventView>,
}

impl Model {
    fn apply(&mut self, change: Change) {
        match change {
            Change::JobAccepted(job) => {
                assert!(self.jobs.insert(job.id, *job).is_none(), "a job accepted twice");
            }
            Change::JobProgress { job, progress } => {
                self.jobs.get_mut(&job).unwrap().progress = progress;
            }
            Change::Task(task) => {
                self.tasks.insert((task.job, task.task), *task);
            }
            Change::AttemptLeased { attempt, node, at } => {
                let trace_id = self.jobs[&attempt.job].trace.trace_id();
                let view = AttemptView {
                    attempt,
                    node,
                    trace_id,
                    leased_at: at,
                    started_at: None,
                    ended_at: None,
                    class: None,
                    exit_code: None,
                    signal: None,
                    message: None,
                    manifest: None,
                    usage: None,
                };
                assert!(self.attempts.insert(attempt, view).is_none(), "an epoch leased twice");
            }
            Change::AttemptStarted { attempt, at } => {
                self.attempt(attempt).started_at = Some(at);
            }
            Change::AttemptManifest { attempt, manifest } => {
                self.attempt(attempt).manifest = Some(*manifest);
            }
            Change::AttemptEnded(end) => end_attempt(self.attempt(end.attempt), *end),
            Change::AttemptReopened { attempt } => reopen(self.attempt(attempt)),
            Change::Node(node) => {
                self.nodes.insert(node.id, *node);
            }
            Change::NodeJournal { node, journal, seq } => {
                self.journals.insert((node, journal), seq);
            }
            Change::Event(event) => self.add_event(event),
        }
    }

    fn attempt(&mut self, attempt: AttemptKey) -> &mut AttemptView {
        self.attempts.get_mut(&attempt).unwrap()
    }

    fn add_event(&mut self, event: EventRecord) {
        let EventRecord { at, kind, job, task, epoch, node, detail } = event;
        let seq = u64::try_from(self.events.len()).unwrap() + 1;
        self.events.push(EventView { seq, at, kind, job, task, epoch, node, detail });
    }

    /// What is live.
    fn snapshot(&self) -> Snapshot {
        let live = |job: &JobId| !self.jobs[job].progress.state.is_terminal();
        let tasks = self.tasks.values().filter(|task| !task.state.is_terminal());
        Snapshot {
            jobs: self.jobs.values().filter(|job| live(&job.id)).cloned().collect(),
            tasks: tasks.filter(|task| live(&task.job)).cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            journals: self
                .journals
                .iter()
                .map(|((node, journal), seq)| (*node, *journal, *seq))
                .collect(),
        }
    }

    /// The whole list of a job's tasks.
    fn tasks(&self, job: &JobRecord) -> Vec<TaskView> {
        let rows = self.tasks.range((job.id, 0)..=(job.id, u32::MAX)).map(|(_, task)| TaskView {
            task: task.task,
            state: task.state,
            attempts: task.epoch.0,
            last: self
                .attempts
                .get(&AttemptKey { job: task.job, task: task.task, epoch: task.epoch })
                .cloned(),
        });
        let fresh = job.progress.fresh.into_iter().flat_map(|range| range.first..=range.last);
        let state = job.progress.fresh_state;
        rows.chain(fresh.map(|task| TaskView { task, state, attempts: 0, last: None })).collect()
    }

    async fn compare(&self, store: &dyn Store, when: &str) {
        let (snapshot, _) = store.load().await.unwrap();
        assert_eq!(format!("{snapshot:#?}"), format!("{:#?}", self.snapshot()), "{when}");
        let events = EventFilter { limit: u32::MAX, ..EventFilter::default() };
        assert_eq!(store.events(&events).await.unwrap(), self.events, "{when}");
        for job in self.jobs.values() {
            let stored = store.job(job.id).await.unwrap().unwrap();
            assert_eq!(format!("{stored:?}"), format!("{job:?}"), "{when}");
            let tasks = self.tasks(job);
            assert_eq!(store.tasks(job, None, 0, u32::MAX).await.unwrap(), tasks, "{when}");
            assert_eq!(tasks.len(), usize::try_from(job.progress.counts.total).unwrap(), "{when}");
            self.compare_states(store, job, &tasks).await;
        }
        for (key, attempt) in &self.attempts {
            let stored = store.attempts(&self.jobs[&key.job], key.task).await.unwrap();
            assert!(stored.contains(attempt), "{when}: {attempt:?} not among {stored:?}");
        }
    }

    /// Each state by itself, by the store's own filter and by the model.
    async fn compare_states(&self, store: &dyn Store, job: &JobRecord, tasks: &[TaskView]) {
        for state in TaskState::ALL {
            let of_state: Vec<_> = tasks.iter().filter(|t| t.state == *state).cloned().collect();
            let stored = store.tasks(job, Some(*state), 0, u32::MAX).await.unwrap();
            assert_eq!(stored, of_state, "{state} tasks of {}", job.id);
        }
    }
}

fn end_attempt(view: &mut AttemptView, end: AttemptEnd) {
    view.started_at = end.started_at.or(view.started_at);
    view.ended_at = Some(end.recorded_at);
    view.class = Some(end.class);
    view.exit_code = end.exit_code;
    view.signal = end.signal;
    view.message = end.message;
    view.usage = end.usage;
    let manifest = end.manifest.or_else(|| view.manifest.take());
    view.manifest = Some(manifest.unwrap_or_else(ManifestSummary::empty));
}

fn reopen(view: &mut AttemptView) {
    let manifest = view.manifest.take().filter(|manifest| *manifest != ManifestSummary::empty());
    *view = AttemptView {
        ended_at: None,
        class: None,
        exit_code: None,
        signal: None,
        message: None,
        usage: None,
        manifest,
        ..view.clone()
    };
}
