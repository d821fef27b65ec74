//! Keys: the log's (ed25519, type 0x01) and a witness's (ed25519 cosignatures, type 0x04), with the text
//! forms of Go's `note`: `name+id+key` for those who verify, `PRIVATE+KEY+name+id+seed` for who signs.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::text::{self, Base64Error};

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// Notes, such as a log's own checkpoints.
    Log,
    /// Cosignatures of checkpoints, each with a time.
    Witness,
}

impl KeyKind {
    fn number(self) -> u8 {
        match self {
            KeyKind::Log => 0x01,
            KeyKind::Witness => 0x04,
        }
    }
}

/// Four bytes that tell keys of one name apart. No proof of anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a key, or why a key does not fit where it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It does not have the parts of a key.
    #[error("a key is written name+id+base64, a secret one with PRIVATE+KEY+ in front")]
    Form,
    /// A name is empty, or has a plus sign, white space or a control character in it.
    #[error("a key's name is not empty and has no spaces, plus signs or control characters")]
    Name,
    /// The id is not eight lower-case hexadecimal digits.
    #[error("a key's id has eight lower-case hexadecimal digits")]
    Id,
    /// The id is not that of this name and key: one of the three has a fault.
    #[error("the key's id should be {expected}")]
    IdDiffers {
        /// What it would be.
        expected: KeyId,
    },
    /// The key is not base64 in its one canonical form.
    #[error(transparent)]
    Base64(#[from] Base64Error),
    /// The type is neither 0x01 nor 0x04.
    #[error("keys of type {0:#04x} are not known here")]
    UnknownType(u8),
    /// It is not 32 bytes behind the type.
    #[error("an ed25519 key has 32 bytes, this one has {bytes}")]
    Length {
        /// How many bytes there were.
        bytes: usize,
    },
    /// The 32 bytes are no point of the curve, or one that would accept signatures for anything.
    #[error("this is no sound ed25519 public key")]
    Point,
    /// A log's key stands where a witness's is needed, or the other way round.
    #[error("{name} should be a {expected:?} key")]
    Kind {
        /// The key's name.
        name: String,
        /// What is needed.
        expected: KeyKind,
    },
    /// There is no key at all.
    #[error("a log needs a key")]
    None,
    /// Two logs are called the same.
    #[error("{origin} is there twice")]
    SameOrigin {
        /// Their origin.
        origin: String,
    },
}

/// A key to verify with. Its text form is the `vkey` of C2SP `signed-note`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: KeyId,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Whether both verify with the same key, whatever they are called.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Parses a vkey: `name+id+base64(type and key)`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, id, kind, bytes) = parse(text)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        VerifierKey::new(name, kind, key).with_id(id)
    }

    fn new(name: &str, kind: KeyKind, key: VerifyingKey) -> Self {
        let public = [&[kind.number()], key.as_bytes().as_slice()].concat();
        let digest = Sha256::new().chain_update(name).chain_update("\n").chain_update(public);
        let [a, b, c, d, ..]: [u8; 32] = digest.finalize().into();
        VerifierKey { name: name.to_owned(), kind, id: KeyId([a, b, c, d]), key }
    }

    fn with_id(self, id: &str) -> Result<Self, KeyError> {
        if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(KeyError::Id);
        }
        let expected = self.id;
        if id == expected.to_string() { Ok(self) } else { Err(KeyError::IdDiffers { expected }) }
    }

    /// Whose key it is; for a log usually its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that goes into its signatures.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What it verifies.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Refuses a key of the other kind.
    pub(crate) fn expect(&self, expected: KeyKind) -> Result<(), KeyError> {
        let name = || self.name.clone();
        if self.kind == expected { Ok(()) } else { Err(KeyError::Kind { name: name(), expected }) }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self, self.key.as_bytes())
    }
}

/// A key to sign with. It has no text form by accident: see [`SignerKey::secret`].
#[derive(Clone)]
pub struct SignerKey {
    public: VerifierKey,
    key: SigningKey,
}

impl SignerKey {
    /// The key that comes of these 32 random bytes.
    pub fn new(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        let key = SigningKey::from_bytes(seed);
        Ok(SignerKey { public: VerifierKey::new(name, kind, key.verifying_key()), key })
    }

    /// Parses what [`SignerKey::secret`] gives.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.strip_prefix("PRIVATE+KEY+").ok_or(KeyError::Form)?;
        let (name, id, kind, seed) = parse(text)?;
        let key = SigningKey::from_bytes(&seed);
        let public = VerifierKey::new(name, kind, key.verifying_key()).with_id(id)?;
        Ok(SignerKey { public, key })
    }

    /// The secret in one line, to be kept in a file that only its owner reads.
    pub fn secret(&self) -> String {
        struct Secret<'a>(&'a SignerKey);
        impl fmt::Display for Secret<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("PRIVATE+KEY+")?;
                write(f, &self.0.public, self.0.key.as_bytes())
            }
        }
        Secret(self).to_string()
    }

    /// The key that others verify with.
    pub fn verifier(&self) -> &VerifierKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({})", self.public)
    }
}

/// Whether a key may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let refused = |c: char| c == '+' || c.is_whitespace() || c.is_control();
    !name.is_empty() && !name.contains(refused)
}

fn parse(text: &str) -> Result<(&str, &str, KeyKind, [u8; 32]), KeyError> {
    // The base64 may have plus signs in it, name and id have none.
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Form);
    };
    if !is_name(name) {
        return Err(KeyError::Name);
    }
    let bytes = text::base64(key)?;
    let (kind, key) = match bytes.split_first() {
        Some((0x01, key)) => (KeyKind::Log, key),
        Some((0x04, key)) => (KeyKind::Witness, key),
        Some((other, _)) => return Err(KeyError::UnknownType(*other)),
        None => return Err(KeyError::Length { bytes: 0 }),
    };
    let key = key.try_into().map_err(|_| KeyError::Length { bytes: key.len() })?;
    Ok((name, id, kind, key))
}

fn write(f: &mut fmt::Formatter<'_>, key: &VerifierKey, bytes: &[u8; 32]) -> fmt::Result {
    let typed = [&[key.kind.number()], bytes.as_slice()].concat();
    write!(f, "{}+{}+{}", key.name, key.id, text::to_base64(&typed))
}
