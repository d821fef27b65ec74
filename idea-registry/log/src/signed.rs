//! Signed checkpoints. One that was only read is an [`UnverifiedCheckpoint`] and says nothing; only a
//! [`TrustedLog`] makes a [`SignedCheckpoint`] of it.

use std::fmt;

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    cosignature::{self, Cosignature, Timestamp},
    hash::TreeHead,
    key::{KeyError, KeyId, KeyKind, SignerKey, VerifierKey},
    note::{Note, NoteError, NoteSignature},
};

/// Why bytes are not a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// They are no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note's text is not that of a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Why a checkpoint is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is about another log.
    #[error("this checkpoint is of {actual:?}, not of {expected:?}")]
    Origin {
        /// The log asked for.
        expected: String,
        /// The log it is about.
        actual: String,
    },
    /// No key that is trusted for the log has signed it.
    #[error("no trusted key has signed this checkpoint")]
    Unsigned,
    /// A signature says to be by a known key, and is not.
    #[error("the signature by {name}+{id} is false")]
    False {
        /// The key's name.
        name: String,
        /// The key's id.
        id: KeyId,
    },
}

/// A log and the keys that may sign for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedLog {
    origin: String,
    keys: Vec<VerifierKey>,
}

impl TrustedLog {
    /// Trusts these keys for the log called `origin`; several while a log changes its key.
    pub fn new(origin: &str, keys: Vec<VerifierKey>) -> Result<Self, KeyError> {
        keys.iter().try_for_each(|key| key.expect(KeyKind::Log))?;
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(TrustedLog { origin: origin.to_owned(), keys })
    }

    /// Trusts one key, whose name is the log's origin, as is usual.
    pub fn from_key(key: VerifierKey) -> Result<Self, KeyError> {
        let origin = key.name().to_owned();
        TrustedLog::new(&origin, vec![key])
    }

    /// What the log is called.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reads a checkpoint and believes it if this log has signed it.
    pub fn open(&self, bytes: &[u8]) -> Result<SignedCheckpoint, OpenError> {
        Ok(self.verify(UnverifiedCheckpoint::parse(bytes)?)?)
    }

    /// Believes the checkpoint if this log has signed it. Signatures by unknown keys are kept, unread.
    pub fn verify(&self, read: UnverifiedCheckpoint) -> Result<SignedCheckpoint, SignatureError> {
        let UnverifiedCheckpoint { checkpoint, note } = read;
        if checkpoint.origin() != self.origin {
            let (expected, actual) = (self.origin.clone(), checkpoint.origin().to_owned());
            return Err(SignatureError::Origin { expected, actual });
        }
        self.check_signed(&note)?;
        Ok(SignedCheckpoint { checkpoint, note })
    }

    /// Some key of this log has signed it, and no signature by one of them is false.
    pub(crate) fn check_signed(&self, note: &Note) -> Result<(), SignatureError> {
        let mut signed = false;
        for signature in &note.signatures {
            if let Some(key) = self.keys.iter().find(|key| signature.is_by(key.name(), key.id())) {
                let bytes = signature.bytes.as_slice().try_into();
                if !bytes.is_ok_and(|bytes| key.verifies(note.text.as_bytes(), bytes)) {
                    return Err(SignatureError::of(signature));
                }
                signed = true;
            }
        }
        if signed { Ok(()) } else { Err(SignatureError::Unsigned) }
    }
}

impl SignatureError {
    pub(crate) fn of(signature: &NoteSignature) -> Self {
        SignatureError::False { name: signature.name.clone(), id: signature.id }
    }
}

/// Why bytes are not a checkpoint of this log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// They are no signed checkpoint.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is not to be believed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A checkpoint as it was read, its signatures not yet checked. Good for finding the log to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl UnverifiedCheckpoint {
    /// Reads a signed checkpoint without checking signatures.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let note = Note::parse(bytes)?;
        Ok(UnverifiedCheckpoint { checkpoint: note.text.parse()?, note })
    }

    /// Which log it says to be of.
    pub fn origin(&self) -> &str {
        self.checkpoint.origin()
    }

    /// Which head it claims.
    pub fn head(&self) -> TreeHead {
        self.checkpoint.head()
    }
}

impl From<SignedCheckpoint> for UnverifiedCheckpoint {
    fn from(SignedCheckpoint { checkpoint, note }: SignedCheckpoint) -> Self {
        UnverifiedCheckpoint { checkpoint, note }
    }
}

/// The same bytes as were read.
impl fmt::Display for UnverifiedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.note, f)
    }
}

/// A checkpoint that its log has signed, which was checked. Its text form is the file `checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Signs. A log must never sign two heads of which one does not continue the other: make the tiles
    /// and the next edge durable first, and sign under a lock.
    pub fn sign(checkpoint: Checkpoint, key: &SignerKey) -> Result<Self, KeyError> {
        key.verifier().expect(KeyKind::Log)?;
        let text = checkpoint.to_string();
        let (name, id) = (key.verifier().name().to_owned(), key.verifier().id());
        let bytes = key.sign(text.as_bytes()).to_vec();
        let note = Note { text, signatures: vec![NoteSignature { name, id, bytes }] };
        Ok(SignedCheckpoint { checkpoint, note })
    }

    /// Which log it is of.
    pub fn origin(&self) -> &str {
        self.checkpoint.origin()
    }

    /// How large the log is, and its root.
    pub fn head(&self) -> TreeHead {
        self.checkpoint.head()
    }

    /// What was signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Cosigns as a witness, without asking whether it may: [`Witness::decide`](crate::Witness::decide)
    /// asks.
    pub fn cosign(&self, key: &SignerKey, at: Timestamp) -> Result<NoteSignature, KeyError> {
        key.verifier().expect(KeyKind::Witness)?;
        Ok(self.cosignature(key, at))
    }

    pub(crate) fn cosignature(&self, key: &SignerKey, at: Timestamp) -> NoteSignature {
        cosignature::make(&self.note.text, key, at)
    }

    /// Which of these witnesses have cosigned it, and when; each once, in their order. Count them to
    /// demand k of n. A false cosignature by one of them is an error, one by others is not looked at.
    pub fn cosignatures(
        &self,
        witnesses: &[VerifierKey],
    ) -> Result<Vec<Cosignature>, SignatureError> {
        cosignature::check(&self.note.text, &self.note.signatures, witnesses)
    }

    /// Adds the cosignatures of these witnesses from a witness's answer, in place of older ones. Lines by
    /// others are left out; none is added if one of them is false.
    pub fn add_cosignatures(
        &mut self,
        answer: &str,
        witnesses: &[VerifierKey],
    ) -> Result<Vec<Cosignature>, AnswerError> {
        let lines = NoteSignature::parse_lines(answer)?;
        let added = cosignature::check(&self.note.text, &lines, witnesses)?;
        let known =
            |line: &NoteSignature| witnesses.iter().any(|key| line.is_by(key.name(), key.id()));
        lines.into_iter().filter(known).for_each(|line| self.note.add(line));
        Ok(added)
    }

    /// The same with the log's own signatures only and this one.
    pub(crate) fn with_only(mut self, log: &TrustedLog, cosignature: NoteSignature) -> Self {
        let of_log =
            |line: &NoteSignature| log.keys.iter().any(|key| line.is_by(key.name(), key.id()));
        self.note.signatures.retain(of_log);
        self.note.add(cosignature);
        self
    }
}

impl Checkpoint {
    /// Which of these witnesses have cosigned it, by the lines that they answered; as
    /// [`SignedCheckpoint::cosignatures`], for who has kept the lines and not the signature of the log.
    pub fn cosignatures(
        &self,
        lines: &str,
        witnesses: &[VerifierKey],
    ) -> Result<Vec<Cosignature>, AnswerError> {
        let lines = NoteSignature::parse_lines(lines)?;
        Ok(cosignature::check(&self.to_string(), &lines, witnesses)?)
    }
}

/// Why a witness's answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It does not consist of signature lines.
    #[error(transparent)]
    Form(#[from] NoteError),
    /// A cosignature in it is false.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.note, f)
    }
}
