//! The signed head, and what is done when another one turns up.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{Prover, SignedCheckpoint, TreeHead, TrustedLog, VerifierKey};
use tokio::sync::watch;
use tracing::error;

use super::rounds::Rounds;
use crate::{halt::Halt, tiles::TileDir};

/// What was found of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is one of this log's.
    Ours,
    /// It is not, and the log is halted.
    Halted,
    /// Nobody knows: the tiles cannot be read.
    Unread,
}

/// The latest signed checkpoint, with the lines of its witnesses; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    sender: Arc<watch::Sender<Option<Arc<SignedCheckpoint>>>>,
    tiles: TileDir,
    halt: Halt,
    /// Held while the file is written: an older checkpoint never replaces a newer one.
    writing: Arc<Mutex<()>>,
    rounds: Arc<Mutex<Rounds>>,
}

/// A head of this log, signed by this registry, that was seen somewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) head: TreeHead,
    /// Where, such as `at the witness example.org`.
    pub(crate) place: &'a str,
}

impl Head {
    pub(crate) fn new(tiles: TileDir, halt: Halt) -> Self {
        let sender = Arc::new(watch::channel(None).0);
        Self { sender, tiles, halt, writing: Arc::default(), rounds: Arc::default() }
    }

    /// The latest; nothing before the first was signed.
    pub(crate) fn latest(&self) -> Option<Arc<SignedCheckpoint>> {
        self.sender.borrow().clone()
    }

    /// Tells of each new one, and of new lines of witnesses.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<SignedCheckpoint>>> {
        self.sender.subscribe()
    }

    /// Nothing more is signed and copied once the log is halted.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        self.halt.check()
    }

    pub(crate) const fn tiles(&self) -> &TileDir {
        &self.tiles
    }

    /// Shows the checkpoint that is on disk, if it is of this head: it was signed and published before.
    pub(super) fn adopt(&self, ours: TreeHead, log: &TrustedLog) {
        let published = self.tiles.checkpoint().ok().flatten();
        let published = published.and_then(|bytes| log.open(&bytes).ok());
        if let Some(published) = published.filter(|published| published.head() == ours) {
            self.sender.send_replace(Some(Arc::new(published)));
        }
    }

    /// Publishes a checkpoint on disk, and then to those who watch.
    pub(super) fn publish(&self, checkpoint: SignedCheckpoint) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.tiles.write_checkpoint(&checkpoint.to_string())?;
        self.sender.send_replace(Some(Arc::new(checkpoint)));
        Ok(())
    }

    /// From now on the others wait a while for this witness.
    pub(crate) fn expect(&self, witness: &VerifierKey) {
        self.rounds().expect(witness);
    }

    /// What a witness is to cosign next, the same as the others; nothing when it has.
    pub(crate) fn to_cosign(&self, witness: &VerifierKey) -> Option<Arc<SignedCheckpoint>> {
        self.rounds().next(witness, &self.latest()?)
    }

    /// The last head that all witnesses cosigned, or all that answered in time; nothing when it is the latest.
    pub(crate) fn cosigned(&self) -> Option<Arc<SignedCheckpoint>> {
        let latest = self.latest()?.head();
        self.rounds().cosigned().filter(|cosigned| cosigned.head() != latest)
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the lines of a witness to those of its round, and to the latest head if it is of that.
    pub(crate) fn cosign(&self, of: TreeHead, lines: &str, key: &VerifierKey) -> io::Result<()> {
        // What could not be written is asked for again: it counts once it is shown.
        self.show_lines(of, lines, key)?;
        self.rounds().add(of, lines, key);
        Ok(())
    }

    fn show_lines(&self, of: TreeHead, lines: &str, key: &VerifierKey) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(latest) = self.latest().filter(|latest| latest.head() == of) else {
            return Ok(());
        };
        let mut cosigned = SignedCheckpoint::clone(&latest);
        let added = cosigned.add_cosignatures(lines, std::slice::from_ref(key));
        if added.is_err() || cosigned == *latest {
            return Ok(());
        }
        self.tiles.write_checkpoint(&cosigned.to_string())?;
        self.sender.send_replace(Some(Arc::new(cosigned)));
        Ok(())
    }

    /// Compares a head that was signed with the log as it is, and halts it when the two cannot both be: the log
    /// lost entries, or it forked.
    pub(crate) fn judge(&self, seen: &Seen<'_>, ours: TreeHead) -> Judgement {
        let Seen { head: TreeHead { size, root }, place } = *seen;
        if size > ours.size {
            let detail = format!(
                "a checkpoint of {size} entries, signed by this log, was seen {place}; there are {}",
                ours.size
            );
            self.halt.halt(ErrorCode::LedgerRollback, detail);
            return Judgement::Halted;
        }
        match Prover::new(&self.tiles, ours).root_at(size) {
            Ok(ours) if ours == root => Judgement::Ours,
            Ok(_) => {
                let detail = format!(
                    "a checkpoint of {size} entries with another root, signed by this log, was seen {place}"
                );
                self.halt.halt(ErrorCode::LedgerFork, detail);
                Judgement::Halted
            }
            Err(error) => {
                let chain = mesh_fabric::error::chain(&error);
                error!("Could not compare the log with what was seen {place}: {chain}");
                Judgement::Unread
            }
        }
    }
}
