//! Granting short tasks ahead, so that a node need not wait for a round trip between two of them.
//!
//! Only tasks of jobs whose attempts are known to be short, only as many as are expected to be done within
//! `prefetch_time`, and only behind other short ones: nothing waits on a node behind what may take long.
//! What waits there longer than expected is taken back (`recall`).
//! A task of higher priority that comes meanwhile waits no longer than that either: a node that could run
//! it is given nothing of lower priority ahead, so that what it holds ahead runs dry.

use mesh_schemas::{JobId, NodeId, Timestamp};

use crate::{
    Core, Output,
    amounts::Amounts,
    class::{Class, ClassId},
    job::Job,
    lease::Share,
    node::Node,
    schedule::Granted,
};

/// Most jobs of one class that are looked at in vain in a round.
const VAIN_LOOKS_MAX: usize = 32;

impl Core {
    pub(crate) fn prefetch(&mut self, now: Timestamp, granted: &mut Granted, out: &mut Output) {
        let mut waiting: Vec<_> = self
            .classes
            .iter()
            .filter(|(_, class)| self.has_short(class))
            .map(|(id, class)| (class.priority(), class.ready.first().copied(), id))
            .collect();
        waiting.sort();
        for (_, _, class) in waiting {
            self.prefetch_class(now, class, granted, out);
        }
    }

    /// Attempts of its work are known to be short.
    pub(crate) fn is_short(&self, job: &Job) -> bool {
        let limit = u64::try_from(self.config.prefetch_time.as_micros()).unwrap_or(u64::MAX);
        self.history.mean_us(job.work).is_some_and(|mean| mean <= limit)
    }

    fn has_short(&self, class: &Class) -> bool {
        let jobs = class.ready.iter().take(VAIN_LOOKS_MAX);
        jobs.filter_map(|(_, id)| self.jobs.get(id)).any(|job| self.is_short(job))
    }

    fn prefetch_class(
        &mut self,
        now: Timestamp,
        class_id: ClassId,
        granted: &mut Granted,
        out: &mut Output,
    ) {
        let Some(class) = self.classes.get(class_id) else { return };
        let mut nodes = self.nodes_to_try(now, class);
        let first: Vec<&Class> = self.waiting_before(class).collect();
        nodes.retain(|id| self.nodes.get(id).is_some_and(|node| !is_wanted_by(node, &first)));
        if nodes.is_empty() {
            return;
        }
        let needs = class.needs.clone();
        let (mut last, mut vain_looks) = (None, 0);
        while vain_looks < VAIN_LOOKS_MAX {
            last = self.classes.get(class_id).and_then(|class| class.next_ready(last));
            let Some((_, job)) = last else { return };
            if !self.prefetch_job(now, job, &needs, &nodes, granted, out) {
                vain_looks += 1;
            }
        }
    }

    /// Classes of higher priority whose tasks found no room.
    fn waiting_before(&self, class: &Class) -> impl Iterator<Item = &Class> {
        let priority = class.priority();
        let waits = move |other: &&Class| other.priority() < priority && !other.ready.is_empty();
        self.classes.iter().map(|(_, other)| other).filter(waits)
    }

    /// One task to each node in turn, so that no node gets all of a job's last ones; whether any got one.
    fn prefetch_job(
        &mut self,
        now: Timestamp,
        id: JobId,
        needs: &Amounts,
        nodes: &[NodeId],
        granted: &mut Granted,
        out: &mut Output,
    ) -> bool {
        let Some(job) = self.jobs.get(&id).filter(|job| self.is_short(job)) else { return false };
        let Some(mean_us) = self.history.mean_us(job.work) else { return false };
        let mut open: Vec<NodeId> = nodes.to_vec();
        let mut any = false;
        while !open.is_empty() {
            open.retain(|node| self.may_prefetch(*node, needs, mean_us));
            for node in &open {
                if !self.jobs.get(&id).is_some_and(Job::is_ready) {
                    self.sync_ready(id);
                    return any;
                }
                self.grant(now, id, *node, Share::Prefetched, granted, out);
                any = true;
            }
        }
        self.sync_ready(id);
        any
    }

    fn may_prefetch(&self, node: NodeId, needs: &Amounts, mean_us: u64) -> bool {
        let Some(node) = self.nodes.get(&node) else { return false };
        let slots = node.slow.room_for(needs, &node.capacity);
        if slots == 0 || node.prefetched >= self.config.prefetch_max {
            return false;
        }
        let ahead_us = u64::try_from(self.config.prefetch_time.as_micros()).unwrap_or(u64::MAX);
        let ahead = slots.saturating_mul(ahead_us / mean_us.max(1));
        let most = ahead.min(u64::from(self.config.prefetch_max));
        node.used.fits_with_excess(needs, most, &node.capacity)
    }
}

/// True when the node could run a task of one of these classes once it is empty.
fn is_wanted_by(node: &Node, classes: &[&Class]) -> bool {
    let could_run = |class: &&Class| {
        node.carries(class.labels()) && Amounts::default().fits(&class.needs, &node.capacity)
    };
    classes.iter().any(could_run)
}
