//! What a client remembers of a log, so that it cannot be shown an older log or another one.

use std::fmt;

use crate::{
    hash::Hash,
    proof::{self, ProofError},
    signed::SignedCheckpoint,
};

/// The last checkpoint that a client accepted. Keep its text durably, and open it again with the
/// [`TrustedLog`](crate::TrustedLog).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    checkpoint: SignedCheckpoint,
}

/// What to do with a checkpoint that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It continues what is remembered: remember it instead, before using anything it proves.
    Accept(Remembered),
    /// It is older than what is remembered. Refuse, and keep the evidence.
    Rollback(Box<Evidence>),
    /// It does not continue what is remembered. Refuse, and keep the evidence.
    Fork(Box<Evidence>),
}

/// Two signed checkpoints that should not both be, and the proof that does not connect them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What was accepted before.
    pub remembered: SignedCheckpoint,
    /// What was shown now.
    pub seen: SignedCheckpoint,
    /// The consistency proof that came with it.
    pub proof: Vec<Hash>,
    /// Why they do not fit.
    pub reason: ProofError,
}

/// The checkpoint is of another log than the remembered one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this checkpoint is of {seen:?}, what is remembered of {remembered:?}")]
pub struct OtherLog {
    /// The origin that is remembered.
    pub remembered: String,
    /// The origin that was shown.
    pub seen: String,
}

impl Remembered {
    /// Begins to remember. Whoever was shown a false log the first time remembers that.
    pub fn new(checkpoint: SignedCheckpoint) -> Self {
        Remembered { checkpoint }
    }

    /// The last checkpoint that was accepted.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// From which size a consistency proof is needed to judge this checkpoint; none if it can be judged
    /// without.
    pub fn proof_wanted(&self, seen: &SignedCheckpoint) -> Option<u64> {
        let (old, new) = (self.checkpoint.head().size, seen.head().size);
        (0 < old && old < new).then_some(old)
    }

    /// Judges a checkpoint by what is remembered and the proof that it continues that. A proof that fails
    /// counts as a fork: fetch it again before, if the wire may have been at fault.
    pub fn judge(&self, seen: SignedCheckpoint, proof: &[Hash]) -> Result<Verdict, OtherLog> {
        if seen.origin() != self.checkpoint.origin() {
            let remembered = self.checkpoint.origin().to_owned();
            return Err(OtherLog { remembered, seen: seen.origin().to_owned() });
        }
        let result = proof::verify_consistency(self.checkpoint.head(), seen.head(), proof);
        let Err(reason) = result else { return Ok(Verdict::Accept(Remembered::new(seen))) };
        let remembered = self.checkpoint.clone();
        let evidence = Box::new(Evidence { remembered, seen, proof: proof.to_vec(), reason });
        Ok(match reason {
            ProofError::Shrunk { .. } => Verdict::Rollback(evidence),
            ProofError::NoSuchLeaf { .. }
            | ProofError::EmptyRoot
            | ProofError::SameSize
            | ProofError::TooShort
            | ProofError::TooLong
            | ProofError::OldRoot
            | ProofError::Root => Verdict::Fork(evidence),
        })
    }
}

impl Evidence {
    /// Whether the two checkpoints alone convict the log: it signed two roots of one size. Without that,
    /// whoever answered may have given a wrong proof for a sound log.
    pub fn is_conclusive(&self) -> bool {
        self.reason == ProofError::SameSize
    }

    /// What to keep, by file name. Each is complete in itself; others can check it without us.
    pub fn files(&self) -> [(&'static str, String); 3] {
        [
            ("remembered.checkpoint", self.remembered.to_string()),
            ("seen.checkpoint", self.seen.to_string()),
            ("proof", self.proof.iter().map(|hash| format!("{hash}\n")).collect()),
        ]
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new) = (self.remembered.head(), self.seen.head());
        write!(
            f,
            "{}: remembered {} leaves with root {}, ",
            self.seen.origin(),
            old.size,
            old.root
        )?;
        write!(f, "seen {} leaves with root {}: {}", new.size, new.root, self.reason)
    }
}
