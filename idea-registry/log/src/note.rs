//! Signed notes (C2SP `signed-note`): a text and lines with signatures below it. Parsing is strict, so
//! that each note has one spelling and what is written again is what was read.

use std::{fmt, str};

use crate::{
    key::{self, KeyId},
    text::{self, Base64Error},
};

/// The longest note that is read.
pub const NOTE_BYTES_MAX: usize = 1_000_000;

/// The most signatures a note may have.
pub const NOTE_SIGNATURES_MAX: usize = 100;

/// Why bytes are not a signed note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`NOTE_BYTES_MAX`].
    #[error("the note has {bytes} bytes, more than 1000000")]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A carriage return: the note came through something that changes line ends.
    #[error("the note has a carriage return at byte {at}")]
    CarriageReturn {
        /// Where.
        at: usize,
    },
    /// Another ASCII control character.
    #[error("the note has a control character at byte {at}")]
    ControlCharacter {
        /// Where.
        at: usize,
    },
    /// The last line does not end.
    #[error("the note does not end with a newline")]
    NoFinalNewline,
    /// There is no empty line between a text and signatures.
    #[error("the note has no empty line above its signatures")]
    NoBlankLine,
    /// Nothing follows the last empty line.
    #[error("the note has no signatures")]
    NoSignatures,
    /// More than [`NOTE_SIGNATURES_MAX`].
    #[error("the note has more than 100 signatures")]
    TooManySignatures,
    /// A line below the text is not a signature.
    #[error("line {line} of the signatures is not an em dash, a name and base64")]
    NotASignature {
        /// Which, from 1.
        line: usize,
    },
    /// A signature's key name is empty or has a plus sign or white space in it.
    #[error("line {line} of the signatures names no possible key")]
    KeyName {
        /// Which, from 1.
        line: usize,
    },
    /// A signature is not base64 in its one canonical form.
    #[error("line {line} of the signatures: {source}")]
    Base64 {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        source: Base64Error,
    },
    /// A signature has no bytes behind the key's id.
    #[error("line {line} of the signatures is too short")]
    TooShort {
        /// Which, from 1.
        line: usize,
    },
    /// Two signatures by a key of one name and id.
    #[error("the note has two signatures by {name}+{id}")]
    Duplicate {
        /// The key's name.
        name: String,
        /// The key's id.
        id: KeyId,
    },
}

/// One line below a note: who signed, with which key, and the signature. By itself it proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub(crate) name: String,
    /// The key's id.
    pub(crate) id: KeyId,
    /// What the key made; how it is to be read depends on the key.
    pub(crate) bytes: Vec<u8>,
}

impl NoteSignature {
    /// Parses lines as they stand below a note, or in a witness's answer.
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, NoteError> {
        let lines = text.strip_suffix('\n').ok_or(NoteError::NoFinalNewline)?;
        let mut signatures: Vec<Self> = Vec::new();
        for (line, text) in (1..).zip(lines.split('\n')) {
            if line > NOTE_SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let next = NoteSignature::parse(text, line)?;
            if signatures.iter().any(|other| next.is_by(&other.name, other.id)) {
                return Err(NoteError::Duplicate { name: next.name, id: next.id });
            }
            signatures.push(next);
        }
        Ok(signatures)
    }

    fn parse(text: &str, line: usize) -> Result<Self, NoteError> {
        let rest = text.strip_prefix("— ").ok_or(NoteError::NotASignature { line })?;
        let (name, signature) = rest.split_once(' ').ok_or(NoteError::NotASignature { line })?;
        if !key::is_name(name) {
            return Err(NoteError::KeyName { line });
        }
        let bytes = text::base64(signature).map_err(|source| NoteError::Base64 { line, source })?;
        match bytes.split_first_chunk() {
            Some((id, bytes)) if !bytes.is_empty() => {
                Ok(NoteSignature { name: name.to_owned(), id: KeyId(*id), bytes: bytes.to_vec() })
            }
            Some(_) | None => Err(NoteError::TooShort { line }),
        }
    }

    pub(crate) fn is_by(&self, name: &str, id: KeyId) -> bool {
        self.name == name && self.id == id
    }
}

/// The line, with its newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.0.as_slice(), &self.bytes].concat();
        writeln!(f, "— {} {}", self.name, text::to_base64(&bytes))
    }
}

/// A text and who says to have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// All above the empty line, with the last newline.
    pub(crate) text: String,
    /// Never two by one key.
    pub(crate) signatures: Vec<NoteSignature>,
}

impl Note {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        if let Some(at) = note.bytes().position(|byte| byte < b' ' && byte != b'\n') {
            return Err(match bytes[at] {
                b'\r' => NoteError::CarriageReturn { at },
                _ => NoteError::ControlCharacter { at },
            });
        }
        if !note.ends_with('\n') {
            return Err(NoteError::NoFinalNewline);
        }
        let blank = note.rfind("\n\n").ok_or(NoteError::NoBlankLine)?;
        let (text, signatures) = (&note[..=blank], &note[blank + 2..]);
        if signatures.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        let signatures = NoteSignature::parse_lines(signatures)?;
        Ok(Note { text: text.to_owned(), signatures })
    }

    /// Adds a signature, in place of an older one by the same key.
    pub(crate) fn add(&mut self, signature: NoteSignature) {
        self.signatures.retain(|other| !other.is_by(&signature.name, signature.id));
        self.signatures.push(signature);
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(f, "{signature}"))
    }
}
