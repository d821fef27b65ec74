//! What all actors of a world share: time, chance, the queue of what is to come, and the broker.

mod broker;

use std::collections::{BTreeMap, VecDeque};

use mesh_core::Reply;
use mesh_schemas::{
    AttemptKey, ErrorCode, JobId,
    manifest::PackRef,
    message::{NodeBeat, NodeCommands, NodeEvents, NodeReport},
};

use crate::{
    client::Request,
    machine::OnNode,
    observer::Observer,
    options::{Options, count},
    orchestrator::OnOrchestrator,
    rng::Rng,
    stats::{Kind, Stats},
};

/// Something that is to happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A message arrives, unless the broker was wiped since.
    Arrive { wipes: u32, message: Message },
    /// Something happens to an orchestrator, or in it.
    Orchestrator { index: usize, what: OnOrchestrator },
    /// The database carries out a transaction.
    Land { transaction: u64 },
    /// An upload that was given up comes to its end.
    Uploaded { key: String, bytes: Vec<u8> },
    /// Something happens to a machine, or on it.
    Node { index: usize, what: OnNode },
    /// Somebody is reachable again.
    Heal(Link),
    /// A client does its next thing, or asks again.
    Client { client: usize },
    /// Something breaks.
    Fault,
    /// Faults are over.
    Calm,
    /// Has all come to its end?
    Check,
}

/// A way between two parts that may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// From the broker to a node.
    ToNode(usize),
    /// From a node to the broker.
    FromNode(usize),
    /// Between a node and the object store.
    NodeToStore(usize),
    /// Between an orchestrator and the broker.
    Orchestrator(usize),
    /// Between an orchestrator and the database.
    Database(usize),
}

/// Which links are cut.
#[derive(Debug)]
pub(crate) struct Cuts {
    to_node: Vec<bool>,
    from_node: Vec<bool>,
    node_to_store: Vec<bool>,
    orchestrator: Vec<bool>,
    database: Vec<bool>,
}

impl Cuts {
    fn new(options: &Options) -> Self {
        let (nodes, orchestrators) = (count(options.nodes), count(options.orchestrators));
        Self {
            to_node: vec![false; nodes],
            from_node: vec![false; nodes],
            node_to_store: vec![false; nodes],
            orchestrator: vec![false; orchestrators],
            database: vec![false; orchestrators],
        }
    }

    fn of(&mut self, link: Link) -> &mut bool {
        match link {
            Link::ToNode(index) => &mut self.to_node[index],
            Link::FromNode(index) => &mut self.from_node[index],
            Link::NodeToStore(index) => &mut self.node_to_store[index],
            Link::Orchestrator(index) => &mut self.orchestrator[index],
            Link::Database(index) => &mut self.database[index],
        }
    }

    fn heal_all(&mut self) {
        for cut in [
            &mut self.to_node,
            &mut self.from_node,
            &mut self.node_to_store,
            &mut self.orchestrator,
            &mut self.database,
        ] {
            cut.fill(false);
        }
    }
}

/// A message under way.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) way: Way,
    pub(crate) payload: Payload,
}

/// From whom to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// From a node to whoever leads, or believes so.
    Up { node: usize },
    /// From an orchestrator to a node.
    Down { orchestrator: usize, node: usize },
    /// Between a client and an orchestrator.
    Http { orchestrator: usize },
}

/// What a message says.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    // Up.
    Hello { ask: u64, report: Box<NodeReport> },
    Beat(Box<NodeBeat>),
    Events(Box<NodeEvents>),
    Ask { ask: u64, attempt: AttemptKey, wanted: Wanted },
    // Down.
    Welcome { ask: u64, leader: u64, recorded_seq: u64 },
    Commands(Box<NodeCommands>),
    Answered { ask: u64, attempt: AttemptKey, answer: Result<(), ErrorCode> },
    // Http.
    Request { client: usize, ask: u64, request: Request },
    Answer { client: usize, ask: u64, answer: Result<Reply, ErrorCode> },
}

/// What a node asks for an attempt's uploads.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// A URL to put an object.
    PutUrl,
    /// To know that objects are there.
    Check(Vec<PackRef>),
}

/// What all actors share.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) options: Options,
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) stats: Stats,
    pub(crate) observer: Observer,
    /// Faults are over.
    pub(crate) calm: bool,
    /// A hash over everything that came to pass.
    pub(crate) trace: u64,
    cuts: Cuts,
    queue: BTreeMap<(u64, u64), Event>,
    count: u64,
    wipes: u32,
    history: VecDeque<Message>,
    /// What was sent, or under way, while its way was cut, and is not given up.
    held: Vec<Message>,
    /// Jobs that clients know of, for others to wait for.
    pub(crate) known_jobs: Vec<JobId>,
}

impl Env {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            rng: Rng::new(options.seed),
            cuts: Cuts::new(&options),
            options,
            now: 0,
            stats: Stats::default(),
            observer: Observer::default(),
            calm: false,
            trace: 0xcbf2_9ce4_8422_2325,
            queue: BTreeMap::new(),
            count: 0,
            wipes: 0,
            history: VecDeque::new(),
            held: Vec::new(),
            known_jobs: Vec::new(),
        }
    }

    /// Lets something happen after a while.
    pub(crate) fn after(&mut self, millis: u64, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + millis, self.count), event);
    }

    /// The next thing, its time being now.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((time, count), event) = self.queue.pop_first()?;
        self.now = time;
        self.stats.count(Kind::Step);
        self.mix(time);
        self.mix(count);
        Some(event)
    }

    /// Takes a number into the trace's hash.
    pub(crate) const fn mix(&mut self, number: u64) {
        self.trace = (self.trace ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }

    /// True so many times in a thousand while there are faults; the chance is not even taken after.
    pub(crate) fn strikes(&mut self, per_mille: u64) -> bool {
        !self.calm && self.rng.chance(per_mille)
    }

    // ---- links ----

    /// Cuts a link for a while.
    pub(crate) fn cut(&mut self, link: Link, millis: u64) {
        *self.cuts.of(link) = true;
        self.after(millis, Event::Heal(link));
    }

    pub(crate) fn heal(&mut self, link: Link) {
        *self.cuts.of(link) = false;
        self.release();
    }

    pub(crate) fn is_cut(&mut self, link: Link) -> bool {
        *self.cuts.of(link)
    }

    pub(crate) fn calm_down(&mut self) {
        self.calm = true;
        self.cuts.heal_all();
        self.release();
    }
}
