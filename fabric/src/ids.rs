//! New ids, secrets and hashes: the randomness that the cores are kept free of.

use data_encoding::BASE32_NOPAD;
use mesh_schemas::{JobId, JournalId, NodeId, TokenId, TraceParent, UploadId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A UUID of version 7: ids sort by the time of their making.
pub fn new_uuid() -> Uuid {
    Uuid::now_v7()
}

/// A new job's id.
pub fn job_id() -> JobId {
    JobId::from_uuid(new_uuid())
}

/// A new node's id.
pub fn node_id() -> NodeId {
    NodeId::from_uuid(new_uuid())
}

/// The id of a new journal's life.
pub fn journal_id() -> JournalId {
    JournalId::from_uuid(new_uuid())
}

/// A new API token's id.
pub fn token_id() -> TokenId {
    TokenId::from_uuid(new_uuid())
}

/// A new upload's id.
pub fn upload_id() -> UploadId {
    UploadId::from_uuid(new_uuid())
}

/// The beginning of a new trace.
pub fn trace_parent() -> TraceParent {
    TraceParent::new(u128::from_le_bytes(random()), span_id())
}

/// The id of a new span, for [`TraceParent::child`].
pub fn span_id() -> u64 {
    u64::from_le_bytes(random())
}

/// A new secret of 256 random bits: the prefix, then 52 base32 characters in lower case.
pub fn secret(prefix: &str) -> String {
    format!("{prefix}{}", BASE32_NOPAD.encode(&random::<32>()).to_ascii_lowercase())
}

/// SHA-256; what is stored of a secret.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes from the system's source of randomness.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_of_making() {
        let ids: Vec<JobId> = (0..1_000).map(|_| job_id()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_secret_has_256_bits_and_never_repeats() {
        let (one, two) = (secret("dmk_"), secret("dmk_"));
        assert_ne!(one, two);
        assert_eq!(one.len(), "dmk_".len() + 52);
        let random = one.strip_prefix("dmk_").unwrap().to_ascii_uppercase();
        assert_eq!(BASE32_NOPAD.decode(random.as_bytes()).unwrap().len(), 32);
    }

    #[test]
    fn sha256_is_the_standard_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(data_encoding::HEXLOWER.encode(&sha256(b"")), empty);
    }
}
