//! Files that prove offline that an entry is in a log (C2SP `tlog-proof`, extension `.tlog-proof`).

use std::fmt;

use crate::{
    hash::{Hash, HashError},
    proof::{self, PROOF_HASHES_MAX, ProofError},
    signed::{ParseError, SignatureError, SignedCheckpoint, TrustedLog, UnverifiedCheckpoint},
    text::{self, Base64Error, DecimalError},
};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// What a `.tlog-proof` file says. Before [`ProofFile::verify`] it proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// What the application adds, such as the entry itself. Nothing protects it: only if the leaf's hash
    /// is made from it, it is proved with the rest.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up; at most [`PROOF_HASHES_MAX`].
    pub path: Vec<Hash>,
    /// The checkpoint of the log that has the entry, possibly with cosignatures.
    pub checkpoint: UnverifiedCheckpoint,
}

/// Why bytes are not a `.tlog-proof` file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// The first line is another.
    #[error("a proof begins with the line c2sp.org/tlog-proof@v1")]
    FirstLine,
    /// There is no empty line above a checkpoint.
    #[error("the proof has no empty line above its checkpoint")]
    NoBlankLine,
    /// What is above the checkpoint is not UTF-8.
    #[error("the proof is not UTF-8")]
    NotUtf8,
    /// The extra data is not base64 in its one canonical form.
    #[error("the proof's extra data: {0}")]
    Extra(Base64Error),
    /// There is no line with the index.
    #[error("the proof has no index")]
    NoIndex,
    /// The index is no number.
    #[error("the proof's index: {0}")]
    Index(DecimalError),
    /// A line of the path is no hash.
    #[error("line {line} of the path: {source}")]
    Hash {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        source: HashError,
    },
    /// The path has more than [`PROOF_HASHES_MAX`] hashes.
    #[error("the path has more than 63 hashes")]
    PathTooLong,
    /// The checkpoint is none.
    #[error(transparent)]
    Checkpoint(#[from] ParseError),
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Its checkpoint is not to be believed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The entry is not in that log, or not there.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl ProofFile {
    /// Reads a file, strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let (head, checkpoint) = split(bytes).ok_or(ProofFileError::NoBlankLine)?;
        let head = str::from_utf8(head).map_err(|_| ProofFileError::NotUtf8)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofFileError::FirstLine);
        }
        let extra = lines.peek().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.map(text::base64).transpose().map_err(ProofFileError::Extra)?;
        if extra.is_some() {
            lines.next();
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = text::decimal(index.ok_or(ProofFileError::NoIndex)?);
        let index = index.map_err(ProofFileError::Index)?;
        let path = parse_hashes(lines, |line, source| ProofFileError::Hash { line, source })?;
        let path = path.ok_or(ProofFileError::PathTooLong)?;
        Ok(ProofFile { extra, index, path, checkpoint: UnverifiedCheckpoint::parse(checkpoint)? })
    }

    /// Checks that this log has signed the checkpoint and that the leaf is in it; gives the checkpoint,
    /// whose cosignatures are then to be counted. The leaf's hash is [`leaf_hash`](crate::leaf_hash) of
    /// the entry, which must come from elsewhere than from trust in this file.
    pub fn verify(self, log: &TrustedLog, leaf: Hash) -> Result<SignedCheckpoint, CheckError> {
        let checkpoint = log.verify(self.checkpoint)?;
        proof::verify_inclusion(checkpoint.head(), self.index, leaf, &self.path)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", text::to_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// What is above and below the first empty line.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    Some((&bytes[..at], &bytes[at + 2..]))
}

/// A hash a line; none if there are more than [`PROOF_HASHES_MAX`].
pub(crate) fn parse_hashes<'a, E>(
    lines: impl Iterator<Item = &'a str>,
    error: impl Fn(usize, HashError) -> E,
) -> Result<Option<Vec<Hash>>, E> {
    let mut hashes = Vec::new();
    for (line, text) in (1..).zip(lines) {
        if line > PROOF_HASHES_MAX {
            return Ok(None);
        }
        hashes.push(text.parse().map_err(|source| error(line, source))?);
    }
    Ok(Some(hashes))
}
