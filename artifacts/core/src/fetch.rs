//! Plans range requests: chunks that lie side by side come in one.

use mesh_schemas::manifest::ChunkRef;

/// Most bytes of one range request.
pub const RUN_BYTES_MAX: u64 = 8 << 20;

/// One range of one pack, and the chunks that come out of it, in the order wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Position of the pack.
    pub pack: u32,
    /// First byte in the pack.
    pub start: u64,
    /// One after the last byte.
    pub end: u64,
    /// What is wanted of it.
    pub chunks: Vec<ChunkRef>,
}

impl Run {
    /// The kept bytes of a chunk in the range's bytes; none when the answer was too short.
    pub fn slice<'a>(&self, bytes: &'a [u8], chunk: &ChunkRef) -> Option<&'a [u8]> {
        let from = usize::try_from(chunk.offset.checked_sub(self.start)?).ok()?;
        bytes.get(from..from.checked_add(chunk.len as usize)?)
    }

    fn takes(&self, chunk: &ChunkRef) -> bool {
        let end = chunk.offset + u64::from(chunk.len);
        let inside = chunk.offset >= self.start && end <= self.end;
        let next = chunk.offset == self.end && end - self.start <= RUN_BYTES_MAX;
        chunk.pack == self.pack && (inside || next)
    }
}

/// The requests that fetch these chunks in this order. The chunks must have been checked.
pub fn runs<'a>(chunks: impl Iterator<Item = &'a ChunkRef>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for chunk in chunks {
        let end = chunk.offset + u64::from(chunk.len);
        match runs.last_mut().filter(|run| run.takes(chunk)) {
            Some(run) => {
                run.end = run.end.max(end);
                run.chunks.push(chunk.clone());
            }
            None => runs.push(Run {
                pack: chunk.pack,
                start: chunk.offset,
                end,
                chunks: vec![chunk.clone()],
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use mesh_schemas::manifest::Codec;

    use super::*;

    fn chunk(pack: u32, offset: u64, len: u32) -> ChunkRef {
        ChunkRef { blake3: String::new(), raw_len: len, pack, offset, len, codec: Codec::Stored }
    }

    #[test]
    fn neighbours_come_in_one_request_and_repeats_are_free() {
        let mib = 1 << 20;
        let chunks = [
            chunk(0, 0, mib),
            chunk(0, u64::from(mib), mib),
            chunk(0, 0, mib),
            chunk(1, 0, mib),
            chunk(0, u64::from(mib), mib),
        ];
        let runs = runs(chunks.iter());
        let shape: Vec<_> = runs.iter().map(|r| (r.pack, r.start, r.end, r.chunks.len())).collect();
        let mib = u64::from(mib);
        assert_eq!(shape, [(0, 0, 2 * mib, 3), (1, 0, mib, 1), (0, mib, 2 * mib, 1)]);
    }

    #[test]
    fn a_request_is_bounded_and_a_short_answer_gives_nothing() {
        let chunks: Vec<_> = (0..20).map(|i| chunk(0, i << 20, 1 << 20)).collect();
        let runs = runs(chunks.iter());
        assert!(runs.iter().all(|run| run.end - run.start <= RUN_BYTES_MAX));
        assert_eq!(runs.len(), 3);
        assert_eq!(runs[0].slice(&[0; 10], &runs[0].chunks[0]), None);
    }
}
