//! Bugs of a registry that are easily made, planted on purpose: each must be found by the checks.

use super::options::Options;

macro_rules! bugs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A bug put in on purpose, to see that the checks find it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $variant,)*
        }

        impl Bug {
            /// Each of them, controls included.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

bugs! {
    /// Authors are answered before the commit.
    AnswerBeforeCommit = "answer-before-commit",
    /// Whether an entry or a text is there is asked when it arrives, not in the transaction.
    DuplicateCheckOutside = "duplicate-check-outside",
    /// What the log has is appended again when it is filed again.
    AppendedTwice = "appended-twice",
    /// After a transaction of unknown outcome the size is read at once: it may land afterwards, and then
    /// nobody integrates it until somebody appends again.
    SizeReadAtOnce = "size-read-at-once",
    /// The author's key is not compared with the holder's.
    ForgedChainTaken = "forged-chain-taken",
    /// A head is signed before its row is kept.
    SignBeforeRow = "sign-before-row",
    /// A checkpoint is published before the tiles that it speaks of.
    TilesAfterCheckpoint = "tiles-after-checkpoint",
    /// Tiles and bundles are written before the packs with the texts of their entries.
    BundleBeforePack = "bundle-before-pack",
    /// Tiles are renamed into their place without having been synced.
    RenameWithoutSync = "rename-without-sync",
    /// A log that is behind a head that others have goes on being signed.
    SignAfterRestore = "sign-after-restore",
    /// Nobody asks the witness and the object store before the first signature of a life.
    SignWithoutAsking = "sign-without-asking",
    /// The cursor of the copy is moved before anything is copied.
    CursorBeforeCopy = "cursor-before-copy",
    /// Nobody looks whether what the object store said it has is there.
    StoreBelieved = "store-believed",
    /// The position in the stream is kept before what lies there is appended.
    PositionBeforeAppend = "position-before-append",
    /// The position is believed though the stream is another one.
    PositionOfOtherStream = "position-of-other-stream",
    /// Whether an entry of the stream is of the future is judged by the registry's clock alone.
    JudgedByOwnClock = "judged-by-own-clock",
    /// A new origin names the last head of the database, whatever others have seen.
    OriginNamesOwnHead = "origin-names-own-head",
    /// A key that lies beside a database that was put back is taken up again for the next origin.
    KeyTakenUpAgain = "key-taken-up-again",
    /// A rebuild of the projections passes over one kind of entry.
    RebuildForgetsKind = "rebuild-forgets-kind",
    /// The witness forgets a head at times.
    WitnessForgets = "witness-forgets",
    /// No bug but a control: the writer's epoch is not looked at, and the primary key decides alone.
    /// Nothing may find fault with it.
    FenceDropped = "fence-dropped",
}

impl Bug {
    /// The bug of this name.
    ///
    /// # Errors
    /// All names, when there is none like it.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|bug| bug.name() == name);
        let names = || Self::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("no such bug; there are: {}", names()))
    }

    /// What the bug needs to show itself within a few seeds.
    pub(super) const fn make_room(self, options: &mut Options) {
        if matches!(self, Self::SizeReadAtOnce) {
            options.commit_unknown = 200;
        }
    }

    /// Whether it is one, not a control.
    pub const fn is_one(self) -> bool {
        !matches!(self, Self::FenceDropped)
    }
}
