//! Placing what waits on nodes that have room.
//!
//! Higher priority first, then older jobs; among nodes that fit, the least loaded. A round costs what it
//! grants, plus one look at each class that waits: when no node has room for a class, none of its jobs
//! is asked, and in the next round only nodes that have gained room since are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use mesh_schemas::{JobId, NodeId, TaskState, Timestamp, api::EventKind, message::TaskStart};

use crate::{
    Change, Core, Output,
    class::{Class, ClassId},
    command::push_starts,
    core::attempt_event,
    job::Order,
    lease::{Lease, Share},
    task::{State, Task},
};

/// Nodes with room for a class, the least loaded first.
type Room = BTreeSet<(u64, NodeId)>;

/// What a round has granted so far.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    starts: BTreeMap<(NodeId, JobId), Vec<TaskStart>>,
}

impl Core {
    /// Places what waits on nodes that have room, and tells the progress of jobs that has changed. Must
    /// be called once after each round of inputs, before its changes are committed.
    pub fn schedule(&mut self, now: Timestamp, out: &mut Output) {
        self.end_waits(now);
        let mut granted = Granted::default();
        self.place(now, &mut granted, out);
        self.prefetch(now, &mut granted, out);
        self.end_of_placing();
        for ((node, job), tasks) in granted.starts {
            if let (Some(node), Some(job)) = (self.nodes.get(&node), self.jobs.get(&job)) {
                push_starts(out, node, job, tasks);
            }
        }
        for job in std::mem::take(&mut self.dirty) {
            if let Some(progress) = self.jobs.get(&job).map(crate::job::Job::progress) {
                out.changes.push(Change::JobProgress { job, progress });
            }
        }
        self.ended.clear();
        self.ended_keys.clear();
    }

    fn place(&mut self, now: Timestamp, granted: &mut Granted, out: &mut Output) {
        let mut heads: BTreeSet<(Reverse<i16>, Order, ClassId)> = self
            .classes
            .iter()
            .filter_map(|(id, class)| Some((class.priority(), *class.ready.first()?, id)))
            .collect();
        let mut rooms: BTreeMap<ClassId, Room> = BTreeMap::new();
        while let Some((priority, (_, job), class_id)) = heads.pop_first() {
            let Some(class) = self.classes.get(class_id) else { continue };
            let room = rooms.entry(class_id).or_insert_with(|| self.room(now, class));
            self.place_job(now, job, room, granted, out);
            let has_room = !room.is_empty();
            let next = self.classes.get(class_id).and_then(|class| class.ready.first().copied());
            if let Some(order) = next.filter(|_| has_room) {
                heads.insert((priority, order, class_id));
            }
        }
    }

    /// Nodes to try: all, or those that have gained room since all were tried.
    pub(crate) fn nodes_to_try(&self, now: Timestamp, class: &Class) -> Vec<NodeId> {
        let fits = |id: &&NodeId| {
            self.nodes.get(id).is_some_and(|node| {
                node.takes_work(&self.config, now) && node.carries(class.labels())
            })
        };
        if class.tried {
            self.gained.iter().filter(fits).copied().collect()
        } else {
            self.nodes.keys().filter(fits).copied().collect()
        }
    }

    fn room(&self, now: Timestamp, class: &Class) -> Room {
        let nodes = self.nodes_to_try(now, class).into_iter();
        let has_room = nodes.filter_map(|id| self.nodes.get(&id).map(|node| (id, node)));
        has_room
            .filter(|(_, node)| node.used.fits(&class.needs, &node.capacity))
            .map(|(id, node)| (node.fullness(), id))
            .collect()
    }

    /// Grants tasks of one job until it has none left or no node has room.
    fn place_job(
        &mut self,
        now: Timestamp,
        id: JobId,
        room: &mut Room,
        granted: &mut Granted,
        out: &mut Output,
    ) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(class) = self.classes.get(job.class) else { return };
        let share = if self.is_short(job) { Share::Short } else { Share::Slow };
        let needs = class.needs.clone();
        while self.jobs.get(&id).is_some_and(crate::job::Job::is_ready) {
            let Some((fullness, node_id)) = room.pop_first() else { break };
            let Some(node) = self.nodes.get(&node_id) else { continue };
            if !node.used.fits(&needs, &node.capacity) {
                continue;
            }
            // Another class may have filled it since it was looked at.
            if node.fullness() == fullness {
                self.grant(now, id, node_id, share, granted, out);
            }
            if let Some(node) = self.nodes.get(&node_id) {
                room.insert((node.fullness(), node_id));
            }
        }
        self.sync_ready(id);
    }

    /// Leases the job's next task to a node. The caller calls `sync_ready` when it is done with the job.
    pub(crate) fn grant(
        &mut self,
        now: Timestamp,
        id: JobId,
        node_id: NodeId,
        share: Share,
        granted: &mut Granted,
        out: &mut Output,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(class) = self.classes.get(job.class) else { return };
        let Some(node) = self.nodes.get_mut(&node_id) else { return };
        let index = match job.ready.pop_first() {
            Some(index) => index,
            None => {
                let Some(index) = job.pop_fresh() else { return };
                job.tasks.insert(index, Task::fresh(job.created_at));
                index
            }
        };
        let Some(task) = job.tasks.get_mut(&index) else { return };
        let lease = Lease::granted(&self.config, now, node_id, share);
        node.hold(id, index, &class.needs, &lease);
        task.epoch = task.epoch.next();
        task.node = Some(node_id);
        task.state = State::Leased { lease };
        let attempt = task.key(id, index);
        out.changes.push(Change::Task(Box::new(task.record(id, index))));
        out.changes.push(Change::AttemptLeased { attempt, node: node_id, at: now });
        let event = attempt_event(now, EventKind::AttemptLeased, attempt, Some(node_id));
        out.changes.push(Change::Event(event));
        let start = job.task_start(index, &job.tasks[&index]);
        granted.starts.entry((node_id, id)).or_default().push(start);
        job.granted = true;
        job.moved(1, TaskState::Queued, TaskState::Leased);
        self.dirty.insert(id);
    }

    /// Remembers that every class that still waits has tried every node.
    fn end_of_placing(&mut self) {
        for class in self.classes.values_mut() {
            class.tried = !class.ready.is_empty();
        }
        self.gained.clear();
    }
}
