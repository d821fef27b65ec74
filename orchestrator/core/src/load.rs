//! Building the core from the store's snapshot.

use std::collections::{BTreeMap, BTreeSet};

use mesh_schemas::{JobId, TaskState, Timestamp};

use crate::{
    Config, Core, JobRecord, NodeRecord, Snapshot, TaskRecord,
    class::Classes,
    history::History,
    job::Job,
    lease::{Lease, Share},
    node::Node,
    task::{State, Task, Wait},
};

impl Core {
    /// Builds the core from what the store has. Loaded leases last `config.startup_grace`.
    pub fn new(config: Config, snapshot: Snapshot, now: Timestamp) -> Self {
        let grace_until = now + config.startup_grace;
        let mut core = Self {
            config,
            jobs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            classes: Classes::default(),
            history: History::default(),
            gained: BTreeSet::new(),
            dependents: BTreeMap::new(),
            keys: BTreeMap::new(),
            waits: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            dirty: BTreeSet::new(),
            ended: BTreeMap::new(),
            ended_keys: BTreeMap::new(),
            grace_until,
            last_tick: now,
        };
        core.load_nodes(snapshot.nodes, now);
        for (node, journal, seq) in snapshot.journals {
            if let Some(node) = core.nodes.get_mut(&node) {
                node.journals.insert(journal, seq);
            }
        }
        let ids: Vec<JobId> = snapshot.jobs.iter().map(|job| job.id).collect();
        for job in snapshot.jobs {
            core.load_job(job, now);
        }
        for task in snapshot.tasks {
            core.load_task(task, now);
        }
        for id in ids {
            core.block_on_live_dependencies(id);
            core.sync_ready(id);
        }
        core
    }

    fn load_nodes(&mut self, nodes: Vec<NodeRecord>, now: Timestamp) {
        for record in nodes {
            self.nodes.insert(record.id, Node::new(record, now));
        }
    }

    fn load_job(&mut self, record: JobRecord, now: Timestamp) {
        let class = self.classes.join(&record.spec);
        let job = Job::from_record(record, class);
        let due = job.created_at;
        let id = self.insert_job(job);
        // A deadline that passed while nobody was there to keep it begins anew.
        let wait = self.jobs[&id].spec.timeouts.queue.map(mesh_schemas::Span::duration);
        if let Some(wait) = wait {
            let from = if due + wait > now { due } else { now };
            self.set_deadline(id, from + wait);
        }
    }

    fn load_task(&mut self, record: TaskRecord, now: Timestamp) {
        let (id, index) = (record.job, record.task);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(state) = self.config.loaded_state(&record, now) else { return };
        let task = Task {
            epoch: record.epoch,
            node: record.node,
            tries: record.tries,
            cancel_requested: record.cancel_requested,
            checkpoint: record.checkpoint,
            state,
        };
        match &task.state {
            State::Queued(Wait::Until(time)) if *time > now => {
                self.waits.insert((*time, id, index));
            }
            State::Queued(_) => {
                job.ready.insert(index);
            }
            State::Leased { lease } | State::Running { lease, .. } => {
                let class = self.classes.get(job.class);
                if let (Some(node), Some(class)) = (self.nodes.get_mut(&lease.node), class) {
                    node.hold(id, index, &class.needs, lease);
                }
            }
        }
        job.tasks.insert(index, task);
    }
}

impl Config {
    fn loaded_state(&self, record: &TaskRecord, now: Timestamp) -> Option<State> {
        let lease = || {
            let begun = record.state == TaskState::Running;
            let share = if begun { Share::Slow } else { Share::Prefetched };
            let mut lease = Lease::granted(self, now, record.node?, share);
            lease.recalled_at = (!begun).then_some(now);
            lease.expires_at = now + self.startup_grace;
            // Its command reached the node. A node that does not name it any more has lost it, and to send it
            // again would begin it anew under the same epoch, among the objects of the first.
            lease.named = begun;
            Some(lease)
        };
        match record.state {
            TaskState::Queued => Some(State::Queued(match record.eligible_at {
                Some(time) => Wait::Until(time),
                None => Wait::Lost { started_at: None },
            })),
            TaskState::Leased => Some(State::Leased { lease: lease()? }),
            // When it started is for people, and the attempt's row has it.
            TaskState::Running => Some(State::Running { lease: lease()?, started_at: now }),
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Quarantined => None,
        }
    }
}
