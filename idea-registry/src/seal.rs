//! Sealed texts: each subject has a key, and a text sealed with it is gone when the key is.
//!
//! ChaCha20-Poly1305 over salt and text, with the body's hash as associated data: a row that was put in place
//! of another does not open.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use data_encoding::{BASE64, HEXLOWER};
use mesh_fabric::ids;
use mesh_schemas::idea::Sha256;

const NONCE_BYTES: usize = 12;
const SALT_BYTES: usize = 32;

/// The key of a subject.
#[derive(Clone)]
pub(crate) struct SubjectKey([u8; 32]);

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey(***)")
    }
}

/// A sealed text that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) salt: [u8; SALT_BYTES],
    pub(crate) text: String,
}

impl SubjectKey {
    pub(crate) fn random() -> Self {
        Self(ids::random())
    }

    /// From its stored form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Its stored form.
    pub(crate) fn stored(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Base64 of nonce and ciphertext; nothing if the text is longer than any text.
    pub(crate) fn seal(
        &self,
        hash: &Sha256,
        salt: &[u8; SALT_BYTES],
        text: &str,
    ) -> Option<String> {
        let nonce: [u8; NONCE_BYTES] = ids::random();
        let plain = [salt.as_slice(), text.as_bytes()].concat();
        let payload = Payload { msg: &plain, aad: &hash.0 };
        let sealed = ChaCha20Poly1305::new(&self.0.into()).encrypt(&nonce.into(), payload).ok()?;
        Some(BASE64.encode(&[nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Self::seal`] made of the body with this hash.
    pub(crate) fn open(&self, hash: &Sha256, sealed: &str) -> Option<Opened> {
        let bytes = BASE64.decode(sealed.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &hash.0 };
        let cipher = ChaCha20Poly1305::new(&self.0.into());
        let plain = cipher.decrypt(&(*nonce).into(), payload).ok()?;
        let (salt, text) = plain.split_first_chunk::<SALT_BYTES>()?;
        Some(Opened { salt: *salt, text: String::from_utf8(text.to_vec()).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_with_its_key_and_hash_alone() {
        let (key, hash) = (SubjectKey::random(), Sha256([7; 32]));
        let sealed = key.seal(&hash, &[1; 32], "secret ü").unwrap();
        let opened = Opened { salt: [1; 32], text: "secret ü".into() };
        assert_eq!(key.open(&hash, &sealed), Some(opened));
        assert_eq!(key.open(&Sha256([8; 32]), &sealed), None);
        assert_eq!(SubjectKey::random().open(&hash, &sealed), None);
        assert_eq!(key.open(&hash, ""), None);
        assert_ne!(key.seal(&hash, &[1; 32], "secret ü").unwrap(), sealed);
        assert_eq!(SubjectKey::parse(&key.stored()).unwrap().bytes(), key.bytes());
    }
}
