//! How often each thing came to pass: faults, branches of trying again, ends, refusals, error codes. What
//! never does is not tested, so a zero among those that can be reached fails a run.

use mesh_core::Rejected;
use mesh_node_core::Rejected as NodeRejected;
use mesh_schemas::{EndClass, ErrorCode};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    /// Steps of the world.
    Step,
    // ---- the broker ----
    /// A message vanished.
    Dropped,
    /// A message came twice.
    Doubled,
    /// A message took seconds.
    Slowed,
    /// Old messages came once more.
    Replayed,
    /// All messages under way vanished.
    BrokerWiped,
    /// A node was cut off for a while.
    Partition,
    /// A node was cut off in one direction.
    PartitionOneWay,
    /// An orchestrator was cut off from the broker.
    OrchestratorCut,
    /// A message over a cut way came when it was whole again.
    HeldOverCut,
    // ---- the database ----
    /// Rounds committed.
    Committed,
    /// A transaction failed.
    CommitFailed,
    /// A transaction's answer was lost.
    CommitUnknown,
    /// A transaction came to pass after its orchestrator had given it up.
    CommitLate,
    /// The database was started again.
    DatabaseRestart,
    /// Transactions that its restart undid.
    CommitUndone,
    /// An orchestrator was cut off from the database.
    DatabaseCut,
    // ---- orchestrators ----
    /// The orchestrator died around a transaction.
    CrashAtCommit,
    /// An orchestrator died between rounds.
    OrchestratorCrash,
    /// An orchestrator was stopped for a while.
    OrchestratorPause,
    /// The lead was taken from nobody, or from one that was silent.
    LeadTaken,
    /// A leader that did not know what became of a transaction waited for it before it loaded again.
    Settled,
    /// A round that had been given up came after its leader had begun to load again, and was refused.
    OldLoadRefused,
    /// A round of an old leader was refused.
    OldLeaderRefused,
    /// Loading failed and was tried again.
    LoadFailed,
    // ---- machines ----
    /// An agent died; the work went on.
    AgentCrash,
    /// An agent died while it wrote to its journal.
    TornAppend,
    /// An agent died between its journal and what it was to do.
    CrashBeforeActing,
    /// A supervisor died, and the agent and the work with it.
    SupervisorCrash,
    /// A machine lost its power.
    PowerCut,
    /// Bytes of the journal that were never synced were lost by it.
    TailLost,
    /// A hole was left in them: a line in the middle is damaged.
    JournalDamaged,
    /// A machine came back with an empty disk.
    DiskWiped,
    /// A disk was full for a while.
    DiskFull,
    /// A line could not be written to the journal.
    AppendFailed,
    /// The journal was compacted.
    Compacted,
    /// A power cut undid a compaction.
    CompactionUndone,
    /// A journal began to count anew.
    JournalReopened,
    /// A node could prepare nothing for a while.
    Spoilt,
    /// A node was stopped for a while.
    Zombie,
    /// A node's wall clock was set.
    ClockSet,
    /// A node was shut down in good order.
    AgentDrained,
    /// Events were sent again, as nobody had confirmed them.
    EventsAgain,
    /// A hello was said again, as nobody had answered.
    HelloAgain,
    // ---- the object store ----
    /// An object was stored.
    PutStored,
    /// The store answered 503.
    PutUnavailable,
    /// An upload's answer was lost.
    PutUnknown,
    /// The store said that it had what it had not.
    PutLied,
    /// An upload that had been given up was stored after all.
    PutLate,
    /// An object was there already.
    PutAgain,
    /// The store took seconds.
    StoreSlow,
    /// A node was cut off from the store.
    StoreCut,
    /// Objects were looked for and were not there.
    CheckMissing,
    /// Packs that were not there were forgotten, to be made again.
    PacksForgotten,
    /// A step of an upload was tried again.
    UploadTriedAgain,
    /// A cycle of an upload was given up until the next.
    CycleFailed,
    /// The last upload was begun anew.
    FinalAgain,
    /// The last upload was given up for good.
    FinalGivenUp,
    /// An upload went on from a file of an earlier life of the agent.
    UploadResumed,
    /// A manifest was stored while its attempt ran.
    ManifestRunning,
    /// A result was stored as an object.
    ManifestFinal,
    /// A result travelled in its event.
    ManifestInline,
    /// Chunks of an earlier attempt were used again.
    ChunksAdopted,
    // ---- clients ----
    /// A job was accepted.
    JobAccepted,
    /// A client submitted again.
    Resubmitted,
    /// A submit found its job already there.
    SameJob,
    /// A job was cancelled.
    CancelAsked,
    /// A job was retried on demand.
    Retried,
    /// A job waited for another.
    Dependency,
    /// A node was drained or paused.
    Drained,
    /// A node was resumed.
    Resumed,
    /// A node was revoked.
    Revoked,
    // ---- tasks and attempts ----
    /// A lease was granted.
    Leased,
    /// A lease was granted beyond the first for its task.
    LeasedAgain,
    /// A loss was taken back.
    Adopted,
    /// A checkpoint was handed on.
    Checkpoint,
    /// A task was quarantined.
    Quarantined,
    /// A node was quarantined.
    NodeQuarantined,
    /// A node was told to stop what it does not hold.
    StopFenced,
    /// A node was asked for what it was granted ahead and had not begun.
    Recalled,
    /// What was asked back still waited with its supervisor.
    GivenBack,
    /// A fenced attempt was dropped without a word.
    FencedDropped,
    /// A node learnt from a refused upload that it is fenced.
    UploadFenced,
    // ---- what the orchestrator's core refuses ----
    /// Events after a gap.
    Gap,
    /// A journal that had not said hello.
    UnknownJournal,
    /// An event of an attempt that holds nothing.
    Fenced,
    /// A message of a revoked node.
    RefusedRevoked,
    /// A job that is not live.
    JobNotLive,
    /// Nothing to try again.
    NothingToRetry,
    /// The same key for another job.
    IdempotencyMismatch,
    /// A dependency that does not exist.
    UnknownDependency,
    /// A dependency that failed.
    FailedDependency,
    // ---- what the node's core refuses ----
    /// A command of a replaced leader.
    OldLeader,
    /// A start for the node as it was before it lost its memory.
    OtherJournal,
    /// A command before the first welcome.
    NotWelcome,
    /// A task that the node has or had.
    Known,
    /// A word about an attempt that is not held.
    Unknown,
    /// A word that an attempt is past.
    Late,
    /// A confirmation that does not fit.
    Confirmation,
}

/// Error codes that the models can reach.
pub const CODES: &[ErrorCode] = &[
    ErrorCode::NotFound,
    ErrorCode::UnknownDependency,
    ErrorCode::NodeRevoked,
    ErrorCode::IdempotencyMismatch,
    ErrorCode::WrongState,
    ErrorCode::Fenced,
    ErrorCode::StoreDown,
    ErrorCode::ObjectsDown,
    ErrorCode::Unreachable,
    ErrorCode::NotLeader,
    ErrorCode::Io,
];

/// Classes of ends that the models can reach: the product has nothing yet that reclaims a machine or
/// knows of a budget.
pub const CLASSES: &[EndClass] = &[
    EndClass::Success,
    EndClass::UserError,
    EndClass::OutOfMemory,
    EndClass::Timeout,
    EndClass::Stalled,
    EndClass::NodeLost,
    EndClass::Preempted,
    EndClass::Cancelled,
];

/// Counts of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    counts: Vec<u64>,
    codes: Vec<u64>,
    classes: Vec<u64>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            counts: vec![0; Kind::ALL.len()],
            codes: vec![0; ErrorCode::ALL.len()],
            classes: vec![0; EndClass::ALL.len()],
        }
    }
}

impl Stats {
    /// One more.
    pub fn count(&mut self, kind: Kind) {
        self.add(kind, 1);
    }

    /// So many more.
    pub fn add(&mut self, kind: Kind, more: u64) {
        self.counts[kind as usize] += more;
    }

    /// How often.
    pub fn get(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// Somebody was told this.
    pub fn code(&mut self, code: ErrorCode) {
        self.codes[code as usize] += 1;
    }

    /// An attempt's end of this class was recorded.
    pub fn class(&mut self, class: EndClass) {
        self.classes[class as usize] += 1;
    }

    /// The orchestrator's core refused something.
    pub fn rejected(&mut self, rejected: &Rejected) {
        self.code(rejected.problem().code);
        self.count(match rejected {
            Rejected::Gap { .. } => Kind::Gap,
            Rejected::UnknownJournal(_) => Kind::UnknownJournal,
            Rejected::NodeRevoked(_) => Kind::RefusedRevoked,
            Rejected::JobNotLive(_) => Kind::JobNotLive,
            Rejected::NothingToRetry(_) => Kind::NothingToRetry,
            Rejected::IdempotencyMismatch { .. } => Kind::IdempotencyMismatch,
            Rejected::UnknownDependency { .. } => Kind::UnknownDependency,
            Rejected::FailedDependency { .. } => Kind::FailedDependency,
            Rejected::Fenced(_) => Kind::Fenced,
            // No array here is that long, and nodes that have not joined say nothing.
            Rejected::TooManyRows { .. } | Rejected::UnknownNode(_) => return,
        });
    }

    /// A node's core refused something.
    pub fn node_rejected(&mut self, rejected: &NodeRejected) {
        self.count(match rejected {
            NodeRejected::OldLeader { .. } => Kind::OldLeader,
            NodeRejected::NotWelcome => Kind::NotWelcome,
            NodeRejected::OtherJournal { .. } => Kind::OtherJournal,
            NodeRejected::Known { .. } => Kind::Known,
            NodeRejected::Unknown { .. } => Kind::Unknown,
            NodeRejected::Late { .. } => Kind::Late,
            NodeRejected::Confirmation { .. } => Kind::Confirmation,
            // No message here is of another version, too long, or about so many.
            NodeRejected::Version { .. }
            | NodeRejected::TooManyTasks { .. }
            | NodeRejected::Full { .. }
            | NodeRejected::NoEpoch { .. } => return,
        });
    }

    /// Takes another's counts in.
    pub fn merge(&mut self, other: &Self) {
        let all = [
            (&mut self.counts, &other.counts),
            (&mut self.codes, &other.codes),
            (&mut self.classes, &other.classes),
        ];
        for (mine, theirs) in all {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }

    /// Names and counts of all that can be reached.
    pub fn report(&self) -> Vec<(String, u64)> {
        let kinds = Kind::ALL.iter().map(|kind| (format!("{kind:?}"), self.get(*kind)));
        let codes = CODES.iter().map(|code| (code.to_string(), self.codes[*code as usize]));
        let classes =
            CLASSES.iter().map(|class| (format!("end {class}"), self.classes[*class as usize]));
        kinds.chain(codes).chain(classes).collect()
    }

    /// What never came to pass.
    pub fn never(&self) -> Vec<String> {
        self.report().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}
