//! Granting short tasks ahead, so that a node need not wait for a round trip between two of them.
//!
//! Only work that is known to be short (`history`), only as much as is expected to be done within
//! `prefetch_time`, and only behind other short work: nothing is meant to wait on a node behind what takes long,
//! and what does is taken back (`recall`). What comes first, by priority and then by age, waits no longer than that
//! either: a node that could run it is given nothing else ahead, so that what it holds ahead runs dry.

use std::{cmp::Reverse, collections::VecDeque};

use mesh_schemas::{JobId, NodeId, Timestamp};

use crate::{
    Core, Output,
    amounts::Amounts,
    class::{Class, ClassId},
    job::{Job, Order},
    lease::Share,
    node::Node,
    schedule::Granted,
};

impl Core {
    pub(crate) fn prefetch(&mut self, now: Timestamp, granted: &mut Granted, out: &mut Output) {
        let mut waiting: Vec<_> = self
            .classes
            .iter()
            .filter_map(|(id, class)| Some((class.priority(), *class.ready.first()?, id)))
            .filter(|(_, (_, job), _)| self.jobs.get(job).is_some_and(|job| self.is_short(job)))
            .collect();
        waiting.sort();
        for (priority, first, class) in waiting {
            self.prefetch_class(now, (priority, first, class), granted, out);
        }
    }

    /// Attempts of its work are known to be short.
    pub(crate) fn is_short(&self, job: &Job) -> bool {
        let limit = u64::try_from(self.config.prefetch_time.as_micros()).unwrap_or(u64::MAX);
        self.history.mean_us(job.work).is_some_and(|mean| mean <= limit)
    }

    /// Grants in the order of the jobs, and ends at the first that is not short or finds no node: a younger job must
    /// not go on for ever where an older one waits.
    fn prefetch_class(
        &mut self,
        now: Timestamp,
        (priority, first, class_id): (Reverse<i16>, Order, ClassId),
        granted: &mut Granted,
        out: &mut Output,
    ) {
        let Some(class) = self.classes.get(class_id) else { return };
        let mut nodes = self.nodes_for_more(now, class, (priority, first));
        let needs = class.needs.clone();
        let mut last = None;
        loop {
            last = self.classes.get(class_id).and_then(|class| class.next_ready(last));
            let Some((_, job)) = last else { return };
            if !self.prefetch_job(now, job, &needs, &mut nodes, granted, out) {
                return;
            }
        }
    }

    /// Nodes that may be given more than they have room for, the least loaded first.
    fn nodes_for_more(
        &self,
        now: Timestamp,
        class: &Class,
        (priority, first): (Reverse<i16>, Order),
    ) -> VecDeque<NodeId> {
        let nodes = self.nodes_to_try(now, class);
        if nodes.is_empty() {
            return VecDeque::new();
        }
        let before: Vec<&Class> = self.waiting_before(priority, first).collect();
        let nodes = nodes.into_iter().filter_map(|id| Some((id, self.nodes.get(&id)?)));
        let mut by_load: Vec<(u64, NodeId)> = nodes
            .filter(|(_, node)| !is_wanted_by(node, &before))
            .map(|(id, node)| (node.fullness(), id))
            .collect();
        by_load.sort_unstable();
        by_load.into_iter().map(|(_, id)| id).collect()
    }

    /// Classes whose tasks found no room and come first: of higher priority, or as high and of an older job.
    fn waiting_before(&self, priority: Reverse<i16>, first: Order) -> impl Iterator<Item = &Class> {
        let comes_first = move |other: &&Class| {
            let head = other.ready.first().copied();
            head.is_some_and(|head| (other.priority(), head) < (priority, first))
        };
        self.classes.iter().map(|(_, other)| other).filter(comes_first)
    }

    /// One task to each node in turn, so that no node gets all of them; true when all of the job's were granted.
    /// Nodes that can take no more are left out of the turn.
    fn prefetch_job(
        &mut self,
        now: Timestamp,
        id: JobId,
        needs: &Amounts,
        nodes: &mut VecDeque<NodeId>,
        granted: &mut Granted,
        out: &mut Output,
    ) -> bool {
        let Some(job) = self.jobs.get(&id).filter(|job| self.is_short(job)) else { return false };
        let Some(mean_us) = self.history.mean_us(job.work) else { return false };
        while self.jobs.get(&id).is_some_and(Job::is_ready) {
            while nodes.front().is_some_and(|node| !self.may_prefetch(*node, needs, mean_us)) {
                nodes.pop_front();
            }
            let Some(&node) = nodes.front() else { break };
            self.grant(now, id, node, Share::Prefetched, granted, out);
            nodes.rotate_left(1);
        }
        self.sync_ready(id);
        !self.jobs.get(&id).is_some_and(Job::is_ready)
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
