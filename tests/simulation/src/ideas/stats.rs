//! How often each thing came to pass. What never does is not tested, so a zero fails a run.

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
    // ---- authors and the way to the registry ----
    /// An entry was filed for the first time.
    Filed,
    /// A question or an answer vanished.
    Dropped,
    /// A question came twice.
    Doubled,
    /// An entry was sent again, as no index was known.
    SentAgain,
    /// Nobody answered, and the entry went to the stream.
    ToStream,
    /// An author lost its spool; only the stream has what was in it.
    SpoolLost,
    /// An index was told.
    Acknowledged,
    /// The same index was told again.
    AcknowledgedAgain,
    /// A refusal that will stay.
    Refused,
    /// A refusal that may pass: database, halt, clock.
    RefusedForNow,
    /// What was forged was refused.
    ForgedRefused,
    // ---- what the core decided ----
    /// An entry was appended.
    Appended,
    /// The log had the entry.
    Already,
    /// The text was there: `seen_again`.
    SeenAgain,
    /// A link of near duplicates was proposed.
    Proposed,
    /// An idea changed hands.
    ChainLink,
    /// A text was hidden.
    Hidden,
    // ---- the database ----
    /// A transaction came to pass.
    Committed,
    /// It failed.
    CommitFailed,
    /// Its answer was lost.
    CommitUnknown,
    /// It came to pass after it was given up.
    CommitLate,
    /// A transaction waited for another.
    LockWaited,
    /// A writer that did not know what became of a transaction waited for it before it read the size.
    Settled,
    /// The database was started again.
    DatabaseRestart,
    /// Transactions that this undid.
    CommitUndone,
    /// The database was away.
    DatabaseDown,
    /// A backup was made.
    Backup,
    /// The database was put back from one.
    Restored,
    /// The disks were lost as well.
    RestoredWithoutDisk,
    /// Entries that were acknowledged after the backup.
    LostByRestore,
    /// Projections were made anew from the leaves.
    Rebuilt,
    // ---- registries ----
    /// One began to write.
    Started,
    /// One could not, as another writes.
    Locked,
    /// One died at a step.
    CrashAtStep,
    /// One died between commit and answer.
    CrashBeforeAnswer,
    /// One died between signature and publishing.
    CrashAfterSign,
    /// One died between the row and the signature.
    CrashAfterRow,
    /// One was stopped for a while, and another took over.
    Zombie,
    /// A machine lost its power.
    PowerCut,
    /// What was not synced was lost or torn by it.
    NotSynced,
    /// A former writer was refused.
    NotWriter,
    /// The primary key refused a transaction.
    KeyRefused,
    /// A wall clock was set.
    ClockSet,
    // ---- integrating and signing ----
    /// A pack of texts was written.
    PackWritten,
    /// One was closed.
    PackClosed,
    /// A registry died between the last pack and the first bundle, or the other way round.
    CrashAfterPack,
    /// A file was written.
    TileWritten,
    /// One became full.
    TileFull,
    /// Writing failed.
    DiskFailed,
    /// Tiles were made anew from the leaves.
    TilesRebuilt,
    /// A row was there already, after an unknown outcome.
    RowThere,
    /// A head was signed.
    Signed,
    /// A head was signed again.
    SignedAgain,
    /// It was published.
    Published,
    // ---- the copy ----
    /// A file was put.
    Put,
    /// 503.
    StoreUnavailable,
    /// An answer was lost.
    StoreUnknown,
    /// An upload landed late.
    PutLate,
    /// A lie was seen through.
    LieSeen,
    /// The copy's checkpoint was older than it had been, and was put again.
    CopyHealed,
    /// The cursor was moved.
    Copied,
    // ---- the witness ----
    /// A head was cosigned.
    Cosigned,
    /// The witness was away, or its answer was lost.
    WitnessLost,
    /// It had cosigned another size last.
    Conflict,
    /// A signature waited for the first word of witness and store.
    SignWaited,
    // ---- the stream ----
    /// A message was taken.
    StreamTaken,
    /// A message came out of its order and was left.
    StreamOutOfOrder,
    /// The stream was wiped.
    StreamWiped,
    /// A message was refused, and the position kept.
    StreamRefused,
    // ---- what clients and operators see ----
    /// A head continued the remembered one.
    HeadAccepted,
    /// An older head was shown, of the same log.
    OlderHead,
    /// A client remembered a head of which nobody else knew when the log was put back.
    ForkSeen,
    /// A log was halted.
    Halted,
    /// It went on under a new origin.
    NewOrigin,
}

/// Counts of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    counts: Vec<u64>,
}

impl Default for Stats {
    fn default() -> Self {
        Self { counts: vec![0; Kind::ALL.len()] }
    }
}

impl Stats {
    /// One more.
    pub fn count(&mut self, kind: Kind) {
        self.add(kind, 1);
    }

    /// So many more.
    pub fn add(&mut self, kind: Kind, more: usize) {
        self.counts[kind as usize] += u64::try_from(more).unwrap_or(0);
    }

    /// How often.
    pub fn get(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// Takes another's counts in.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Names and counts.
    pub fn report(&self) -> Vec<(String, u64)> {
        Kind::ALL.iter().map(|kind| (format!("{kind:?}"), self.get(*kind))).collect()
    }

    /// What never came to pass.
    pub fn never(&self) -> Vec<String> {
        self.report().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}
