//! What a witness decides (C2SP `tlog-witness`), without the HTTP and the table around it.
//!
//! The shell's part: read the body, look up what it cosigned last for that origin, [`Witness::decide`],
//! and if that cosigns: set the head for the origin *if it is still the one looked up*, durably, and only
//! then answer. If it is another by now, decide again. Two requests at once cannot then roll it back.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{
    cosignature::Timestamp,
    hash::{Hash, HashError, TreeHead},
    key::{KeyError, KeyKind, SignerKey},
    proof::{self, ProofError},
    proof_file,
    signed::{ParseError, SignatureError, SignedCheckpoint, TrustedLog, UnverifiedCheckpoint},
    text::{self, DecimalError},
};

/// The body of an `add-checkpoint` request. Its text form is what goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness is thought to have cosigned last.
    pub old_size: u64,
    /// The consistency proof from there; at most [`PROOF_HASHES_MAX`](crate::PROOF_HASHES_MAX) hashes.
    pub proof: Vec<Hash>,
    /// What to cosign.
    pub checkpoint: UnverifiedCheckpoint,
}

/// Why bytes are no `add-checkpoint` request: 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no empty line above a checkpoint.
    #[error("the request has no empty line above its checkpoint")]
    NoBlankLine,
    /// What is above the checkpoint is not UTF-8.
    #[error("the request is not UTF-8")]
    NotUtf8,
    /// The first line does not begin with `old `.
    #[error("the request's first line gives the old size")]
    NoOldSize,
    /// The old size is no number.
    #[error("the old size: {0}")]
    OldSize(DecimalError),
    /// A line of the proof is no hash.
    #[error("line {line} of the proof: {source}")]
    Hash {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        source: HashError,
    },
    /// The proof has more hashes than any proof needs.
    #[error("the proof has more than 63 hashes")]
    ProofTooLong,
    /// The checkpoint is none.
    #[error(transparent)]
    Checkpoint(#[from] ParseError),
}

impl AddCheckpoint {
    /// Reads a body, strictly.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let (head, checkpoint) = proof_file::split(body).ok_or(RequestError::NoBlankLine)?;
        let head = str::from_utf8(head).map_err(|_| RequestError::NotUtf8)?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old "));
        let old_size = text::decimal(old_size.ok_or(RequestError::NoOldSize)?);
        let old_size = old_size.map_err(RequestError::OldSize)?;
        let error = |line, source| RequestError::Hash { line, source };
        let proof = proof_file::parse_hashes(lines, error)?.ok_or(RequestError::ProofTooLong)?;
        Ok(AddCheckpoint { old_size, proof, checkpoint: UnverifiedCheckpoint::parse(checkpoint)? })
    }
}

impl std::fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// A witness: its key, and the logs it watches.
#[derive(Clone, Debug)]
pub struct Witness {
    key: SignerKey,
    logs: BTreeMap<String, TrustedLog>,
}

/// A cosignature to give out once the head is persisted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// What to persist for the origin, before answering.
    pub head: TreeHead,
    /// The answer's body: one signature line.
    pub answer: String,
    /// The checkpoint with the log's signatures and this one, for `<origin hash>/checkpoint`.
    pub checkpoint: SignedCheckpoint,
}

/// Why a witness does not cosign. `forked` says that the log has signed two roots of one size: keep the
/// request and what was persisted, they are proof of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The body is no request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The old size is larger than the checkpoint's.
    #[error("the old size {old} is larger than the checkpoint's, {new}")]
    OldSizeTooLarge {
        /// The size the request starts from.
        old: u64,
        /// The size of the checkpoint.
        new: u64,
    },
    /// The witness does not watch this log.
    #[error("this witness does not watch {origin:?}")]
    UnknownLog {
        /// Which log.
        origin: String,
    },
    /// The checkpoint is not signed by the log.
    #[error(transparent)]
    Signature(SignatureError),
    /// The witness has cosigned another size last, or another root of this size. The caller makes a proof from that
    /// size; if it began there, it looks what was cosigned.
    #[error("the checkpoint cosigned last has {size} leaves")]
    Conflict {
        /// The size cosigned last.
        size: u64,
        /// The log has signed two roots of one size.
        forked: bool,
    },
    /// The proof does not connect the two heads.
    #[error("the checkpoint does not continue the one cosigned last: {reason}")]
    Inconsistent {
        /// Why not.
        reason: ProofError,
        /// The log has signed two roots of one size.
        forked: bool,
    },
}

impl Refused {
    /// The HTTP status that the protocol has for it.
    pub fn status(&self) -> u16 {
        match self {
            Refused::Request(_) | Refused::OldSizeTooLarge { .. } => 400,
            Refused::Signature(_) => 403,
            Refused::UnknownLog { .. } => 404,
            Refused::Conflict { .. } => 409,
            Refused::Inconsistent { .. } => 422,
        }
    }

    /// The type and text of the answer's body: for 409 the size, else what is wrong.
    pub fn body(&self) -> (&'static str, String) {
        if let Refused::Conflict { size, .. } = self {
            return ("text/x.tlog.size", format!("{size}\n"));
        }
        ("text/plain; charset=utf-8", format!("{self}\n"))
    }

    /// Whether the log has signed two roots of one size.
    pub fn is_fork(&self) -> bool {
        match self {
            Refused::Conflict { forked, .. } | Refused::Inconsistent { forked, .. } => *forked,
            Refused::Request(_)
            | Refused::OldSizeTooLarge { .. }
            | Refused::UnknownLog { .. }
            | Refused::Signature(_) => false,
        }
    }
}

impl Witness {
    /// A witness of these logs.
    pub fn new(key: SignerKey, logs: Vec<TrustedLog>) -> Result<Self, KeyError> {
        key.verifier().expect(KeyKind::Witness)?;
        let mut by_origin = BTreeMap::new();
        for log in logs {
            let origin = log.origin().to_owned();
            if by_origin.insert(origin.clone(), log).is_some() {
                return Err(KeyError::SameOrigin { origin });
            }
        }
        Ok(Witness { key, logs: by_origin })
    }

    /// Decides on a request, by the head that was cosigned last for its origin; none if there was none.
    pub fn decide(
        &self,
        request: AddCheckpoint,
        last: Option<TreeHead>,
        now: Timestamp,
    ) -> Result<Cosigned, Refused> {
        let AddCheckpoint { old_size, proof, checkpoint } = request;
        let origin = checkpoint.origin();
        let unknown = || Refused::UnknownLog { origin: origin.to_owned() };
        let log = self.logs.get(origin).ok_or_else(unknown)?;
        let checkpoint = log.verify(checkpoint).map_err(Refused::Signature)?;
        let (head, last) = (checkpoint.head(), last.unwrap_or(TreeHead::EMPTY));
        if old_size > head.size {
            return Err(Refused::OldSizeTooLarge { old: old_size, new: head.size });
        }
        let forked = last.size > 0 && head.size == last.size && head.root != last.root;
        if old_size != last.size {
            return Err(Refused::Conflict { size: last.size, forked });
        }
        // The protocol has a status of its own for this, whatever the proof.
        if head.size == last.size && head.root != last.root {
            return Err(Refused::Conflict { size: last.size, forked });
        }
        proof::verify_consistency(last, head, &proof)
            .map_err(|reason| Refused::Inconsistent { reason, forked })?;
        let line = checkpoint.cosignature(&self.key, now);
        let answer = line.to_string();
        Ok(Cosigned { head, answer, checkpoint: checkpoint.with_only(log, line) })
    }
}

/// Under which name a witness shows what it cosigned for a log: `<origin hash>/checkpoint`.
pub fn origin_hash(origin: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(origin))
}
