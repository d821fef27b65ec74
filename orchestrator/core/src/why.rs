//! Why a job waits: what stands in the way on each node, and the nearest change that would let it run.

use std::collections::BTreeMap;

use mesh_schemas::{
    JobId, Timestamp,
    api::{NodeState, WaitReason, Why, WhyReason},
};

use crate::{Core, NodeSetting, amounts::Lack, class::Class, job::Job, node::Node};

mod summary;

pub(crate) use summary::waiting;

/// How near a node that is too small is to be mended; between its owner's pause and a missing label.
const TOO_SMALL_FIX: u8 = 4;

/// What keeps a class off one node.
struct Obstacle {
    reason: WaitReason,
    detail: String,
    /// What somebody could do about this one, and how near that is: smaller is nearer.
    fix: Option<(u8, String)>,
}

impl Obstacle {
    /// How near the node is to running the class: smaller is nearer.
    fn rank(&self) -> u8 {
        const UNABLE: u8 = 10;
        match (self.reason, &self.fix) {
            (WaitReason::Ready, _) => 0,
            (WaitReason::Busy, _) => 1,
            (WaitReason::StartingUp, _) => 2,
            (WaitReason::TooSmall, _) => TOO_SMALL_FIX + 3,
            (
                WaitReason::Labels
                | WaitReason::Draining
                | WaitReason::Paused
                | WaitReason::NodeQuarantined
                | WaitReason::Offline
                | WaitReason::Revoked
                | WaitReason::Dependencies
                | WaitReason::NoNodes,
                fix,
            ) => fix.as_ref().map_or(UNABLE, |(far, _)| far + 3),
        }
    }
}

impl Core {
    /// Why a live job waits; `None` when it is not live.
    pub fn why(&self, now: Timestamp, job: JobId) -> Option<Why> {
        let job = self.jobs.get(&job)?;
        let class = self.classes.get(job.class)?;
        let waiting = job.counts.queued;
        let plain =
            |summary: String| Why { summary, waiting, reasons: Vec::new(), nearest_fix: None };
        if waiting == 0 {
            let held = job.counts.leased + job.counts.running;
            let tasks = if held == 1 { "task".to_owned() } else { format!("{held} tasks") };
            return Some(plain(format!("nothing waits: nodes hold the last {tasks}")));
        }
        if !job.blocked_on.is_empty() {
            return Some(waits_for_jobs(job));
        }
        if !job.is_ready() {
            return Some(plain(self.waits_for_time(job)));
        }
        if self.nodes.is_empty() {
            return Some(no_nodes(waiting));
        }
        let obstacles: Vec<Obstacle> =
            self.nodes.values().map(|node| self.obstacle(now, node, class)).collect();
        let seen: Vec<_> = self.nodes.values().zip(&obstacles).collect();
        let summary = self.summary(job, class, &seen);
        Some(self.summed_up(waiting, summary, obstacles, class))
    }

    fn waits_for_time(&self, job: &Job) -> String {
        let next = self.waits.iter().find(|(_, id, _)| *id == job.id);
        match next {
            Some((time, ..)) => format!("tasks that failed are tried again from {time} on"),
            None => "nothing waits for a node".into(),
        }
    }

    fn obstacle(&self, now: Timestamp, node: &Node, class: &Class) -> Obstacle {
        let name = &node.record.name;
        let set = |reason, what: &str| Obstacle {
            reason,
            detail: what.to_owned(),
            fix: self.could_run(node, class).then(|| (1, format!("run: mesh node resume {name}"))),
        };
        let state = node.state(&self.config, now, self.grace_until);
        match state {
            NodeState::Revoked => {
                return Obstacle {
                    reason: WaitReason::Revoked,
                    detail: "cut off".into(),
                    fix: None,
                };
            }
            NodeState::Suspect | NodeState::Offline => return self.silent(now, node, class),
            NodeState::Quarantined => {
                return set(WaitReason::NodeQuarantined, "lost too much work by its own fault");
            }
            NodeState::Draining => return set(WaitReason::Draining, "takes nothing new"),
            NodeState::Paused if node.record.setting == NodeSetting::Active => {
                let fix = self.could_run(node, class);
                return Obstacle {
                    reason: WaitReason::Paused,
                    detail: "paused by its owner".into(),
                    fix: fix.then(|| (3, format!("let the owner of {name} resume it"))),
                };
            }
            NodeState::Paused => return set(WaitReason::Paused, "paused by an administrator"),
            NodeState::Online => {}
        }
        self.by_size(node, class)
    }

    fn by_size(&self, node: &Node, class: &Class) -> Obstacle {
        let name = &node.record.name;
        let missing = missing_labels(node, class);
        if !missing.is_empty() {
            let labels = missing.join(", ");
            let fix = Some((5, format!("add the label {labels} to a node such as {name}")));
            return Obstacle { reason: WaitReason::Labels, detail: format!("lacks {labels}"), fix };
        }
        let lacks = class.needs.lacks(&node.capacity);
        if !lacks.is_empty() {
            return Obstacle { reason: WaitReason::TooSmall, detail: String::new(), fix: None };
        }
        if node.used.fits(&class.needs, &node.capacity) {
            let detail = "has room".into();
            return Obstacle { reason: WaitReason::Ready, detail, fix: None };
        }
        let fix = "wait for tasks to end, or add a node like those that are busy".to_owned();
        let detail = "has no room until tasks end".to_owned();
        Obstacle { reason: WaitReason::Busy, detail, fix: Some((0, fix)) }
    }

    fn silent(&self, now: Timestamp, node: &Node, class: &Class) -> Obstacle {
        if node.seen_at.is_none() && now < self.grace_until {
            let detail = "not heard of since the orchestrator started".to_owned();
            return Obstacle { reason: WaitReason::StartingUp, detail, fix: None };
        }
        let name = &node.record.name;
        let fix = self.could_run(node, class);
        Obstacle {
            reason: WaitReason::Offline,
            detail: "not heard of lately".into(),
            fix: fix.then(|| (2, format!("start {name}, or mend its connection"))),
        }
    }

    /// The node would take the class if it were at work and empty.
    fn could_run(&self, node: &Node, class: &Class) -> bool {
        node.record.report.is_some()
            && node.carries(class.labels())
            && class.needs.lacks(&node.capacity).is_empty()
    }

    fn summed_up(
        &self,
        waiting: u32,
        summary: String,
        obstacles: Vec<Obstacle>,
        class: &Class,
    ) -> Why {
        let mut by_reason: BTreeMap<WaitReason, (u32, String)> = BTreeMap::new();
        let mut fixes = Vec::new();
        for obstacle in obstacles {
            let entry = by_reason.entry(obstacle.reason).or_insert((0, obstacle.detail));
            entry.0 += 1;
            fixes.extend(obstacle.fix);
        }
        if let Some(entry) = by_reason.get_mut(&WaitReason::TooSmall)
            && let Some((detail, fix)) = self.too_small(class)
        {
            entry.1 = detail;
            fixes.push((TOO_SMALL_FIX, fix));
        }
        let is_ready = by_reason.contains_key(&WaitReason::Ready);
        let mut reasons: Vec<WhyReason> = by_reason
            .into_iter()
            .map(|(reason, (nodes, detail))| WhyReason { reason, nodes, detail })
            .collect();
        reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.nodes), reason.reason));
        let nearest_fix = fixes.into_iter().min().map(|(_, fix)| fix).filter(|_| !is_ready);
        Why { summary, waiting, reasons, nearest_fix }
    }

    /// What the nodes that carry the labels are too small in, and what to do about it.
    fn too_small(&self, class: &Class) -> Option<(String, String)> {
        let able = self.nodes.values().filter(|n| !n.is_revoked() && n.carries(class.labels()));
        let lacks = able.map(|node| class.needs.lacks(&node.capacity));
        let nearest = lacks.filter(|lacks| !lacks.is_empty()).min_by_key(Vec::len)?;
        let most: Vec<Lack> = nearest.into_iter().map(|lack| self.best_of(lack, class)).collect();
        let detail: Vec<String> = most
            .iter()
            .map(|lack| {
                let (wanted, there) =
                    (shown(&lack.name, lack.wanted), shown(&lack.name, lack.there));
                format!("wants {}={wanted}, the most on any node is {there}", lack.name)
            })
            .collect();
        let names: Vec<String> =
            most.iter().map(|lack| format!("resources.{}", lack.name)).collect();
        let fix = format!("add a node with more, or lower {}", names.join(" and "));
        Some((detail.join("; "), format!("{}: {fix}", detail.join("; "))))
    }

    /// The same lack, beside the node that has most of this kind.
    fn best_of(&self, lack: Lack, class: &Class) -> Lack {
        let nodes = self.nodes.values().filter(|node| !node.is_revoked());
        let there = nodes.filter_map(|node| {
            let lacks = class.needs.lacks(&node.capacity);
            lacks.into_iter().find(|other| other.name == lack.name).map(|other| other.there)
        });
        Lack { there: there.max().unwrap_or(lack.there), ..lack }
    }
}

fn shown(name: &str, amount: u64) -> String {
    match name {
        "cpu" => u32::try_from(amount)
            .map_or_else(|_| amount.to_string(), |n| mesh_schemas::Cpu(n).to_string()),
        "memory" | "disk" => mesh_schemas::ByteSize(amount).to_string(),
        _ => amount.to_string(),
    }
}

fn missing_labels(node: &Node, class: &Class) -> Vec<String> {
    let carried = node.record.report.as_deref().map(|report| &report.labels);
    let carries = |name: &String, value: &String| {
        carried.is_some_and(|labels| labels.get(name) == Some(value))
    };
    let missing = class.labels().iter().filter(|(name, value)| !carries(name, value));
    missing.map(|(name, value)| format!("{name}={value}")).collect()
}

fn waits_for_jobs(job: &Job) -> Why {
    let names: Vec<String> = job.blocked_on.iter().take(3).map(ToString::to_string).collect();
    let count = job.blocked_on.len();
    let more = if count > names.len() { " and others" } else { "" };
    let detail = format!("{}{more}", names.join(", "));
    let jobs = if count == 1 { "a job".to_owned() } else { format!("{count} jobs") };
    let detail_of = if count == 1 { format!(": {detail}") } else { String::new() };
    Why {
        summary: format!("waits for {jobs} to succeed{detail_of}"),
        waiting: job.counts.queued,
        reasons: vec![WhyReason { reason: WaitReason::Dependencies, nodes: 0, detail }],
        nearest_fix: names.first().map(|name| format!("see what keeps it: mesh why {name}")),
    }
}

fn no_nodes(waiting: u32) -> Why {
    let detail = "no machine has joined".to_owned();
    Why {
        summary: format!("{}: there are no nodes", self::waiting(waiting)),
        waiting,
        reasons: vec![WhyReason { reason: WaitReason::NoNodes, nodes: 0, detail }],
        nearest_fix: Some("let a machine join: mesh node join".into()),
    }
}
