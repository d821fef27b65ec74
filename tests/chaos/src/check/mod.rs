//! The checker: reads a history and says of each invariant whether it holds, is broken, or could not be
//! looked at. It knows nothing of the programs' code; what it proves, it proves from their records.
//!
//! An invariant that nothing in the history speaks about is *not applicable*, with the reason: an empty
//! history proves nothing.

mod absent;
mod ending;
mod ideas;
mod index;
mod keys;
mod leases;
mod lives;
mod objects;
mod records;
mod requeue;
mod results;
mod slice;
mod successes;

use std::fmt;

use mesh_schemas::JobId;

use crate::history::History;
use index::Index;

/// Most breaches of one invariant that are kept: one is enough to fail, a few help to see a pattern.
const BREACHES_MAX: usize = 5;

macro_rules! invariants {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $claim:literal, $check:path;)*) => {
        /// What must hold, whatever happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $($(#[$doc])* $name,)*
        }

        impl Invariant {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its short name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it says, in one line.
            pub const fn claim(self) -> &'static str {
                match self { $(Self::$name => $claim,)* }
            }

            fn look(self, index: &Index<'_>) -> Verdict {
                match self { $(Self::$name => $check(index),)* }
            }
        }
    };
}

invariants! {
    /// Nothing accepted is lost.
    I1 = "I1", "each accepted job ends exactly once, or still lives", lives::ends_once;
    /// One success.
    I2 = "I2", "no task succeeds twice; what is recorded is of the last epoch granted", successes::once;
    /// Idempotent submits.
    I3 = "I3", "one key, one job", keys::one_job;
    /// Ends are final.
    I4 = "I4", "nothing leaves an end, but by retry", lives::stays_ended;
    /// Fencing.
    I5 = "I5", "epochs grow and leases of a task never overlap", leases::never_overlap;
    /// The ledger's entries.
    I6 = "I6", "each acknowledged idea stays in the ledger", ideas::stay;
    /// The ledger's heads.
    I7 = "I7", "all checkpoints seen form one chain", ideas::one_chain;
    /// Stored bytes.
    I8 = "I8", "what was stored is readable and right, logs without a gap", objects::readable;
    /// Whose bytes.
    I9 = "I9", "a result names only bytes of its own attempt", objects::own_bytes;
    /// Records.
    I10 = "I10", "what ended has its owner node, its trace and its result", records::complete;
    /// Budgets.
    I11 = "I11", "no budget is overspent", absent::budgets;
    /// Revocation.
    I12 = "I12", "a revoked node writes nothing 5 s later", records::revoked_are_silent;
    /// Liveness.
    I13 = "I13", "after healing the queue drains and no lease is left", ending::drains;
    /// Audit.
    I14 = "I14", "each privileged act has its audit line", records::audited;
    /// Secrets.
    I15 = "I15", "no secret is in any log, artifact, event or message", records::no_secrets;
    /// Resources.
    I16 = "I16", "memory and descriptors come back after the drain", ending::comes_back;
    /// Beyond the list: work of dead nodes.
    Requeue = "Q", "what a node held that died is given up in time", requeue::in_time;
    /// Beyond the list: results are right, not only readable.
    Results = "R", "what a job ended as and left is what its command does", results::right;
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the checker says of one invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds for so many things that were looked at.
    Holds(usize),
    /// Nothing could be looked at, and why.
    NotApplicable(String),
    /// It does not hold.
    Broken(Vec<Breach>),
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which promise.
    pub invariant: Invariant,
    /// The job, when it is about one.
    pub job: Option<JobId>,
    /// What is wrong, in one sentence.
    pub what: String,
    /// The shortest run of events that shows it, with requests and faults of that time.
    pub slice: Vec<String>,
}

/// The verdicts on all invariants.
#[derive(Debug, Clone)]
pub struct Report {
    /// In the order of [`Invariant::ALL`].
    pub verdicts: Vec<(Invariant, Verdict)>,
}

impl Report {
    /// Everything that is broken.
    pub fn breaches(&self) -> impl Iterator<Item = &Breach> {
        self.verdicts.iter().flat_map(|(_, verdict)| match verdict {
            Verdict::Broken(breaches) => breaches.as_slice(),
            Verdict::Holds(_) | Verdict::NotApplicable(_) => &[],
        })
    }

    /// Nothing is broken.
    pub fn is_good(&self) -> bool {
        self.breaches().next().is_none()
    }
}

/// Looks at everything.
pub fn check(history: &History) -> Report {
    let index = Index::new(history);
    let look = |invariant: &Invariant| (*invariant, invariant.look(&index));
    Report { verdicts: Invariant::ALL.iter().map(look).collect() }
}

/// A look at one invariant: counts what it has seen, keeps what is wrong.
#[derive(Debug)]
struct Look {
    invariant: Invariant,
    seen: usize,
    breaches: Vec<Breach>,
}

impl Look {
    const fn at(invariant: Invariant) -> Self {
        Self { invariant, seen: 0, breaches: Vec::new() }
    }

    /// Something was looked at.
    const fn see(&mut self) {
        self.seen += 1;
    }

    /// Something is wrong.
    fn wrong(&mut self, job: Option<JobId>, what: impl Into<String>, slice: Vec<String>) {
        if self.breaches.len() < BREACHES_MAX {
            let invariant = self.invariant;
            self.breaches.push(Breach { invariant, job, what: what.into(), slice });
        }
    }

    /// The verdict; `nothing` says why there was nothing to look at.
    fn verdict(self, nothing: &str) -> Verdict {
        if !self.breaches.is_empty() {
            return Verdict::Broken(self.breaches);
        }
        if self.seen == 0 {
            return Verdict::NotApplicable(nothing.to_owned());
        }
        Verdict::Holds(self.seen)
    }
}
