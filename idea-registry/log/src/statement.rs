//! What a log says beside its checkpoints, signed with the same key: a signed note of a kind, the log's origin, and
//! lines. It never has the form of a checkpoint, so that none is signed by mistake.

use crate::{
    checkpoint::Checkpoint,
    key::{KeyError, KeyKind, SignerKey},
    note::{Note, NoteError, NoteSignature},
    signed::{SignatureError, TrustedLog},
};

/// Why there is no statement, or why one is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The log has not signed it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The key is not that of a log.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is of another kind, or about another log.
    #[error("the statement does not begin with {kind:?} and {origin:?}")]
    Kind {
        /// The kind that was looked for.
        kind: String,
        /// The log that was asked for.
        origin: String,
    },
    /// It could be taken for a checkpoint, or for a statement of other lines.
    #[error("a statement's lines are not empty and do not make a checkpoint")]
    Form,
}

/// Signs lines as this log's; `kind` is the first line of the note.
///
/// # Errors
/// [`StatementError::Key`] for a key of a witness, [`StatementError::Form`] for lines that say something else when read
/// back.
pub fn sign_statement(
    kind: &str,
    lines: &[String],
    key: &SignerKey,
) -> Result<String, StatementError> {
    key.verifier().expect(KeyKind::Log)?;
    let (name, id) = (key.verifier().name().to_owned(), key.verifier().id());
    let head = [kind, name.as_str()].into_iter().chain(lines.iter().map(String::as_str));
    let whole: Vec<&str> = head.collect();
    if whole.iter().any(|line| line.is_empty() || line.contains('\n')) {
        return Err(StatementError::Form);
    }
    let text = whole.join("\n") + "\n";
    if text.parse::<Checkpoint>().is_ok() {
        return Err(StatementError::Form);
    }
    let bytes = key.sign(text.as_bytes()).to_vec();
    let note = Note { text, signatures: vec![NoteSignature { name, id, bytes }] }.to_string();
    Note::parse(note.as_bytes())?;
    Ok(note)
}

impl TrustedLog {
    /// The lines of a statement of this kind that this log has signed.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn open_statement(&self, kind: &str, bytes: &[u8]) -> Result<Vec<String>, StatementError> {
        let note = Note::parse(bytes)?;
        self.check_signed(&note)?;
        let mut lines = note.text.lines();
        if lines.next() != Some(kind) || lines.next() != Some(self.origin()) {
            let (kind, origin) = (kind.to_owned(), self.origin().to_owned());
            return Err(StatementError::Kind { kind, origin });
        }
        Ok(lines.map(str::to_owned).collect())
    }
}
