//! One seed from its beginning to its end.

use super::{
    db::{Db, Log},
    env::{Env, Event, Step},
    faults,
    follower::Follower,
    instance::Instance,
    keys::Keys,
    observer::Observer,
    options::Options,
    outside::{Objects, Stream, WitnessSide},
    people::Item,
    stats::Stats,
};
use mesh_schemas::idea::IdeaId;

/// Steps after which a world is taken to be going round in circles.
const STEPS_MAX: u64 = 3_000_000;

/// What a seed led to.
#[derive(Debug)]
pub struct Outcome {
    /// The first broken promise.
    pub broken: Option<String>,
    /// What came to pass.
    pub stats: Stats,
    /// A hash over everything that came to pass.
    pub trace: u64,
}

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) env: Env,
    pub(super) keys: &'static Keys,
    pub(super) db: Db,
    pub(super) objects: Objects,
    pub(super) stream: Stream,
    pub(super) witness: WitnessSide,
    pub(super) instances: Vec<Instance>,
    pub(super) items: Vec<Item>,
    /// How many entries each author will still file.
    pub(super) to_file: Vec<u64>,
    pub(super) known: Vec<IdeaId>,
    pub(super) followers: Vec<Follower>,
    pub(super) observer: Observer,
    /// The version of the origin that the registry's key is for.
    pub(super) identity: u32,
    /// The database is of another log than the key.
    pub(super) mixed_up: bool,
    pub(super) restores: u64,
    pub(super) calm_at: u64,
}

/// Runs a seed.
pub fn run(options: Options) -> Outcome {
    let mut world = World::new(options);
    world.begin();
    while let Some(event) = world.env.next() {
        let over = world.on(event);
        if over || world.env.broken.is_some() {
            break;
        }
        if world.env.stats.get(super::Kind::Step) > STEPS_MAX {
            world.env.broken("A10", "the world goes round in circles");
        }
    }
    let Env { broken, stats, trace, .. } = world.env;
    Outcome { broken, stats, trace }
}

impl World {
    fn new(options: Options) -> Self {
        let keys = Keys::get();
        let many = |figure: u64| 0..figure;
        let mut db = Db::default();
        let mut log = Log { version: 1, ..Log::default() };
        if options.grown == 0 {
            let (leaves, ledger) = keys.grown.clone();
            log = Log { leaves, ledger, ..log };
        }
        db.tables.logs.push(log);
        db.backups.push(db.tables.clone());
        Self {
            keys,
            db,
            objects: Objects::default(),
            stream: Stream::default(),
            witness: WitnessSide::new(keys),
            instances: many(options.instances).map(|_| Instance::default()).collect(),
            items: Vec::new(),
            to_file: many(options.authors).map(|_| options.entries).collect(),
            known: Vec::new(),
            followers: many(options.followers).map(|_| Follower::default()).collect(),
            observer: Observer::default(),
            identity: 1,
            mixed_up: false,
            restores: options.restores,
            calm_at: u64::MAX,
            env: Env::new(options),
        }
    }

    fn begin(&mut self) {
        for index in 0..self.instances.len() {
            let wait = self.env.rng.between(1, 300);
            self.step_after(index, wait, Step::Start);
        }
        for author in 0..self.to_file.len() {
            self.env.after(10, Event::Author { author });
        }
        for follower in 0..self.followers.len() {
            self.env.after(500, Event::Look { follower });
        }
        let faults_ms = self.env.options.faults_ms;
        self.env.after(faults_ms, Event::Calm);
        self.env.after(1_000, Event::Fault);
        self.env.after(1_000, Event::Operator);
        self.env.after(1_000, Event::Backup);
    }

    /// True when the world is over.
    fn on(&mut self, event: Event) -> bool {
        match event {
            Event::Instance { index, life, step } => self.on_step(index, life, step),
            Event::Land { transaction } => self.db.land(&mut self.env, transaction),
            Event::Told { index, life, of, came } => self.on_told(index, life, of, came),
            Event::Asked { index, item } => self.on_asked(index, item),
            Event::Answered { item, answer, restored } => self.on_answered(item, answer, restored),
            Event::Unanswered { item } => self.on_unanswered(item),
            Event::Author { author } => self.on_author(author),
            Event::Look { follower } => self.on_look(follower),
            Event::PutLate { put } => self.objects.land(&mut self.env, put),
            Event::Backup => faults::backup(self),
            Event::Operator => faults::operate(self),
            Event::DatabaseBack => self.db.down = false,
            Event::Fault => faults::strike(self),
            Event::Calm => faults::calm_down(self),
            Event::Check => return self.on_check(),
        }
        false
    }
}
