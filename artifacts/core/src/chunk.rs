//! Cuts a stream of bytes by its content, so that an insertion changes the chunks around it alone.

use fastcdc::v2020::FastCDC;

/// Smallest chunk, but for the last of a stream, in bytes.
pub const CHUNK_BYTES_MIN: usize = 256 << 10;
/// What chunks are around, in bytes.
pub const CHUNK_BYTES_AVERAGE: usize = 1 << 20;
/// Largest chunk, in bytes.
pub const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Takes bytes in pieces of any size and gives them back in chunks. The same bytes give the same
/// chunks, however they came in.
#[derive(Debug, Default)]
pub struct Cutter {
    buffer: Vec<u8>,
}

impl Cutter {
    /// Takes the next bytes. Call [`Cutter::next_chunk`] until it gives none before feeding more: the
    /// buffer then stays below the largest chunk and what was fed last.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A chunk that further bytes cannot change.
    pub fn next_chunk(&mut self) -> Option<Vec<u8>> {
        if self.buffer.len() < CHUNK_BYTES_MAX { None } else { self.cut() }
    }

    /// A chunk of what is left at the stream's end; none when nothing is.
    pub fn last_chunk(&mut self) -> Option<Vec<u8>> {
        self.cut()
    }

    fn cut(&mut self) -> Option<Vec<u8>> {
        let (min, average, max) = (CHUNK_BYTES_MIN, CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX);
        let chunk = FastCDC::new(&self.buffer, min, average, max).next()?;
        let rest = self.buffer.split_off(chunk.length);
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut_all(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let (mut cutter, mut chunks) = (Cutter::default(), Vec::new());
        for part in bytes.chunks(piece) {
            cutter.feed(part);
            chunks.extend(std::iter::from_fn(|| cutter.next_chunk()));
        }
        chunks.extend(std::iter::from_fn(|| cutter.last_chunk()));
        chunks
    }

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn chunks_depend_on_the_bytes_and_not_on_how_they_came(
            len in 0_usize..9 << 20, seed: u64, piece in 1_000_usize..3 << 20,
        ) {
            let bytes = noise(len, seed);
            let chunks = cut_all(&bytes, piece);
            prop_assert_eq!(chunks.concat(), &bytes[..]);
            prop_assert!(chunks.iter().all(|c| !c.is_empty() && c.len() <= CHUNK_BYTES_MAX));
            prop_assert_eq!(chunks, cut_all(&bytes, 64 << 10));
        }
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let before = noise(16 << 20, 1);
        let mut after = before.clone();
        after.splice(100..100, *b"hello");
        let old = cut_all(&before, 1 << 20);
        let changed = cut_all(&after, 1 << 20).into_iter().filter(|c| !old.contains(c)).count();
        assert!(changed <= 2, "{changed} of {} chunks changed", old.len());
    }
}
