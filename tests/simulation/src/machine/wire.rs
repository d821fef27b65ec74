//! What an agent says and hears: hellos, beats, events, commands.

use std::collections::BTreeMap;

use mesh_node_core::{Input, Welcomed};
use mesh_schemas::{
    JournalId,
    message::{
        Capacity, EVENTS_MAX, Enforcement, HeldAttempts, Load, MESSAGE_VERSION, NodeBeat,
        NodeCommand, NodeCommands, NodeEvent, NodeEvents, NodeReport,
    },
    quantity::{ByteSize, Cpu},
};

use super::{Around, Machine, OnNode, agent::Agent, agent::journal_id, uploads::Got};
use crate::{
    env::{Env, Payload, Way},
    planted::Bug,
    stats::Kind,
};

/// What an agent remembers of its line to the orchestrator.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) publish_due: bool,
    beat_due: bool,
    /// The hello that waits for its answer, and the journal that it named.
    greeting: Option<(u64, JournalId)>,
    /// The newest leader heard.
    leader: u64,
    /// The highest number sent, of which journal.
    sent: Option<(JournalId, u64)>,
}

fn held(agent: &Agent) -> Vec<HeldAttempts> {
    let mut held: Vec<HeldAttempts> = Vec::new();
    for (key, _) in agent.node.attempts() {
        match held.last_mut() {
            Some(last) if last.job == key.job => last.tasks.push((key.task, key.epoch)),
            Some(_) | None => {
                held.push(HeldAttempts { job: key.job, tasks: vec![(key.task, key.epoch)] });
            }
        }
    }
    held
}

impl Machine {
    fn up(&self, env: &mut Env, payload: Payload) {
        env.send(Way::Up { node: self.index }, payload);
    }

    // ---- what it says ----

    pub(super) fn hello(&mut self, env: &mut Env) {
        let (id, capacity) = (self.id, self.supervisor.capacity);
        let Some(agent) = &mut self.agent else { return };
        let journal = agent.node.journal();
        self.asks += 1;
        let ask = self.asks;
        agent.line.greeting = Some((ask, journal));
        let report = NodeReport {
            v: MESSAGE_VERSION,
            node: id,
            journal,
            name: "n".into(),
            version: "0".into(),
            labels: BTreeMap::new(),
            capacity: Capacity {
                cpu: Cpu(capacity),
                memory: ByteSize(1 << 30),
                ..Capacity::default()
            },
            enforces: Enforcement::default(),
            held: held(agent),
            paused: agent.node.is_draining(),
        };
        self.up(env, Payload::Hello { ask, report: Box::new(report) });
        let wait = env.rng.between(1_000, 10_000);
        self.after(env, wait, OnNode::HelloAgain { agent: self.agents, ask });
    }

    pub(super) fn hello_again(&mut self, env: &mut Env, ask: u64) {
        let waits = self.agent.as_ref().and_then(|agent| agent.line.greeting);
        if waits.is_some_and(|(waiting, _)| waiting == ask) {
            env.stats.count(Kind::HelloAgain);
            self.hello(env);
        }
    }

    pub(super) fn beat_soon(&mut self, env: &mut Env) {
        let Some(agent) = &mut self.agent else { return };
        if !std::mem::replace(&mut agent.line.beat_due, true) {
            self.after(env, 20, OnNode::Beat { agent: self.agents, soon: true });
        }
    }

    pub(super) fn beat(&mut self, env: &mut Env, soon: bool) {
        if !soon {
            let wait = env.rng.between(4_000, 6_000);
            self.after(env, wait, OnNode::Beat { agent: self.agents, soon });
        }
        let id = self.id;
        let Some(agent) = &mut self.agent else { return };
        agent.line.beat_due &= !soon;
        let beat = NodeBeat {
            v: MESSAGE_VERSION,
            node: id,
            journal: agent.node.journal(),
            held: held(agent),
            paused: agent.node.is_draining(),
            load: Load::default(),
        };
        self.up(env, Payload::Beat(Box::new(beat)));
    }

    /// Sends the events that are to be sent.
    pub(super) fn publish(&mut self, around: &mut Around<'_>) {
        let (env, node) = (&mut *around.env, self.id);
        let Some(agent) = &mut self.agent else { return };
        agent.line.publish_due = false;
        let Some(first_seq) = agent.node.unsent().next().map(|(seq, _)| seq) else { return };
        let events: Vec<NodeEvent> =
            agent.node.unsent().take(EVENTS_MAX).map(|(_, event)| event.clone()).collect();
        let through = first_seq + events.len() as u64 - 1;
        let (now, journal) = (agent.now(env), agent.node.journal());
        agent.node.mark_sent(through, now);
        if agent.line.sent.is_some_and(|(id, sent)| id == journal && sent >= first_seq) {
            env.stats.count(Kind::EventsAgain);
        }
        agent.line.sent = Some((journal, through));
        let leader = agent.line.leader;
        let events = NodeEvents { v: MESSAGE_VERSION, node, journal, first_seq, events };
        self.up(env, Payload::Events(Box::new(events)));
        if env.options.bug == Some(Bug::ForgetAtPublish) {
            let commands = vec![NodeCommand::Recorded { journal, seq: through }];
            let commands = NodeCommands { v: MESSAGE_VERSION, leader, commands };
            self.apply(around, Input::Commands(Box::new(commands)));
        }
    }

    // ---- what it is told ----

    pub(super) fn message(&mut self, around: &mut Around<'_>, payload: Payload) {
        match payload {
            Payload::Welcome { ask, leader, recorded_seq } => {
                self.welcome(around, ask, leader, recorded_seq);
            }
            Payload::Commands(commands) => {
                if let Some(agent) = &mut self.agent {
                    agent.line.leader = agent.line.leader.max(commands.leader);
                }
                self.apply(around, Input::Commands(commands));
            }
            Payload::Answered { ask, attempt, answer } => {
                self.upload_got(around, attempt, ask, Got::Answer(answer));
            }
            Payload::Hello { .. }
            | Payload::Beat(_)
            | Payload::Events(_)
            | Payload::Ask { .. }
            | Payload::Request { .. }
            | Payload::Answer { .. } => {}
        }
    }

    fn welcome(&mut self, around: &mut Around<'_>, ask: u64, leader: u64, recorded_seq: u64) {
        let spare = journal_id(around.env);
        let Some(agent) = &mut self.agent else { return };
        let Some((_, journal)) = agent.line.greeting.take_if(|(waiting, _)| *waiting == ask) else {
            return;
        };
        agent.line.leader = agent.line.leader.max(leader);
        let welcomed = Welcomed { leader, journal, recorded_seq, spare };
        self.apply(around, Input::Welcome(welcomed));
        self.beat_soon(around.env);
    }
}
