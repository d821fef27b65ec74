//! A machine: its power, its disk, its clock, a modelled supervisor, and an agent around the real core.

mod agent;
mod content;
pub(crate) mod disk;
mod supervisor;
mod uploads;
mod wire;

use std::collections::VecDeque;

use mesh_node_core::{Input, Prepared, Supervised};
use mesh_schemas::{AttemptKey, NodeId};

use self::{
    agent::Agent,
    disk::Disk,
    supervisor::{Supervisor, What},
    uploads::Got,
};
use crate::{
    clock::Clock,
    db::Db,
    env::{Env, Event, Payload},
    objects::Objects,
    orchestrator::node_id,
    stats::Kind,
};

pub(crate) use self::content::log as log_content;

/// How far machines' wall clocks are off at most: ten years either way, in milliseconds.
const SKEW_MAX: u64 = 10 * 365 * 86_400_000;

/// Something that happens to a machine, or on it. What carries the number of a life is for that life.
#[derive(Debug, Clone)]
pub(crate) enum OnNode {
    Message(Payload),
    /// The power is back.
    PowerOn,
    /// It goes on after a pause.
    Thaw,
    /// The agent is started, again, by whoever looks after it.
    AgentUp {
        life: u32,
    },
    Beat {
        agent: u32,
        soon: bool,
    },
    Publish {
        agent: u32,
    },
    Tick {
        agent: u32,
    },
    /// Starts that waited for their ends are due to be told.
    Starts {
        agent: u32,
    },
    HelloAgain {
        agent: u32,
        ask: u64,
    },
    Prepared {
        agent: u32,
        attempt: AttemptKey,
        result: Prepared,
    },
    /// The supervisor says where an attempt is.
    Said {
        agent: u32,
        attempt: AttemptKey,
        state: Supervised,
    },
    /// An attempt has written.
    Wrote {
        agent: u32,
        attempt: AttemptKey,
    },
    Upload {
        agent: u32,
        attempt: AttemptKey,
        token: u64,
        got: Got,
    },
    Run {
        supervisor: u32,
        attempt: AttemptKey,
        what: What,
    },
}

/// What a machine works with.
pub(crate) struct Around<'a> {
    pub(crate) env: &'a mut Env,
    pub(crate) db: &'a Db,
    pub(crate) objects: &'a mut Objects,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) index: usize,
    id: NodeId,
    powered: bool,
    /// Everything on it stands still.
    frozen: bool,
    /// What came while it stood still.
    late: VecDeque<OnNode>,
    clock: Clock,
    /// How often it was switched on.
    boots: u32,
    disk: Disk,
    /// Until then it can prepare nothing.
    spoilt_until: u64,
    supervisor: Supervisor,
    agent: Option<Agent>,
    /// How many agents have died here.
    agents: u32,
    /// Numbers of what was asked, by any agent: no answer to one of them is taken for another's.
    asks: u64,
}

impl Machine {
    pub(crate) fn new(env: &mut Env, index: usize) -> Self {
        let cpus = u32::try_from(env.rng.between(1, 3)).unwrap_or(1);
        let machine = Self {
            index,
            id: node_id(index),
            powered: true,
            frozen: false,
            late: VecDeque::new(),
            clock: Clock::new(env, SKEW_MAX),
            boots: 0,
            disk: Disk::default(),
            spoilt_until: 0,
            supervisor: Supervisor::new(cpus),
            agent: None,
            agents: 0,
            asks: 0,
        };
        machine.after(env, 10, OnNode::AgentUp { life: 0 });
        machine
    }

    fn after(&self, env: &mut Env, wait: u64, what: OnNode) {
        env.after(wait, Event::Node { index: self.index, what });
    }

    /// Nothing is held and nothing unrecorded: it owes nobody anything.
    pub(crate) fn is_at_rest(&self) -> bool {
        let agent_rests = self.agent.as_ref().is_some_and(|agent| agent.node.is_empty());
        agent_rests && self.supervisor.is_idle()
    }

    /// What it still holds, for the message about a broken promise.
    pub(crate) fn explain(&self) -> String {
        let node = self.agent.as_ref().map(|agent| &agent.node);
        let held = node.into_iter().flat_map(|node| node.attempts());
        let held: Vec<String> = held.map(|(key, a)| format!("{key} {:?}", a.phase)).collect();
        let unsent = node.map(|node| node.unsent().map(|(seq, _)| seq).collect::<Vec<_>>());
        let (index, supervisor) = (self.index, &self.supervisor);
        format!("\nnode {index}: holds {held:?}, has not sent {unsent:?}; {supervisor:?}")
    }

    /// Takes one event.
    pub(crate) fn on(&mut self, around: &mut Around<'_>, what: OnNode) {
        let agents = self.agents;
        match what {
            OnNode::PowerOn => self.power_on(around),
            OnNode::Thaw => self.thaw(around),
            what if self.frozen => self.late.push_back(what),
            OnNode::AgentUp { life } if life == agents => self.start_agent(around),
            OnNode::Run { supervisor, attempt, what } if supervisor == self.supervisor.life => {
                self.due(around.env, attempt, what);
            }
            OnNode::AgentUp { .. } | OnNode::Run { .. } => {}
            OnNode::Message(payload) => self.message(around, payload),
            OnNode::Beat { agent, soon } if agent == agents => self.beat(around.env, soon),
            OnNode::Publish { agent } if agent == agents => self.publish(around),
            OnNode::Tick { agent } if agent == agents => self.tick(around),
            OnNode::Starts { agent } if agent == agents => self.starts_due(around),
            OnNode::HelloAgain { agent, ask } if agent == agents => {
                self.hello_again(around.env, ask);
            }
            OnNode::Prepared { agent, attempt, result } if agent == agents => {
                self.prepared(around, attempt, result);
            }
            OnNode::Said { agent, attempt, state } if agent == agents => {
                self.apply(around, Input::Supervised { attempt, state });
            }
            OnNode::Wrote { agent, attempt } if agent == agents => {
                self.apply(around, Input::Output { attempt });
            }
            OnNode::Upload { agent, attempt, token, got } if agent == agents => {
                self.upload_got(around, attempt, token, got);
            }
            // Of a life that is over.
            OnNode::Beat { .. }
            | OnNode::Publish { .. }
            | OnNode::Tick { .. }
            | OnNode::Starts { .. }
            | OnNode::HelloAgain { .. }
            | OnNode::Prepared { .. }
            | OnNode::Said { .. }
            | OnNode::Wrote { .. }
            | OnNode::Upload { .. } => {}
        }
    }

    // ---- what may befall it ----

    /// The agent dies; the work goes on.
    pub(crate) fn crash_agent(&mut self, env: &mut Env) {
        if self.agent.is_some() {
            env.stats.count(Kind::AgentCrash);
            let wait = env.rng.between(200, 20_000);
            self.lose_agent(env, wait);
        }
    }

    /// The agent is gone and comes back after a while.
    fn lose_agent(&mut self, env: &mut Env, wait: u64) {
        self.agent = None;
        self.agents += 1;
        self.after(env, wait, OnNode::AgentUp { life: self.agents });
    }

    /// The supervisor dies, with the agent and all that runs.
    pub(crate) fn crash_supervisor(&mut self, env: &mut Env) {
        if !self.powered || self.frozen {
            return;
        }
        env.stats.count(Kind::SupervisorCrash);
        self.end_supervisor(env);
    }

    fn end_supervisor(&mut self, env: &mut Env) {
        let wall = self.clock.wall(env.now);
        self.supervisor.die(env, wall, false);
        let wait = env.rng.between(500, 20_000);
        self.lose_agent(env, wait);
    }

    /// The power goes; with `wiped` it comes back without its disk.
    pub(crate) fn cut_power(&mut self, env: &mut Env, wiped: bool) {
        if !self.powered {
            return;
        }
        env.stats.count(if wiped { Kind::DiskWiped } else { Kind::PowerCut });
        self.powered = false;
        self.frozen = false;
        self.late.clear();
        self.agent = None;
        self.agents += 1;
        let wall = self.clock.wall(env.now);
        self.supervisor.die(env, wall, true);
        self.disk.cut_power(env);
        if wiped {
            self.disk = Disk::default();
            self.supervisor.wipe();
        }
        let wait = env.rng.between(1_000, 60_000);
        self.after(env, wait, OnNode::PowerOn);
    }

    fn power_on(&mut self, around: &mut Around<'_>) {
        if !self.powered {
            self.powered = true;
            self.boots += 1;
            self.start_agent(around);
        }
    }

    pub(crate) fn freeze(&mut self, env: &mut Env) {
        if self.powered && !self.frozen {
            env.stats.count(Kind::Zombie);
            self.frozen = true;
            let wait = env.rng.between(1_000, 60_000);
            self.after(env, wait, OnNode::Thaw);
        }
    }

    fn thaw(&mut self, around: &mut Around<'_>) {
        if self.frozen {
            self.frozen = false;
            for late in std::mem::take(&mut self.late) {
                self.on(around, late);
            }
        }
    }

    /// Somebody sets its wall clock.
    pub(crate) fn set_clock(&mut self, env: &mut Env) {
        env.stats.count(Kind::ClockSet);
        let hours = i64::try_from(env.rng.between(0, 48)).unwrap_or(0) - 24;
        self.clock.set_forward(hours * 3_600_000 + 1_234);
    }

    pub(crate) fn fill_disk(&mut self, env: &mut Env) {
        env.stats.count(Kind::DiskFull);
        self.disk.fill(env);
    }

    /// Something about it is broken, so that no attempt can be prepared.
    pub(crate) fn spoil(&mut self, env: &mut Env) {
        env.stats.count(Kind::Spoilt);
        self.spoilt_until = env.now + env.rng.between(2_000, 40_000);
    }

    /// It is reachable again: the connection is a new one.
    pub(crate) fn reconnected(&mut self, env: &mut Env) {
        if !self.frozen {
            self.hello(env);
        }
    }

    /// Faults are over.
    pub(crate) fn calm_down(&mut self, around: &mut Around<'_>) {
        self.disk.make_room();
        self.spoilt_until = 0;
        self.on(around, OnNode::Thaw);
        self.on(around, OnNode::PowerOn);
        self.start_agent(around);
        self.hello(around.env);
    }
}
