//! One sentence on why tasks wait: the reason on those nodes that are nearest to running them, and the
//! jobs that are in front.

use std::collections::BTreeMap;

use mesh_schemas::{JobId, api::WaitReason};

use super::Obstacle;
use crate::{Core, class::Class, job::Job, node::Node};

/// A node and what keeps the class off it.
pub(super) type Seen<'a> = (&'a Node, &'a Obstacle);

impl Core {
    /// Why the job's queued tasks wait for a node.
    pub(super) fn summary(&self, job: &Job, class: &Class, all: &[Seen<'_>]) -> String {
        let waiting = waiting(job.counts.queued);
        let Some(nearest) = all.iter().map(|(_, obstacle)| obstacle.rank()).min() else {
            return waiting;
        };
        let near: Vec<Seen<'_>> =
            all.iter().copied().filter(|(_, obstacle)| obstacle.rank() == nearest).collect();
        let names = names(&near);
        let Some((_, obstacle)) = near.first() else { return waiting };
        let why = match (obstacle.reason, &obstacle.fix) {
            (WaitReason::Ready, _) => return format!("{waiting} and will start at once"),
            (WaitReason::Busy, _) => self.busy(job, class, &near),
            (WaitReason::StartingUp, _) => {
                format!("the orchestrator has just started and has not heard of {names} yet")
            }
            (WaitReason::TooSmall, _) => {
                let lack = self.too_small(class).map(|(lack, _)| lack).unwrap_or_default();
                format!("no node is large enough: {lack}")
            }
            (WaitReason::Labels, _) => {
                let label = |(name, value): (&String, &String)| format!("{name}={value}");
                let labels: Vec<String> = class.labels().iter().map(label).collect();
                format!("no node carries {}", labels.join(" and "))
            }
            (WaitReason::Draining, Some(_)) => format!("{names} would fit, but drains"),
            (WaitReason::Paused, Some(_)) => format!("{names} would fit, but is paused"),
            (WaitReason::NodeQuarantined, Some(_)) => {
                format!("{names} would fit, but is quarantined")
            }
            (WaitReason::Offline, Some(_)) => {
                format!("{names} would fit, but is not heard of")
            }
            (
                WaitReason::Draining
                | WaitReason::Paused
                | WaitReason::NodeQuarantined
                | WaitReason::Offline
                | WaitReason::Revoked
                | WaitReason::Dependencies
                | WaitReason::NoNodes,
                _,
            ) => format!("none of {} can run it ({})", nodes(all.len()), obstacle.reason),
        };
        format!("{waiting}: {why}")
    }

    /// Who has the nodes now, and who gets them next.
    fn busy(&self, job: &Job, class: &Class, near: &[Seen<'_>]) -> String {
        let mut held: BTreeMap<JobId, u32> = BTreeMap::new();
        for (holder, _) in near.iter().flat_map(|(node, _)| &node.held) {
            *held.entry(*holder).or_default() += 1;
        }
        let with = match held.iter().max_by_key(|(_, tasks)| **tasks) {
            Some((holder, _)) if *holder == job.id => "other tasks of this job".to_owned(),
            Some((holder, _)) => self.named(*holder),
            None => "other work".to_owned(),
        };
        let who = match near {
            [(node, _)] => format!("{} is busy", node.record.name),
            _ => format!("the {} that could run it are busy", nodes(near.len())),
        };
        match self.in_front(job, class) {
            (_, 0) => format!("{who} with {with}"),
            (Some(first), 1) => format!("{who} with {with}, and {} is in front", self.named(first)),
            (first, count) => {
                let first = first.map(|first| self.named(first)).unwrap_or_default();
                format!("{who} with {with}, and {count} jobs are in front, first {first}")
            }
        }
    }

    /// The job that is served next among those before this one that could use the same nodes, and how
    /// many these are.
    fn in_front(&self, job: &Job, class: &Class) -> (Option<JobId>, usize) {
        let rivals = self.classes.iter().filter(|(_, other)| {
            // Priorities are compared the other way round: the smaller goes first.
            other.priority() <= class.priority()
                && self
                    .nodes
                    .values()
                    .any(|node| self.could_run(node, class) && self.could_run(node, other))
        });
        let mut count = 0;
        let mut first = None;
        for (_, rival) in rivals {
            let same = rival.priority() == class.priority();
            let before = rival.ready.iter().take_while(|order| !same || **order < job.order());
            count += before.clone().count();
            let head = before.map(|order| (rival.priority(), *order)).next();
            first = first.into_iter().chain(head).min();
        }
        (first.map(|(_, (_, id))| id), count)
    }

    /// A job as people know it.
    fn named(&self, id: JobId) -> String {
        match self.jobs.get(&id) {
            Some(job) => format!("{id} ({})", job.spec.display_name()),
            None => id.to_string(),
        }
    }
}

/// `1 task waits`, `2 tasks wait`.
pub(crate) fn waiting(tasks: u32) -> String {
    if tasks == 1 { "1 task waits".into() } else { format!("{tasks} tasks wait") }
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".into() } else { format!("{count} nodes") }
}

fn names(seen: &[Seen<'_>]) -> String {
    let name = |(node, _): &Seen<'_>| node.record.name.clone();
    match seen {
        [] => "any node".into(),
        [one] => name(one),
        [one, rest @ ..] => format!("each of {} and {} more", name(one), rest.len()),
    }
}
