//! What all actors of a world share: time, chance, the queue of what is to come, and the broker.

use std::collections::{BTreeMap, VecDeque};

use mesh_core::{Rejected, Reply};
use mesh_schemas::{
    AttemptKey, JobId,
    message::{NodeBeat, NodeCommand, NodeEvents, NodeReport},
};

use crate::{
    client::Request,
    observer::Observer,
    options::Options,
    rng::Rng,
    stats::{Kind, Stats},
};

/// Old messages that may come once more.
const REMEMBERED: usize = 64;

/// Something that is to happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A message arrives, unless the broker was wiped since.
    Arrive { wipes: u32, message: Message },
    /// The orchestrator goes through a round.
    Round,
    /// A second has passed for the orchestrator of this life.
    Tick { life: u32 },
    /// The orchestrator starts again.
    StartOrchestrator,
    /// A node beats.
    Beat { node: usize },
    /// A node looks for events to send, and sends unconfirmed ones again.
    Send { node: usize },
    /// Something about an attempt is due, in this life of its machine.
    Due { node: usize, due: Due },
    /// A node's agent or machine is there again, or goes on.
    NodeUp { node: usize },
    /// A node is reachable again.
    Reachable { node: usize },
    /// A client does its next thing, or asks again.
    Client { client: usize },
    /// Something breaks.
    Fault,
    /// Faults are over.
    Calm,
    /// Has all come to its end?
    Check,
}

/// Something about an attempt that is due on its node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    /// The machine's life in which it is.
    pub(crate) life: u32,
    pub(crate) attempt: AttemptKey,
    pub(crate) what: What,
}

/// What is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// Its command ends by itself.
    Done,
    /// It stores output.
    Stores,
    /// It was asked to end, and does.
    Stops,
}

/// A message under way.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The node at one of its ends; clients have none.
    pub(crate) link: Option<usize>,
    /// What it says.
    pub(crate) payload: Payload,
}

/// What a message says.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Hello { ask: u64, report: Box<NodeReport> },
    Beat(Box<NodeBeat>),
    Events(Box<NodeEvents>),
    Welcome { ask: u64, recorded_seq: u64 },
    Command(Box<NodeCommand>),
    Request { client: usize, ask: u64, request: Request },
    Answer { client: usize, ask: u64, answer: Result<Reply, Rejected> },
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
    /// Nodes that are cut off.
    pub(crate) cut: Vec<bool>,
    /// A hash over everything that came to pass.
    pub(crate) trace: u64,
    queue: BTreeMap<(u64, u64), Event>,
    count: u64,
    wipes: u32,
    history: VecDeque<Message>,
    /// Jobs that clients know of, for others to wait for.
    pub(crate) known_jobs: Vec<JobId>,
}

impl Env {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            rng: Rng::new(options.seed),
            cut: vec![false; options.nodes],
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
    pub(crate) fn mix(&mut self, number: u64) {
        self.trace = (self.trace ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }

    /// Gives a message to the broker, which may do with it as it likes.
    pub(crate) fn send(&mut self, link: Option<usize>, payload: Payload) {
        let message = Message { link, payload };
        if link.is_some_and(|node| self.cut[node]) {
            return;
        }
        if self.calm {
            let delay = self.rng.between(1, 5);
            return self.arrive(delay, message);
        }
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back(message.clone());
        if self.rng.chance(self.options.drop) {
            return self.stats.count(Kind::Dropped);
        }
        if self.rng.chance(self.options.double) {
            self.stats.count(Kind::Doubled);
            let delay = self.delay();
            self.arrive(delay, message.clone());
        }
        let delay = self.delay();
        self.arrive(delay, message);
    }

    fn arrive(&mut self, delay: u64, message: Message) {
        let wipes = self.wipes;
        self.after(delay, Event::Arrive { wipes, message });
    }

    fn delay(&mut self) -> u64 {
        if self.rng.chance(self.options.slow) {
            self.stats.count(Kind::Slowed);
            return self.rng.between(20, 15_000);
        }
        self.rng.between(1, 20)
    }

    /// True when a message of before the last wipe, or over a cut, does not arrive.
    pub(crate) fn is_lost(&self, wipes: u32, message: &Message) -> bool {
        wipes != self.wipes || message.link.is_some_and(|node| self.cut[node])
    }

    /// All that is under way is gone.
    pub(crate) fn wipe_broker(&mut self) {
        self.stats.count(Kind::BrokerWiped);
        self.wipes += 1;
        self.history.clear();
    }

    /// Old messages come once more.
    pub(crate) fn replay(&mut self) {
        for _ in 0..self.rng.between(1, 16) {
            if self.history.is_empty() {
                return;
            }
            let index = self.rng.index(self.history.len());
            let message = self.history[index].clone();
            let delay = self.rng.between(1, 3_000);
            self.stats.count(Kind::Replayed);
            self.arrive(delay, message);
        }
    }
}
