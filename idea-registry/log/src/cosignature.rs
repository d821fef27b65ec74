//! Cosignatures of witnesses (C2SP `tlog-cosignature`, ed25519): a time, and a signature over both.

use crate::{
    key::{KeyId, KeyKind, SignerKey, VerifierKey},
    note::NoteSignature,
    signed::SignatureError,
    text::SIZE_MAX,
};

/// Seconds since 1970, not zero, at most `2^63 - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// This time, unless no cosignature may have it.
    pub fn new(seconds: u64) -> Option<Self> {
        (1..=SIZE_MAX).contains(&seconds).then_some(Timestamp(seconds))
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

/// A cosignature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The name of the witness's key.
    pub witness: String,
    /// The id of the witness's key.
    pub id: KeyId,
    /// When the witness says to have cosigned.
    pub at: Timestamp,
}

/// Signs with the key of a witness.
pub(crate) fn make(text: &str, key: &SignerKey, at: Timestamp) -> NoteSignature {
    let signature = key.sign(message(text, at).as_bytes());
    let bytes = [at.0.to_be_bytes().as_slice(), &signature].concat();
    NoteSignature { name: key.verifier().name().to_owned(), id: key.verifier().id(), bytes }
}

/// The cosignatures of these witnesses among the lines. A key of a log among the witnesses has none.
pub(crate) fn check(
    text: &str,
    lines: &[NoteSignature],
    witnesses: &[VerifierKey],
) -> Result<Vec<Cosignature>, SignatureError> {
    let mut found: Vec<Cosignature> = Vec::new();
    for key in witnesses.iter().filter(|key| key.kind() == KeyKind::Witness) {
        let counted = found.iter().any(|other| other.witness == key.name() && other.id == key.id());
        let line = lines.iter().find(|line| line.is_by(key.name(), key.id()));
        if let Some(line) = line.filter(|_| !counted) {
            let at = verify(text, line, key).ok_or_else(|| SignatureError::of(line))?;
            found.push(Cosignature { witness: line.name.clone(), id: line.id, at });
        }
    }
    Ok(found)
}

fn verify(text: &str, line: &NoteSignature, key: &VerifierKey) -> Option<Timestamp> {
    let (seconds, signature) = line.bytes.split_first_chunk()?;
    let at = Timestamp::new(u64::from_be_bytes(*seconds))?;
    let signature = signature.try_into().ok()?;
    key.verifies(message(text, at).as_bytes(), signature).then_some(at)
}

fn message(text: &str, at: Timestamp) -> String {
    format!("cosignature/v1\ntime {}\n{text}", at.0)
}
