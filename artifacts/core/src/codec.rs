//! How a chunk's bytes are kept in a pack, and how they come back without trusting them.

use std::borrow::Cow;

use mesh_schemas::manifest::{ChunkRef, Codec};

use super::hash_hex;

/// The usual trade: about 400 MB/s of one processor.
const ZSTD_LEVEL: i32 = 3;

/// Bytes of a chunk are not what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not as many bytes as named.
    #[error("its length is not {expected} bytes")]
    Length {
        /// What the manifest says.
        expected: u32,
    },
    /// Not a zstd frame, or one that holds more than the manifest says.
    #[error("it cannot be decompressed to {expected} bytes")]
    Frame {
        /// What the manifest says.
        expected: u32,
    },
    /// Other bytes.
    #[error("its BLAKE3 is {found}")]
    Hash {
        /// Of the bytes that came.
        found: String,
    },
}

/// Compresses, unless that saves less than a twentieth.
pub fn encode(raw: &[u8]) -> (Codec, Cow<'_, [u8]>) {
    match zstd::bulk::compress(raw, ZSTD_LEVEL) {
        Ok(packed) if packed.len() * 20 <= raw.len() * 19 => (Codec::Zstd, Cow::Owned(packed)),
        // Compressing cannot fail but for want of memory; keeping the bytes as they are is right too.
        Ok(_) | Err(_) => (Codec::Stored, Cow::Borrowed(raw)),
    }
}

/// The raw bytes of a chunk, verified. Never makes more than `chunk.raw_len` bytes.
pub fn decode<'a>(chunk: &ChunkRef, kept: &'a [u8]) -> Result<Cow<'a, [u8]>, Damage> {
    let expected = chunk.raw_len;
    let raw = match chunk.codec {
        Codec::Stored => Cow::Borrowed(kept),
        Codec::Zstd => Cow::Owned(
            zstd::bulk::decompress(kept, expected as usize)
                .map_err(|_| Damage::Frame { expected })?,
        ),
    };
    if raw.len() != expected as usize {
        return Err(Damage::Length { expected });
    }
    let found = hash_hex(&raw);
    if found == chunk.blake3 { Ok(raw) } else { Err(Damage::Hash { found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk_of(raw: &[u8]) -> (ChunkRef, Vec<u8>) {
        let (codec, kept) = encode(raw);
        let chunk = ChunkRef {
            blake3: hash_hex(raw),
            raw_len: u32::try_from(raw.len()).unwrap(),
            pack: 0,
            offset: 0,
            len: u32::try_from(kept.len()).unwrap(),
            codec,
        };
        (chunk, kept.into_owned())
    }

    #[test]
    fn text_is_compressed_and_noise_is_not() {
        let (text, kept) = chunk_of(&b"hello ".repeat(1_000));
        assert_eq!(text.codec, Codec::Zstd);
        assert_eq!(decode(&text, &kept).unwrap(), b"hello ".repeat(1_000));
        let mut noise = vec![0; 10_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let (noisy, kept) = chunk_of(&noise);
        assert_eq!(noisy.codec, Codec::Stored);
        assert_eq!(decode(&noisy, &kept).unwrap(), noise);
    }

    #[test]
    fn a_bomb_stops_at_the_length_named() {
        let (mut bomb, kept) = chunk_of(&vec![0; 64 << 20]);
        bomb.raw_len = 1_000;
        assert_eq!(decode(&bomb, &kept), Err(Damage::Frame { expected: 1_000 }));
    }

    #[test]
    fn other_bytes_are_refused() {
        let (chunk, kept) = chunk_of(b"ab");
        assert!(matches!(decode(&chunk, b"ac"), Err(Damage::Hash { .. })));
        assert_eq!(decode(&chunk, b"abc"), Err(Damage::Length { expected: 2 }));
        let claimed = ChunkRef { codec: Codec::Zstd, ..chunk };
        assert_eq!(decode(&claimed, &kept), Err(Damage::Frame { expected: 2 }));
    }
}
