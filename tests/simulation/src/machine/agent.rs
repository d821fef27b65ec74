//! The agent: the real core, its journal on the modelled disk, and what it asks of others.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mesh_node_core::{Action, Input, Life, Node, Output, Prepared, Record, Rejected, Settings};
use mesh_schemas::{AttemptKey, ErrorCode, JournalId, Timestamp};
use uuid::Uuid;

use super::{
    Around, Machine, OnNode,
    disk::{Append, Dir},
    uploads::Upload,
    wire::Line,
};
use crate::{clock::Clock, env::Env, env::Link, planted::Bug, results, stats::Kind};

/// How long the node has to end its work when it is told to stop, at most, in milliseconds.
const DRAIN_MS: u64 = 15_000;

/// One life of the agent.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) life: u32,
    pub(super) node: Node,
    /// As it was at the start of this life: it only runs on.
    pub(super) clock: Clock,
    pub(super) line: Line,
    pub(super) uploads: BTreeMap<AttemptKey, Upload>,
    preparing: BTreeSet<AttemptKey>,
    starts_due: bool,
    /// It is to stop by then, whatever is left.
    leaves_at: Option<u64>,
}

impl Agent {
    pub(super) fn now(&self, env: &Env) -> Timestamp {
        self.clock.wall(env.now)
    }
}

pub(super) fn journal_id(env: &mut Env) -> JournalId {
    JournalId::from_uuid(Uuid::from_u128(env.rng.bits()))
}

impl Machine {
    /// A new life begins as in the shell: journal, snapshot, hello.
    pub(super) fn start_agent(&mut self, around: &mut Around<'_>) {
        if !self.powered || self.frozen || self.agent.is_some() {
            return;
        }
        let env = &mut *around.env;
        let found = self.disk.read(env, self.index);
        let fresh = found.records.is_empty();
        let spare = journal_id(env);
        let mut boot = self.boots.to_string();
        if found.damaged {
            // Numbers of the lost lines may have been recorded: count anew.
            boot = format!("{boot} {spare}");
        }
        if env.options.bug == Some(Bug::SameJournalAfterPowerCut) {
            boot = "same".into();
        }
        let now = self.clock.wall(env.now);
        let contact = Duration::from_secs(env.options.contact_s);
        let settings = Settings { disconnect_grace: contact };
        let (node, opened) = Node::restore(found.records, settings, Life { boot, spare, now });
        node.check_invariants();
        if !opened.is_empty() {
            if !fresh {
                env.stats.count(Kind::JournalReopened);
            }
            if self.disk.append(env, opened) != Append::Done {
                return self.lose_agent(env, 1_000);
            }
        }
        self.agent = Some(Agent {
            life: self.agents,
            node,
            clock: self.clock,
            line: Line::default(),
            uploads: BTreeMap::new(),
            preparing: BTreeSet::new(),
            starts_due: false,
            leaves_at: None,
        });
        let held = self.supervisor.snapshot(env.now);
        self.apply(around, Input::Snapshot(held));
        if self.agent.is_some() {
            self.hello(around.env);
            self.after(around.env, 50, OnNode::Beat { agent: self.agents, soon: false });
            self.after(around.env, 1_000, OnNode::Tick { agent: self.agents });
        }
    }

    pub(super) fn tick(&mut self, around: &mut Around<'_>) {
        self.after(around.env, 1_000, OnNode::Tick { agent: self.agents });
        self.apply(around, Input::Tick);
        let Some(agent) = &self.agent else { return };
        let due = agent.leaves_at.is_some_and(|time| around.env.now >= time);
        if due || (agent.leaves_at.is_some() && agent.node.is_empty()) {
            around.env.stats.count(Kind::AgentDrained);
            self.end_supervisor(around.env);
        }
    }

    /// The machine's owner shuts the node down in good order.
    pub(crate) fn drain(&mut self, around: &mut Around<'_>) {
        if self.frozen {
            return;
        }
        let wait = around.env.rng.between(0, DRAIN_MS);
        let Some(agent) = &mut self.agent else { return };
        if agent.leaves_at.is_none() {
            agent.leaves_at = Some(around.env.now + wait + DRAIN_MS);
            let deadline = agent.now(around.env) + Duration::from_millis(wait);
            self.apply(around, Input::Drain { deadline });
        }
    }

    pub(super) fn starts_due(&mut self, around: &mut Around<'_>) {
        let Some(agent) = &mut self.agent else { return };
        agent.starts_due = false;
        let (now, mut out) = (agent.now(around.env), Output::default());
        agent.node.tell_starts(now, &mut out);
        self.settle(around, out);
    }

    /// One input: into the core, its records into the journal, and only then what they lead to.
    pub(super) fn apply(&mut self, around: &mut Around<'_>, input: Input) {
        let Some(agent) = &mut self.agent else { return };
        let (now, mut out) = (agent.now(around.env), Output::default());
        agent.node.apply(now, input, &mut out);
        agent.node.check_invariants();
        self.settle(around, out);
    }

    fn settle(&mut self, around: &mut Around<'_>, out: Output) {
        for rejected in &out.rejected {
            around.env.stats.node_rejected(rejected);
            if let Rejected::Confirmation { seq, .. } = rejected {
                around.env.mix(*seq);
            }
        }
        self.check_forgotten(around, &out);
        if !out.records.is_empty() && !self.journal(around.env, out.records) {
            return;
        }
        for action in out.actions {
            if self.agent.is_none() {
                return;
            }
            self.act(around, action);
        }
        self.look_ahead(around.env);
    }

    /// False when the agent did not live through it.
    fn journal(&mut self, env: &mut Env, records: Vec<Record>) -> bool {
        let (kind, wait) = match self.disk.append(env, records) {
            Append::Done => {
                if let Some(agent) = &self.agent
                    && env.strikes(env.options.compact)
                {
                    env.stats.count(Kind::Compacted);
                    self.disk.compact(agent.node.compacted());
                }
                return true;
            }
            Append::Full => (Kind::AppendFailed, env.rng.between(1_000, 5_000)),
            Append::Torn => (Kind::TornAppend, env.rng.between(200, 5_000)),
            Append::Died => (Kind::CrashBeforeActing, env.rng.between(200, 5_000)),
        };
        if kind == Kind::AppendFailed {
            env.stats.code(ErrorCode::Io);
        }
        env.stats.count(kind);
        self.lose_agent(env, wait);
        false
    }

    /// An end is forgotten when it is recorded, and not before.
    fn check_forgotten(&self, around: &mut Around<'_>, out: &Output) {
        let dropped = |key: &AttemptKey| {
            let is_it = |r: &Record| matches!(r, Record::Dropped { attempt } if attempt == key);
            out.records.iter().any(is_it)
        };
        around.env.stats.add(
            Kind::FencedDropped,
            out.records.iter().filter(|r| matches!(r, Record::Dropped { .. })).count() as u64,
        );
        if !out.records.iter().any(|record| matches!(record, Record::Recorded { .. })) {
            return;
        }
        for action in &out.actions {
            let Action::Forget(key) = action else { continue };
            let row = around.db.attempts.get(key);
            if !dropped(key) && row.is_none_or(|row| row.ended.is_none()) {
                let what = format!("the end of {key} is forgotten and not recorded");
                around.env.observer.broken("A8", &what);
            }
        }
    }

    fn look_ahead(&mut self, env: &mut Env) {
        let Some(agent) = &mut self.agent else { return };
        if agent.node.unsent().next().is_some() && !agent.line.publish_due {
            agent.line.publish_due = true;
            let wait = env.rng.between(1, 5);
            self.after(env, wait, OnNode::Publish { agent: self.agents });
        }
        let Some(agent) = &mut self.agent else { return };
        if agent.node.next_start().is_some() && !agent.starts_due {
            agent.starts_due = true;
            self.after(env, 12, OnNode::Starts { agent: self.agents });
        }
    }

    fn act(&mut self, around: &mut Around<'_>, action: Action) {
        match action {
            Action::Prepare(key) => self.prepare(around.env, key),
            Action::AbortPrepare(key) => {
                let preparing = self.agent.as_mut().is_some_and(|a| a.preparing.remove(&key));
                if preparing {
                    let (agent, result) = (self.agents, Prepared::Aborted);
                    self.after(around.env, 1, OnNode::Prepared { agent, attempt: key, result });
                }
            }
            Action::Submit(key) => {
                let attempt = self.agent.as_ref().and_then(|agent| agent.node.attempt(key));
                if let Some(cpu) = attempt.map(|attempt| attempt.job.run.resources.cpu.0) {
                    self.spawn(around.env, key, cpu);
                }
            }
            Action::Stop { attempt, grace } => self.stop(around.env, attempt, grace),
            Action::Watch(key) => self.watch(around.env, key),
            Action::StoreFinal(key) => self.store_final(around, key),
            Action::Forget(key) => {
                if let Some(agent) = &mut self.agent {
                    agent.uploads.remove(&key);
                }
                self.supervisor.forget(key);
                self.disk.dirs.remove(&key);
            }
            Action::Beat => self.beat_soon(around.env),
            Action::Hello => self.hello(around.env),
        }
    }

    fn prepare(&mut self, env: &mut Env, key: AttemptKey) {
        let result = if env.now < self.spoilt_until || env.strikes(15) {
            Prepared::Failed("no room".into())
        } else if env.strikes(10) {
            Prepared::Unusable("a path that leaves the directory".into())
        } else {
            Prepared::Ready
        };
        let Some(agent) = &mut self.agent else { return };
        let downloads = agent.node.attempt(key).is_some_and(|a| a.start.checkpoint.is_some());
        agent.preparing.insert(key);
        let wait = if downloads { env.rng.between(5, 500) } else { 0 };
        self.after(env, wait, OnNode::Prepared { agent: self.agents, attempt: key, result });
    }

    pub(super) fn prepared(&mut self, around: &mut Around<'_>, key: AttemptKey, result: Prepared) {
        let Some(agent) = &mut self.agent else { return };
        let env = &mut *around.env;
        if result == Prepared::Aborted {
            return self.apply(around, Input::Prepared { attempt: key, result });
        }
        if !agent.preparing.remove(&key) {
            return;
        }
        let checkpoint = agent.node.attempt(key).and_then(|a| a.start.checkpoint.clone());
        let mut dir = Dir::default();
        if let Some(manifest) = checkpoint.filter(|_| result == Prepared::Ready) {
            env.stats.count(Kind::Checkpoint);
            if env.is_cut(Link::NodeToStore(self.index)) || around.objects.is_down(env) {
                agent.preparing.insert(key);
                let wait = env.rng.between(500, 3_000);
                let (agent, attempt) = (self.agents, key);
                return self.after(env, wait, OnNode::Prepared { agent, attempt, result });
            }
            let previous = results::previous(env, around.objects, key, &manifest);
            // Unreadable, it only saves less; here it is sometimes left out.
            dir.previous = previous.filter(|_| env.rng.chance(800)).map(Box::new);
        }
        env.observer.begins(key);
        self.disk.dirs.insert(key, dir);
        self.apply(around, Input::Prepared { attempt: key, result });
    }
}
