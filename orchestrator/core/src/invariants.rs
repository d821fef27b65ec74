//! What must hold across maps and counters. Tests and the simulation ask after each step.

use std::collections::BTreeSet;

use mesh_schemas::{JobId, TaskState, api::TaskCounts};

use crate::{
    Core,
    amounts::Amounts,
    job::{Job, count_mut},
    lease::Share,
    node::Node,
    task::{State, Wait},
};

#[expect(clippy::panic, reason = "to panic is what these checks are for")]
impl Core {
    /// What must hold across maps and counters.
    ///
    /// # Panics
    /// When it does not: a fault of ours, never of a peer.
    pub fn check_invariants(&self) {
        for (id, job) in &self.jobs {
            assert_eq!(*id, job.id, "a job lies under its own id");
            self.check_counts(job);
            self.check_queue(job);
            self.check_tasks(job);
        }
        let mut held = 0;
        for node in self.nodes.values() {
            self.check_node(node);
            held += node.held.len();
        }
        let leases = self.jobs.values().flat_map(|job| job.tasks.values());
        let leases = leases.filter(|task| task.lease().is_some()).count();
        assert_eq!(leases, held, "each lease is held by exactly one node");
        for (dep, waiting) in &self.dependents {
            assert!(self.jobs.contains_key(dep), "only live jobs are waited for");
            for id in waiting {
                assert!(self.jobs[id].blocked_on.contains(dep), "{id} waits for {dep}");
            }
        }
    }

    fn check_counts(&self, job: &Job) {
        let mut live = TaskCounts::default();
        for task in job.tasks.values() {
            *count_mut(&mut live, task.state_word()) += 1;
        }
        live.queued += job.fresh_queued().map_or(0, |range| range.count());
        let counts = &job.counts;
        assert_eq!(
            (live.queued, live.leased, live.running),
            (counts.queued, counts.leased, counts.running),
            "counts of {}",
            job.id
        );
        let ended = counts.succeeded + counts.failed + counts.cancelled + counts.quarantined;
        assert_eq!(counts.total, ended + live.queued + live.leased + live.running);
        assert!(!job.is_over(), "{} is over and still live", job.id);
    }

    fn check_queue(&self, job: &Job) {
        let Some(class) = self.classes.get(job.class) else {
            panic!("{} has no class", job.id);
        };
        assert_eq!(class.ready.contains(&job.order()), job.is_ready(), "queue of {}", job.id);
        for dep in &job.blocked_on {
            assert!(self.dependents[dep].contains(&job.id), "{dep} holds up {}", job.id);
        }
        if let Some(deadline) = job.queue_until {
            assert!(self.deadlines.contains(&(deadline, job.id)), "deadline of {}", job.id);
        }
        if let Some(range) = job.fresh {
            assert_eq!(range.last, job.spec.task_range().last, "fresh tasks are the tail");
            assert!(job.tasks.range(range.first..).next().is_none(), "fresh tasks have no row");
        }
    }

    fn check_tasks(&self, job: &Job) {
        let mut waiting = BTreeSet::new();
        for (index, task) in &job.tasks {
            match &task.state {
                State::Queued(Wait::Until(time)) => {
                    let waits = self.waits.contains(&(*time, job.id, *index));
                    assert_ne!(waits, job.ready.contains(index), "waits or is ready");
                    waiting.insert(*index);
                }
                State::Queued(Wait::Lost { .. }) => {
                    assert!(job.ready.contains(index), "a lost task is ready");
                    waiting.insert(*index);
                }
                State::Leased { lease } | State::Running { lease, .. } => {
                    assert!(task.epoch.0 > 0 && task.node == Some(lease.node));
                    let node = &self.nodes[&lease.node];
                    assert!(node.held.contains(&(job.id, *index)), "its node knows");
                    let named = !node.unconfirmed.contains(&(job.id, *index));
                    assert_eq!(lease.named, named, "whether a beat named it");
                }
            }
            let is_live = match task.state_word() {
                TaskState::Queued | TaskState::Leased | TaskState::Running => true,
                TaskState::Succeeded
                | TaskState::Failed
                | TaskState::Cancelled
                | TaskState::Quarantined => false,
            };
            assert!(is_live, "ended tasks are not in memory");
        }
        assert!(job.ready.is_subset(&waiting), "only queued tasks are ready");
    }

    fn check_node(&self, node: &Node) {
        let mut used = Amounts::default();
        let mut slow = Amounts::default();
        let mut prefetched = 0;
        for (id, index) in &node.held {
            let lease = self.task(*id, *index).and_then(|task| task.lease());
            let Some(lease) = lease else { panic!("{id}/{index} is held without a lease") };
            assert_eq!(lease.node, node.record.id, "the lease is this node's");
            let needs = self.needs(*id);
            used.add(needs);
            match lease.share {
                Share::Slow => slow.add(needs),
                Share::Short => {}
                Share::Prefetched => prefetched += 1,
            }
        }
        assert_eq!(used, node.used, "use of {}", node.record.id);
        assert_eq!(slow, node.slow, "slow use of {}", node.record.id);
        assert_eq!(prefetched, node.prefetched, "prefetched on {}", node.record.id);
        assert!(node.unconfirmed.is_subset(&node.held), "unconfirmed ones are held");
        assert!(!node.is_revoked() || node.held.is_empty(), "a revoked node holds nothing");
    }

    fn needs(&self, id: JobId) -> &Amounts {
        let class = self.jobs.get(&id).and_then(|job| self.classes.get(job.class));
        match class {
            Some(class) => &class.needs,
            None => panic!("{id} has no class"),
        }
    }
}
