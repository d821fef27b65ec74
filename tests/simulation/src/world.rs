//! One seed's world: the real cores, their modelled shells and surroundings, first with faults and then
//! without.

use mesh_core::NodeSetting;

use crate::{
    client::Client,
    db::Db,
    env::{Env, Event, Link, Message, Payload, Way},
    machine::{self, Machine, OnNode},
    models::Landed,
    objects::Objects,
    options::{Options, count},
    orchestrator::{self, OnOrchestrator, Orchestrator, node_id},
    results,
    stats::{Kind, Stats},
};

/// How long after the last fault all must have come to its end, in milliseconds.
const CALM_MS: u64 = 600_000;
/// How often that is looked at, in milliseconds.
const CHECK_MS: u64 = 5_000;

/// How a seed ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The first broken promise.
    pub broken: Option<String>,
    /// What came to pass how often.
    pub stats: Stats,
    /// The same for the same seed and options.
    pub trace: u64,
}

/// Runs one world to its end.
pub fn run(options: Options) -> Outcome {
    let mut world = World::new(options);
    world.run();
    Outcome {
        broken: world.env.observer.broken.clone(),
        stats: world.env.stats,
        trace: world.env.trace,
    }
}

/// The rounds that were carried out in one world.
pub(crate) fn rounds_of(options: Options) -> Vec<Landed> {
    let mut world = World::new(options);
    world.tape = Some(Vec::new());
    world.run();
    world.tape.unwrap_or_default()
}

struct World {
    env: Env,
    db: Db,
    objects: Objects,
    orchestrators: Vec<Orchestrator>,
    machines: Vec<Machine>,
    clients: Vec<Client>,
    /// The rounds that were carried out, for whoever wants them.
    tape: Option<Vec<Landed>>,
    calm_since: u64,
    over: bool,
}

impl World {
    fn new(options: Options) -> Self {
        let mut env = Env::new(options);
        let orchestrators = 0..count(env.options.orchestrators);
        let orchestrators = orchestrators.map(|index| Orchestrator::new(&mut env, index)).collect();
        let machines = 0..count(env.options.nodes);
        let machines = machines.map(|index| Machine::new(&mut env, index)).collect();
        let clients = 0..count(env.options.clients);
        let clients: Vec<Client> = clients.map(|index| Client::new(&mut env, index)).collect();
        for client in 0..clients.len() {
            let wait = env.rng.between(0, 10_000);
            env.after(wait, Event::Client { client });
        }
        env.after(5_000, Event::Fault);
        let faults = env.options.faults_ms;
        env.after(faults, Event::Calm);
        let (db, objects) = (Db::default(), Objects::default());
        let (tape, calm_since, over) = (None, 0, false);
        Self { env, db, objects, orchestrators, machines, clients, tape, calm_since, over }
    }

    fn run(&mut self) {
        while !self.over && self.env.observer.broken.is_none() {
            let Some(event) = self.env.next() else { return };
            self.step(event);
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Arrive { wipes, message } => self.arrive(wipes, message),
            Event::Orchestrator { index, what } => self.on_orchestrator(index, what),
            Event::Node { index, what } => self.on_node(index, what),
            Event::Land { transaction } => {
                if let Some(changes) = self.db.land(&mut self.env, transaction) {
                    results::committed(&mut self.env, &self.objects, &changes);
                    if let Some(tape) = &mut self.tape {
                        let (leader, load) = self.db.lead();
                        tape.push(Landed { leader, load, changes });
                    }
                }
            }
            Event::Uploaded { key, bytes } => self.objects.land(&mut self.env, key, bytes),
            Event::Heal(link) => {
                self.env.heal(link);
                if let Link::ToNode(node) | Link::FromNode(node) = link {
                    self.machines[node].reconnected(&mut self.env);
                }
            }
            Event::Client { client } => self.clients[client].act(&mut self.env),
            Event::Fault => self.fault(),
            Event::Calm => self.calm(),
            Event::Check => self.check(),
        }
    }

    fn on_orchestrator(&mut self, index: usize, what: OnOrchestrator) {
        let Self { env, db, objects, .. } = self;
        let mut around = orchestrator::Around { env, db, objects };
        self.orchestrators[index].on(&mut around, what);
    }

    fn on_node(&mut self, index: usize, what: OnNode) {
        let Self { env, db, objects, .. } = self;
        self.machines[index].on(&mut machine::Around { env, db, objects }, what);
    }

    fn arrive(&mut self, wipes: u32, message: Message) {
        let Some(message) = self.env.delivered(wipes, message) else { return };
        let Message { way, payload } = message;
        match (way, payload) {
            (_, Payload::Answer { client, ask, answer }) => {
                self.clients[client].answered(&mut self.env, ask, &answer);
            }
            (Way::Down { node, .. }, payload) => self.on_node(node, OnNode::Message(payload)),
            (Way::Http { orchestrator }, payload) => {
                self.on_orchestrator(orchestrator, OnOrchestrator::Message { way, payload });
            }
            (Way::Up { .. }, payload) => {
                for index in 0..self.orchestrators.len() {
                    let payload = payload.clone();
                    if self.env.is_cut(Link::Orchestrator(index)) {
                        self.env.blocked(Message { way, payload });
                    } else {
                        self.on_orchestrator(index, OnOrchestrator::Message { way, payload });
                    }
                }
            }
        }
    }

    fn fault(&mut self) {
        if self.env.calm {
            return;
        }
        let wait = self.env.rng.between(1, 2 * self.env.options.fault_every_ms);
        self.env.after(wait, Event::Fault);
        let node = self.env.rng.index(self.machines.len());
        let orchestrator = self.env.rng.index(self.orchestrators.len());
        let Self { env, db, objects, .. } = self;
        let (machine, leader) = (&mut self.machines[node], &mut self.orchestrators[orchestrator]);
        match env.rng.between(0, 29) {
            0 | 1 => {
                env.stats.count(Kind::OrchestratorCrash);
                leader.crash(env);
            }
            2 | 3 => leader.freeze(env),
            4 => env.wipe_broker(),
            5 | 6 => env.replay(),
            7 | 8 => {
                env.stats.count(Kind::Partition);
                let wait = env.rng.between(500, 90_000);
                env.cut(Link::ToNode(node), wait);
                env.cut(Link::FromNode(node), wait);
            }
            9 => {
                env.stats.count(Kind::PartitionOneWay);
                let one_way =
                    if env.rng.chance(500) { Link::ToNode(node) } else { Link::FromNode(node) };
                let wait = env.rng.between(500, 60_000);
                env.cut(one_way, wait);
            }
            10 => {
                env.stats.count(Kind::OrchestratorCut);
                let wait = env.rng.between(500, 40_000);
                env.cut(Link::Orchestrator(orchestrator), wait);
            }
            11 => {
                env.stats.count(Kind::DatabaseCut);
                let wait = env.rng.between(500, 40_000);
                env.cut(Link::Database(orchestrator), wait);
            }
            12 => db.restart(env),
            13 => {
                env.stats.count(Kind::StoreCut);
                let wait = env.rng.between(500, 60_000);
                env.cut(Link::NodeToStore(node), wait);
            }
            14 => objects.stop(env),
            15..=17 => machine.crash_agent(env),
            18 => machine.crash_supervisor(env),
            19 | 20 => machine.cut_power(env, false),
            21 => machine.cut_power(env, true),
            22 => machine.fill_disk(env),
            23 => machine.set_clock(env),
            24 => machine.drain(&mut machine::Around { env, db, objects }),
            25 => machine.spoil(env),
            26 => objects.lie(env),
            _ => machine.freeze(env),
        }
    }

    fn calm(&mut self) {
        self.env.calm_down();
        self.calm_since = self.env.now;
        self.db.calm_down();
        self.objects.calm_down();
        let Self { env, db, objects, .. } = self;
        for orchestrator in &mut self.orchestrators {
            orchestrator.calm_down(&mut orchestrator::Around { env, db, objects });
        }
        for machine in &mut self.machines {
            machine.calm_down(&mut machine::Around { env, db, objects });
        }
        for client in &mut self.clients {
            client.calm_down(env);
        }
        env.after(CHECK_MS, Event::Check);
    }

    /// All has come to its end, or it is overdue.
    fn check(&mut self) {
        let content = self.clients.iter().all(Client::is_content);
        let ended = self.db.jobs.values().all(|job| job.progress.state.is_terminal());
        let restless: Vec<&Machine> = self
            .machines
            .iter()
            .filter(|machine| !machine.is_at_rest() && !self.is_revoked(machine.index))
            .collect();
        let quiet = content && ended && restless.is_empty();
        if !quiet && self.env.now - self.calm_since <= CALM_MS {
            self.resume_all();
            return self.env.after(CHECK_MS, Event::Check);
        }
        self.over = true;
        let nodes: String = restless.iter().map(|machine| machine.explain()).collect();
        let restful = restless.is_empty();
        self.env.observer.check_end(&self.db);
        if !content {
            self.env.observer.broken("I13", &"a client has no answer");
        }
        if !restful {
            self.env.observer.broken("I13", &"a node still holds what is over");
        }
        let whys: String =
            self.orchestrators.iter().map(|one| one.explain(&self.env, &self.db)).collect();
        if let Some(broken) = &mut self.env.observer.broken {
            broken.push_str(&whys);
            broken.push_str(&nodes);
        }
    }

    fn is_revoked(&self, node: usize) -> bool {
        let record = self.db.nodes.get(&node_id(node));
        record.is_some_and(|node| node.setting == NodeSetting::Revoked)
    }

    /// A request of before the calm may have come late and paused a node again.
    fn resume_all(&mut self) {
        let idle = |node: &mesh_core::NodeRecord| {
            !matches!(node.setting, NodeSetting::Active | NodeSetting::Revoked)
        };
        if self.db.nodes.values().any(idle) && self.clients[0].is_content() {
            self.clients[0].calm_down(&self.env);
        }
    }
}
