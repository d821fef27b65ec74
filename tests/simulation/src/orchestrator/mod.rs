//! An orchestrator's shell around the real core: its life, its lead, and what comes in. What it does with
//! that is in `round`.

mod round;

use std::collections::VecDeque;

use mesh_core::{Command, Core, Input, Rejected, Reply};
use mesh_schemas::{AttemptKey, ErrorCode, NodeId};
use uuid::Uuid;

use crate::{
    client::Request,
    clock::Clock,
    db::{Db, Outcome, Write},
    env::{Env, Event, Payload, Wanted, Way},
    objects::Objects,
    planted::{Bug, Rescuer},
    stats::Kind,
};

/// How far orchestrators' wall clocks are off at most, in milliseconds: times in the database are written
/// by one leader and read by the next.
const SKEW_MAX: u64 = 30_000;

/// Something that happens to an orchestrator, or in it.
#[derive(Debug, Clone)]
pub(crate) enum OnOrchestrator {
    /// It has started.
    Start,
    /// It dies.
    Crash { life: u32 },
    /// It goes on after a pause.
    Thaw,
    /// A message arrives.
    Message { way: Way, payload: Payload },
    /// A second has passed.
    Tick { life: u32 },
    /// It tries to load what is live.
    Load { life: u32 },
    /// It goes through a round.
    Round { life: u32 },
    /// The database answers.
    Told { life: u32, transaction: u64, outcome: Outcome },
}

/// Something that came in and waits for a round.
#[derive(Debug)]
enum Came {
    Input(Input),
    Hello { node: usize, ask: u64, input: Input },
    Ask { node: usize, ask: u64, attempt: AttemptKey, wanted: Wanted },
    Client { client: usize, ask: u64, request: Request },
}

/// Something to be said after the commit.
#[derive(Debug)]
enum Say {
    Welcome { node: usize, ask: u64, recorded_seq: u64 },
    Answer { client: usize, ask: u64, answer: Result<Reply, Rejected> },
}

/// What it is at the moment.
#[derive(Debug)]
enum Role {
    /// It looks whether somebody leads.
    Standby,
    /// It has asked for the lead.
    Taking {
        transaction: u64,
    },
    /// It leads and waits for whatever of its own may still come to pass.
    Settling {
        leader: u64,
        transaction: u64,
    },
    /// It leads and has to load.
    Loading {
        leader: u64,
        load: u64,
    },
    Leading(Box<Leading>),
}

/// A leader's state.
#[derive(Debug)]
struct Leading {
    leader: u64,
    load: u64,
    core: Core,
    came: Vec<Came>,
    round_due: bool,
    pending: Option<Pending>,
}

/// A round whose transaction is under way.
#[derive(Debug)]
struct Pending {
    transaction: u64,
    commands: Vec<Command>,
    say: Vec<Say>,
}

/// What an orchestrator works with.
pub(crate) struct Around<'a> {
    pub(crate) env: &'a mut Env,
    pub(crate) db: &'a mut Db,
    pub(crate) objects: &'a Objects,
}

/// One orchestrator's process.
#[derive(Debug)]
pub(crate) struct Orchestrator {
    index: usize,
    life: u32,
    up: bool,
    frozen: bool,
    /// What came while it stood still.
    late: VecDeque<OnOrchestrator>,
    clock: Clock,
    role: Role,
    rescuer: Rescuer,
}

/// The id of the node with this index.
pub(crate) fn node_id(index: usize) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(u128::try_from(index).unwrap_or(0) + 1))
}

/// The index of the node with this id.
fn node_index(node: NodeId) -> usize {
    usize::try_from(node.uuid().as_u128() - 1).unwrap_or(0)
}

impl Orchestrator {
    pub(crate) fn new(env: &mut Env, index: usize) -> Self {
        let clock = Clock::new(env, SKEW_MAX);
        let what = OnOrchestrator::Start;
        env.after(0, Event::Orchestrator { index, what });
        Self {
            index,
            life: 0,
            up: false,
            frozen: false,
            late: VecDeque::new(),
            clock,
            role: Role::Standby,
            rescuer: Rescuer::default(),
        }
    }

    fn after(&self, env: &mut Env, wait: u64, what: OnOrchestrator) {
        env.after(wait, Event::Orchestrator { index: self.index, what });
    }

    /// The core, while it leads.
    pub(crate) const fn core(&self) -> Option<&Core> {
        match &self.role {
            Role::Leading(leading) => Some(&leading.core),
            Role::Standby | Role::Taking { .. } | Role::Settling { .. } | Role::Loading { .. } => {
                None
            }
        }
    }

    /// Why jobs wait, for the message about a broken promise.
    pub(crate) fn explain(&self, env: &Env, db: &Db) -> String {
        let Some(core) = self.core() else {
            return format!("\norchestrator {} does not lead: {:?}", self.index, self.up);
        };
        let now = self.clock.wall(env.now);
        let whys = db.jobs.keys().filter_map(|job| Some((job, core.why(now, *job)?)));
        whys.map(|(job, why)| format!("\n{job}: {why:?}")).collect()
    }

    // ---- life ----

    pub(crate) fn crash(&mut self, env: &mut Env) {
        if !self.up {
            return;
        }
        self.up = false;
        self.frozen = false;
        self.late.clear();
        self.life += 1;
        self.role = Role::Standby;
        let long = env.rng.chance(100);
        let wait = env.rng.between(100, if long { 120_000 } else { 10_000 });
        self.after(env, wait, OnOrchestrator::Start);
    }

    pub(crate) fn freeze(&mut self, env: &mut Env) {
        if self.up && !self.frozen {
            env.stats.count(Kind::OrchestratorPause);
            self.frozen = true;
            let wait = env.rng.between(1_000, 90_000);
            self.after(env, wait, OnOrchestrator::Thaw);
        }
    }

    /// Faults are over.
    pub(crate) fn calm_down(&mut self, around: &mut Around<'_>) {
        self.on(around, OnOrchestrator::Thaw);
        self.on(around, OnOrchestrator::Start);
    }

    fn start(&mut self, env: &mut Env) {
        if self.up {
            return;
        }
        self.up = true;
        self.clock = Clock::new(env, SKEW_MAX);
        let wait = env.rng.between(0, 20);
        self.after(env, wait, OnOrchestrator::Tick { life: self.life });
    }

    /// Takes one event.
    pub(crate) fn on(&mut self, around: &mut Around<'_>, what: OnOrchestrator) {
        match what {
            OnOrchestrator::Start => self.start(around.env),
            OnOrchestrator::Crash { life } if life == self.life => self.crash(around.env),
            OnOrchestrator::Crash { .. } => {}
            OnOrchestrator::Thaw => {
                self.frozen = false;
                for late in std::mem::take(&mut self.late) {
                    self.on(around, late);
                }
            }
            what if self.frozen => self.late.push_back(what),
            OnOrchestrator::Message { way, payload } if self.up => {
                self.message(around.env, way, payload);
            }
            OnOrchestrator::Message { .. } => {}
            OnOrchestrator::Tick { life } if life == self.life => self.tick(around),
            OnOrchestrator::Load { life } if life == self.life => self.load(around),
            OnOrchestrator::Round { life } if life == self.life => self.round(around),
            OnOrchestrator::Told { life, transaction, outcome } if life == self.life => {
                self.told(around, transaction, outcome);
            }
            OnOrchestrator::Tick { .. }
            | OnOrchestrator::Load { .. }
            | OnOrchestrator::Round { .. }
            | OnOrchestrator::Told { .. } => {}
        }
    }

    // ---- the lead ----

    fn tick(&mut self, around: &mut Around<'_>) {
        self.after(around.env, 1_000, OnOrchestrator::Tick { life: self.life });
        let reachable = around.db.is_reachable(around.env, self.index);
        match &self.role {
            Role::Standby if reachable && around.db.wants_leader(around.env.now) => {
                let by = (self.index, self.life);
                let transaction = around.db.begin(around.env, by, Write::TakeLead);
                self.role = Role::Taking { transaction };
            }
            Role::Leading(leading) => {
                if reachable && !around.db.renew(around.env.now, leading.leader) {
                    return self.step_down(around.env);
                }
                self.take(around.env, Came::Input(Input::Tick));
                if reachable {
                    self.rescue(around);
                }
            }
            Role::Loading { leader, .. } | Role::Settling { leader, .. } => {
                if reachable && !around.db.renew(around.env.now, *leader) {
                    self.step_down(around.env);
                }
            }
            Role::Standby | Role::Taking { .. } => {}
        }
    }

    fn step_down(&mut self, env: &mut Env) {
        env.stats.count(Kind::OldLeaderRefused);
        env.stats.code(ErrorCode::NotLeader);
        self.role = Role::Standby;
    }

    fn load(&mut self, around: &mut Around<'_>) {
        let Role::Loading { leader, load } = self.role else { return };
        let fails = around.env.strikes(around.env.options.commit_fails);
        if fails || !around.db.is_reachable(around.env, self.index) {
            around.env.stats.count(Kind::LoadFailed);
            let wait = around.env.rng.between(100, 3_000);
            return self.after(around.env, wait, OnOrchestrator::Load { life: self.life });
        }
        let now = self.clock.wall(around.env.now);
        let core = Core::new(around.env.options.config(), around.db.snapshot(), now);
        core.check_invariants();
        let (came, pending) = (Vec::new(), None);
        self.role = Role::Leading(Box::new(Leading {
            leader,
            load,
            core,
            came,
            round_due: false,
            pending,
        }));
        // Joining is asked for again until it is recorded, as `mesh node join` does.
        for index in 0..crate::options::count(around.env.options.nodes) {
            let node = node_id(index);
            if !around.db.nodes.contains_key(&node) {
                let (name, public_key) = ("n".into(), "U".into());
                self.take(around.env, Came::Input(Input::NodeJoined { node, name, public_key }));
            }
        }
    }

    fn told(&mut self, around: &mut Around<'_>, transaction: u64, outcome: Outcome) {
        match &mut self.role {
            Role::Taking { transaction: asked } if *asked == transaction => match outcome {
                Outcome::Done(leader) => {
                    around.env.stats.count(Kind::LeadTaken);
                    self.settle(around, leader);
                }
                Outcome::NotLeader | Outcome::Unavailable => self.role = Role::Standby,
            },
            Role::Settling { leader, transaction: asked } if *asked == transaction => {
                let leader = *leader;
                match outcome {
                    Outcome::Done(load) => {
                        self.role = Role::Loading { leader, load };
                        self.load(around);
                    }
                    Outcome::NotLeader => self.step_down(around.env),
                    Outcome::Unavailable => self.settle(around, leader),
                }
            }
            Role::Leading(leading) => {
                if let Some(pending) = leading.pending.take_if(|p| p.transaction == transaction) {
                    self.round_told(around, pending, outcome);
                }
            }
            Role::Standby | Role::Taking { .. } | Role::Settling { .. } | Role::Loading { .. } => {}
        }
    }

    /// What became of the last round is unknown, and it may still come to pass.
    fn start_over(&mut self, around: &mut Around<'_>, leader: u64, load: u64) {
        if around.env.options.bug == Some(Bug::ReloadUnderOldLead) {
            self.role = Role::Loading { leader, load };
            return self.load(around);
        }
        around.env.stats.count(Kind::Settled);
        self.settle(around, leader);
    }

    /// Begins a load behind whatever the database has begun, and shuts out what it has not heard of yet;
    /// what is loaded after that is final.
    fn settle(&mut self, around: &mut Around<'_>, leader: u64) {
        let by = (self.index, self.life);
        let transaction = around.db.begin(around.env, by, Write::Settle { leader });
        self.role = Role::Settling { leader, transaction };
    }

    // ---- coming in ----

    fn message(&mut self, env: &mut Env, way: Way, payload: Payload) {
        let node = match way {
            Way::Up { node } => node,
            Way::Http { .. } | Way::Down { .. } => 0,
        };
        match payload {
            Payload::Request { client, ask, request } => self.request(env, client, ask, request),
            Payload::Hello { ask, report } => {
                self.rescuer.heard(env, report.node);
                self.take(env, Came::Hello { node, ask, input: Input::NodeHello(report) });
            }
            Payload::Beat(beat) => {
                self.rescuer.heard(env, beat.node);
                self.take(env, Came::Input(Input::NodeBeat(beat)));
            }
            Payload::Events(events) => self.take(env, Came::Input(Input::NodeEvents(events))),
            Payload::Ask { ask, attempt, wanted } => {
                self.take(env, Came::Ask { node, ask, attempt, wanted });
            }
            Payload::Welcome { .. }
            | Payload::Commands(_)
            | Payload::Answered { .. }
            | Payload::Answer { .. } => {}
        }
    }

    fn request(&mut self, env: &mut Env, client: usize, ask: u64, request: Request) {
        let code = match &self.role {
            Role::Leading(_) => return self.take(env, Came::Client { client, ask, request }),
            Role::Standby | Role::Taking { .. } => ErrorCode::NotLeader,
            Role::Settling { .. } | Role::Loading { .. } => ErrorCode::StoreDown,
        };
        self.refuse(env, client, ask, code);
    }

    fn refuse(&self, env: &mut Env, client: usize, ask: u64, code: ErrorCode) {
        env.stats.code(code);
        let way = Way::Http { orchestrator: self.index };
        env.send(way, Payload::Answer { client, ask, answer: Err(code) });
    }

    /// Keeps what came for the next round; nobody but a leader has use for it.
    fn take(&mut self, env: &mut Env, came: Came) {
        let Role::Leading(leading) = &mut self.role else { return };
        leading.came.push(came);
        if !leading.round_due && leading.pending.is_none() {
            leading.round_due = true;
            let wait = env.rng.between(0, 3);
            self.after(env, wait, OnOrchestrator::Round { life: self.life });
        }
    }
}
