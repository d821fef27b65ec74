//! One seed's world: the real core, modelled nodes, clients, broker and database, first with faults and then
//! without.

use mesh_core::NodeSetting;

use crate::{
    client::Client,
    env::{Env, Event, Message, Payload},
    node::Node,
    options::Options,
    shell::Shell,
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

struct World {
    env: Env,
    shell: Shell,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    calm_since: u64,
    over: bool,
}

impl World {
    fn new(options: Options) -> Self {
        let mut env = Env::new(options);
        let mut shell = Shell::new(&mut env);
        let nodes: Vec<Node> =
            (0..env.options.nodes).map(|index| Node::new(&mut env, index)).collect();
        for node in 0..nodes.len() {
            env.after(10, Event::Beat { node });
        }
        let clients: Vec<Client> =
            (0..env.options.clients).map(|index| Client::new(&mut env, index)).collect();
        for client in 0..clients.len() {
            let wait = env.rng.between(0, 10_000);
            env.after(wait, Event::Client { client });
        }
        for node in &nodes {
            shell.join(&mut env, node.id);
        }
        env.after(5_000, Event::Fault);
        let faults = env.options.faults_ms;
        env.after(faults, Event::Calm);
        Self { env, shell, nodes, clients, calm_since: 0, over: false }
    }

    fn run(&mut self) {
        while !self.over && self.env.observer.broken.is_none() {
            let Some(event) = self.env.next() else { return };
            self.step(event);
        }
    }

    fn step(&mut self, event: Event) {
        let env = &mut self.env;
        match event {
            Event::Arrive { wipes, message } => self.arrive(wipes, message),
            Event::Round => self.shell.round(env),
            Event::Tick { life } => self.shell.tick(env, life),
            Event::StartOrchestrator => {
                self.shell.start(env);
                self.join_all();
            }
            Event::Beat { node } => self.nodes[node].beat(env),
            Event::Send { node } => self.nodes[node].send(env),
            Event::Due { node, due } => self.nodes[node].due(env, due),
            Event::NodeUp { node } => self.nodes[node].go_on(env),
            Event::Reachable { node } => env.cut[node] = false,
            Event::Client { client } => self.clients[client].act(env),
            Event::Fault => self.fault(),
            Event::Calm => self.calm(),
            Event::Check => self.check(),
        }
    }

    /// Joining is asked for again until it is recorded, as `mesh node join` does.
    fn join_all(&mut self) {
        for node in &self.nodes {
            if !self.shell.db.nodes.contains_key(&node.id) {
                self.shell.join(&mut self.env, node.id);
            }
        }
    }

    fn arrive(&mut self, wipes: u32, message: Message) {
        if self.env.is_lost(wipes, &message) {
            return self.env.stats.count(Kind::Dropped);
        }
        match message.payload {
            payload @ (Payload::Welcome { .. } | Payload::Command(_)) => {
                if let Some(node) = message.link {
                    self.nodes[node].arrive(&mut self.env, payload);
                }
            }
            Payload::Answer { client, ask, answer } => {
                self.clients[client].answered(&mut self.env, ask, &answer);
            }
            payload @ (Payload::Hello { .. }
            | Payload::Beat(_)
            | Payload::Events(_)
            | Payload::Request { .. }) => self.shell.arrive(&mut self.env, message.link, payload),
        }
    }

    fn fault(&mut self) {
        let env = &mut self.env;
        if env.calm {
            return;
        }
        let wait = env.rng.between(1, 2 * env.options.fault_every_ms);
        env.after(wait, Event::Fault);
        let node = env.rng.index(self.nodes.len());
        match env.rng.between(0, 11) {
            0 => {
                env.stats.count(Kind::OrchestratorCrash);
                self.shell.crash(env);
            }
            1 => self.shell.pause(env),
            2 => env.wipe_broker(),
            3 => env.replay(),
            4 | 5 => {
                env.stats.count(Kind::Partition);
                env.cut[node] = true;
                let wait = env.rng.between(500, 90_000);
                env.after(wait, Event::Reachable { node });
            }
            6 if self.nodes[node].up => self.nodes[node].crash_agent(env),
            7 => self.nodes[node].crash_machine(env, false),
            8 => {
                let wiped = env.rng.chance(500);
                self.nodes[node].crash_machine(env, wiped);
            }
            9 | 10 => self.nodes[node].freeze(env),
            _ => env.replay(),
        }
    }

    fn calm(&mut self) {
        let env = &mut self.env;
        env.calm = true;
        self.calm_since = env.now;
        env.cut.fill(false);
        self.shell.go_on();
        self.shell.start(env);
        self.join_all();
        for node in &mut self.nodes {
            node.go_on(&mut self.env);
        }
        for client in &mut self.clients {
            client.calm_down(&self.env);
        }
        self.env.after(CHECK_MS, Event::Check);
    }

    /// All has come to its end, or it is overdue.
    fn check(&mut self) {
        let quiet = self.clients.iter().all(Client::is_content)
            && self.shell.db.jobs.values().all(|job| job.progress.state.is_terminal());
        let overdue = self.env.now - self.calm_since > CALM_MS;
        if quiet || overdue {
            self.over = true;
            self.env.observer.check_end(&self.shell.db);
            let why = self.shell.explain(&self.env);
            if let Some(broken) = &mut self.env.observer.broken {
                broken.push_str(&why);
            }
            if !self.clients.iter().all(Client::is_content) && self.env.observer.broken.is_none() {
                self.env.observer.broken = Some("I13: a client has no answer".into());
            }
            return;
        }
        self.resume_all();
        self.env.after(CHECK_MS, Event::Check);
    }

    /// A request of before the calm may have come late and paused a node again.
    fn resume_all(&mut self) {
        let idle = self
            .shell
            .db
            .nodes
            .values()
            .any(|node| !matches!(node.setting, NodeSetting::Active | NodeSetting::Revoked));
        if idle && self.clients[0].is_content() {
            self.clients[0].calm_down(&self.env);
        }
    }
}
