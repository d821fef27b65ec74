//! Entries as bytes: ids, signatures, hashes of bodies, and reading what a log holds.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use mesh_schemas::{
    ErrorCode, Problem, Timestamp,
    idea::{AuthorId, ENTRY_BYTES_MAX, ENTRY_VERSION, Entry, EntryId, Say, Sha256, Signature},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256 as Hasher};

use crate::canonical::{INTEGER_MAX, canonical};

/// What is signed begins with this, so that no signature made elsewhere is one of an entry.
pub const SIGNING_CONTEXT: &[u8] = b"deskmesh ideas entry v1\n";

/// What an author wants to say, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// The author's name, for people.
    pub name: Option<String>,
    /// When, by the author's clock.
    pub time: Timestamp,
    /// What.
    pub say: Say,
}

/// An entry without its signature, in the fields' wire names.
#[derive(Serialize)]
struct Signed<'a> {
    v: u32,
    author: AuthorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    time: Timestamp,
    say: &'a Say,
}

impl<'a> From<&'a Entry> for Signed<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { v, author, name, time, say, sig: _ } = entry;
        Self { v: *v, author: *author, name: name.as_deref(), time: *time, say }
    }
}

/// The author of what this key signs.
pub fn author_of(key: &SigningKey) -> AuthorId {
    AuthorId(key.verifying_key().to_bytes())
}

/// The leaf's data: the entry with its signature.
pub fn leaf_data(entry: &Entry) -> Vec<u8> {
    canonical(entry)
}

/// SHA-256 of the canonical form without the signature.
pub fn entry_id(entry: &Entry) -> EntryId {
    Signable::of(entry).id()
}

/// The canonical form of an entry without its signature: what is signed, and what names it.
pub(crate) struct Signable(Vec<u8>);

impl Signable {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self(canonical(&Signed::from(entry)))
    }

    pub(crate) fn id(&self) -> EntryId {
        EntryId(Hasher::digest(&self.0).into())
    }

    /// As [`verify_signature`].
    pub(crate) fn verify(&self, author: &AuthorId, sig: &Signature) -> Result<(), Problem> {
        let key = check_author("author", author)?;
        let sig = ed25519_dalek::Signature::from_bytes(&sig.0);
        key.verify_strict(&self.bytes(), &sig).map_err(|_| {
            Problem::new(ErrorCode::Signature, "the signature is not the author's, of this entry")
                .at("sig")
        })
    }

    fn bytes(&self) -> Vec<u8> {
        [SIGNING_CONTEXT, &self.0].concat()
    }
}

/// Makes an entry of the key's owner.
pub fn sign(unsigned: Unsigned, key: &SigningKey) -> Entry {
    let Unsigned { name, time, say } = unsigned;
    let author = author_of(key);
    let mut entry = Entry { v: ENTRY_VERSION, author, name, time, say, sig: Signature([0; 64]) };
    entry.sig = Signature(key.sign(&Signable::of(&entry).bytes()).to_bytes());
    entry
}

/// The signature is the author's, of this entry.
///
/// Verification is strict: keys of small order and second spellings of a signature are refused.
///
/// # Errors
/// `E_SIGNATURE` naming `author` or `sig`.
pub fn verify_signature(entry: &Entry) -> Result<(), Problem> {
    Signable::of(entry).verify(&entry.author, &entry.sig)
}

/// The bytes are a key that can sign.
///
/// # Errors
/// `E_SIGNATURE` naming `field`.
pub(crate) fn check_author(field: &str, author: &AuthorId) -> Result<VerifyingKey, Problem> {
    let wrong = || {
        Problem::new(ErrorCode::Signature, format!("{field} is not an Ed25519 public key"))
            .at(field)
    };
    let key = VerifyingKey::from_bytes(&author.0).map_err(|_| wrong())?;
    if key.is_weak() { Err(wrong()) } else { Ok(key) }
}

/// Reads the data of a leaf. The bytes must be the canonical form of what they say: anything else
/// would be a second leaf that says the same. The signature is not looked at.
///
/// # Errors
/// `E_TOO_LARGE`, `E_SYNTAX` or `E_INVALID`.
pub fn parse_leaf(data: &[u8]) -> Result<Entry, Problem> {
    check_size(data.len())?;
    let entry: Entry = serde_json::from_slice(data).map_err(|error| {
        Problem::new(ErrorCode::Syntax, format!("the leaf is not an entry: {error}")).at("entry")
    })?;
    check_integers(&entry)?;
    if leaf_data(&entry) == data {
        return Ok(entry);
    }
    Err(Problem::invalid("entry", "the leaf is not in canonical form"))
}

pub(crate) fn check_size(bytes: usize) -> Result<(), Problem> {
    if bytes <= ENTRY_BYTES_MAX {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("the entry has {bytes} bytes; allowed are {ENTRY_BYTES_MAX}"),
    )
    .at("entry"))
}

pub(crate) fn check_integers(entry: &Entry) -> Result<(), Problem> {
    if let Say::Origin { old_size, .. } = entry.say
        && old_size > INTEGER_MAX
    {
        let given = format!("say.old_size is {old_size}; allowed are 0 to {INTEGER_MAX}");
        return Err(Problem::invalid("say.old_size", given));
    }
    Ok(())
}

/// The hash of a body: of the text, or of a salt of 32 bytes and the text when it is sealed.
pub fn body_hash(text: &str, salt: Option<&[u8; 32]>) -> Sha256 {
    let mut hasher = Hasher::new();
    if let Some(salt) = salt {
        hasher.update(salt);
    }
    hasher.update(text);
    Sha256(hasher.finalize().into())
}
