//! What all of a world share: time, chance, what is to come, and the first broken promise.

use std::collections::BTreeMap;

use mesh_schemas::{Timestamp, idea::Appended};

use super::{
    options::Options,
    planted::Bug,
    stats::{Kind, Stats},
};
use crate::rng::Rng;

/// What a right wall clock shows at the world's beginning.
const BEGIN: i64 = 1_800_000_000_000;

/// Something that is to happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A registry does its next step, if it is still in this life.
    Instance { index: usize, life: u32, step: Step },
    /// A transaction lands.
    Land { transaction: u64 },
    /// Who began a transaction is told what became of it, as far as it can be told.
    Told { index: usize, life: u32, of: Of, came: Came },
    /// An entry arrives at a registry.
    Asked { index: usize, item: usize },
    /// An answer arrives at its author, which was given so many restores ago.
    Answered { item: usize, answer: Answer, restored: usize },
    /// Nobody answered the orchestrator in time.
    Unanswered { item: usize },
    /// An author does its next thing.
    Author { author: usize },
    /// A client looks at the log.
    Look { follower: usize },
    /// An upload that was given up lands.
    PutLate { put: u64 },
    /// A backup is made.
    Backup,
    /// The operator looks whether a log is halted.
    Operator,
    /// The database answers again.
    DatabaseBack,
    /// Something breaks.
    Fault,
    /// Faults are over.
    Calm,
    /// Has all come to its end?
    Check,
}

/// What a registry does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Start,
    Write,
    Read,
    Integrate,
    Copy,
    Witness,
}

/// Whose transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Start,
    Append,
    Row,
    Cursor,
    Cosigned,
}

/// What is known of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    ToPass,
    /// It failed, or nobody knows.
    Unknown,
}

/// What an author is told.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Durable.
    Appended { version: u32, appended: Box<Appended> },
    /// A rule is broken, and stays so.
    Refused,
    /// It may be otherwise later.
    NotNow,
}

/// What all share.
#[derive(Debug)]
pub(super) struct Env {
    pub(super) options: Options,
    pub(super) now: u64,
    pub(super) rng: Rng,
    pub(super) stats: Stats,
    pub(super) calm: bool,
    /// The first broken promise.
    pub(super) broken: Option<String>,
    /// A hash over everything that came to pass.
    pub(super) trace: u64,
    queue: BTreeMap<(u64, u64), Event>,
    count: u64,
}

impl Env {
    pub(super) fn new(options: Options) -> Self {
        Self {
            rng: Rng::new(options.seed),
            options,
            now: 0,
            stats: Stats::default(),
            calm: false,
            broken: None,
            trace: 0xcbf2_9ce4_8422_2325,
            queue: BTreeMap::new(),
            count: 0,
        }
    }

    pub(super) fn after(&mut self, millis: u64, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + millis, self.count), event);
    }

    /// The next thing, its time being now.
    pub(super) fn next(&mut self) -> Option<Event> {
        let ((time, count), event) = self.queue.pop_first()?;
        self.now = time;
        self.stats.count(Kind::Step);
        let mixed = self.trace ^ time ^ count.rotate_left(32);
        self.trace = mixed.wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
        Some(event)
    }

    /// True so many times in a thousand while there are faults.
    pub(super) fn strikes(&mut self, per_mille: u64) -> bool {
        !self.calm && self.rng.chance(per_mille)
    }

    /// The same, and counted.
    pub(super) fn strikes_as(&mut self, per_mille: u64, kind: Kind) -> bool {
        let strikes = self.strikes(per_mille);
        if strikes {
            self.stats.count(kind);
        }
        strikes
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.options.bug == Some(bug)
    }

    /// The true time.
    pub(super) fn time(&self) -> Timestamp {
        self.wall(0)
    }

    /// What a clock shows that is off by so much.
    pub(super) fn wall(&self, skew: i64) -> Timestamp {
        Timestamp::from_millis(BEGIN + i64::try_from(self.now).unwrap_or(0) + skew)
    }

    /// A promise is broken; the first one counts.
    pub(super) fn broken(&mut self, promise: &str, what: impl std::fmt::Display) {
        if self.broken.is_none() {
            self.broken = Some(format!("{promise}: {what}"));
        }
    }
}
