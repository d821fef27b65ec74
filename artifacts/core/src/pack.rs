//! Lays new chunks end to end in packs, and leaves out those that are stored already.

use std::{collections::BTreeMap, sync::Arc};

use mesh_schemas::manifest::{ChunkRef, PackRef};
use serde::{Deserialize, Serialize};

use super::{codec, hash_hex};

/// A pack is sealed before it would grow beyond this, in bytes.
pub const PACK_BYTES_MAX: usize = 8 << 20;

/// What lies in the store: packs, and where each chunk is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// By position.
    pub packs: Vec<PackRef>,
    /// By BLAKE3 of the raw bytes. Shared with the packer of a running cycle.
    #[serde(with = "shared")]
    pub chunks: Arc<BTreeMap<String, ChunkRef>>,
    /// So many of the first packs were seen in the store with their length.
    pub packs_checked: usize,
    /// Number of the next pack's name.
    pub next_seq: u32,
}

/// A pack that is ready to be uploaded.
#[derive(Debug)]
pub struct SealedPack {
    /// Name below the owner's prefix.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub blake3: String,
    /// What it is made of.
    pub bytes: Vec<u8>,
    /// Where the chunks in it are.
    pub chunks: Vec<ChunkRef>,
}

impl Stored {
    /// Takes over the packs and chunks of another manifest.
    pub fn adopt(&mut self, packs: &[PackRef], chunks: impl Iterator<Item = ChunkRef>) {
        let base = position(self.packs.len());
        self.packs.extend_from_slice(packs);
        self.packs_checked = self.packs.len();
        let known = Arc::make_mut(&mut self.chunks);
        for mut chunk in chunks {
            chunk.pack = chunk.pack.saturating_add(base);
            known.entry(chunk.blake3.clone()).or_insert(chunk);
        }
    }

    /// Records a pack that was uploaded; packs are recorded in the order they were sealed in.
    pub fn record(&mut self, pack: PackRef, chunks: Vec<ChunkRef>) {
        self.packs.push(pack);
        self.next_seq += 1;
        let known = Arc::make_mut(&mut self.chunks);
        known.extend(chunks.into_iter().map(|chunk| (chunk.blake3.clone(), chunk)));
    }

    /// Packs that nobody has looked for yet.
    pub fn unchecked(&self) -> &[PackRef] {
        self.packs.get(self.packs_checked..).unwrap_or(&[])
    }

    /// Forgets the packs that nobody has seen, so that their chunks are uploaded again.
    pub fn forget_unchecked(&mut self) {
        let keep = self.packs_checked;
        self.packs.truncate(keep);
        Arc::make_mut(&mut self.chunks).retain(|_, chunk| (chunk.pack as usize) < keep);
    }
}

/// Packs chunks on top of what is stored. Holds one open pack.
#[derive(Debug)]
pub struct Packer {
    known: Arc<BTreeMap<String, ChunkRef>>,
    fresh: BTreeMap<String, ChunkRef>,
    next_pack: u32,
    next_seq: u32,
    open: Vec<u8>,
    open_chunks: Vec<ChunkRef>,
}

impl Packer {
    /// Begins after what is stored.
    pub fn new(stored: &Stored) -> Self {
        Self {
            known: Arc::clone(&stored.chunks),
            fresh: BTreeMap::new(),
            next_pack: position(stored.packs.len()),
            next_seq: stored.next_seq,
            open: Vec::new(),
            open_chunks: Vec::new(),
        }
    }

    /// Where the chunk is or will be, and the pack that was full before it, if one was.
    pub fn add(&mut self, raw: &[u8]) -> (ChunkRef, Option<SealedPack>) {
        let blake3 = hash_hex(raw);
        if let Some(chunk) = self.fresh.get(&blake3).or_else(|| self.known.get(&blake3)) {
            return (chunk.clone(), None);
        }
        let (codec, kept) = codec::encode(raw);
        let full = self.open.len() + kept.len() > PACK_BYTES_MAX;
        let sealed = if full { self.seal() } else { None };
        let chunk = ChunkRef {
            blake3,
            raw_len: length(raw),
            pack: self.next_pack,
            offset: self.open.len() as u64,
            len: length(&kept),
            codec,
        };
        self.open.extend_from_slice(&kept);
        self.open_chunks.push(chunk.clone());
        self.fresh.insert(chunk.blake3.clone(), chunk.clone());
        (chunk, sealed)
    }

    /// Nothing waits in the open pack.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The open pack; none when it is empty.
    pub fn seal(&mut self) -> Option<SealedPack> {
        if self.open.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.open);
        let blake3 = hash_hex(&bytes);
        let name = format!("p{}-{}", self.next_seq, blake3.get(..16).unwrap_or(&blake3));
        self.next_pack += 1;
        self.next_seq += 1;
        Some(SealedPack { name, blake3, bytes, chunks: std::mem::take(&mut self.open_chunks) })
    }
}

/// Writes what is behind an `Arc` as itself.
mod shared {
    use std::{collections::BTreeMap, sync::Arc};

    use mesh_schemas::manifest::ChunkRef;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    type Chunks = BTreeMap<String, ChunkRef>;

    pub(super) fn serialize<S: Serializer>(
        chunks: &Arc<Chunks>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        chunks.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Chunks>, D::Error> {
        Chunks::deserialize(deserializer).map(Arc::new)
    }
}

fn position(packs: usize) -> u32 {
    u32::try_from(packs).unwrap_or(u32::MAX)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u8, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn record(stored: &mut Stored, pack: SealedPack) {
        let size = pack.bytes.len() as u64;
        stored.record(PackRef { key: pack.name, size, blake3: pack.blake3 }, pack.chunks);
    }

    #[test]
    fn a_chunk_is_packed_once() {
        let mut stored = Stored::default();
        let mut packer = Packer::new(&stored);
        let (first, _) = packer.add(&noise(1, 1_000));
        let (again, _) = packer.add(&noise(1, 1_000));
        assert_eq!(first, again);
        record(&mut stored, packer.seal().unwrap());
        let mut packer = Packer::new(&stored);
        assert_eq!(packer.add(&noise(1, 1_000)).0, first);
        assert!(packer.seal().is_none());
    }

    #[test]
    fn packs_are_sealed_at_their_size_and_positions_agree() {
        let mut stored = Stored::default();
        let mut packer = Packer::new(&stored);
        let mut packs = Vec::new();
        let mut chunks = Vec::new();
        for seed in 0..12 {
            let (chunk, sealed) = packer.add(&noise(seed, 3 << 20));
            chunks.push(chunk);
            packs.extend(sealed);
        }
        packs.extend(packer.seal());
        assert_eq!(packs.len(), 6);
        for pack in packs {
            assert!(pack.bytes.len() <= PACK_BYTES_MAX);
            let at = stored.packs.len();
            assert!(pack.chunks.iter().all(|c| c.pack as usize == at));
            record(&mut stored, pack);
        }
        assert!(chunks.iter().all(|c| stored.chunks.get(&c.blake3) == Some(c)));
    }

    #[test]
    fn packs_that_were_not_seen_are_forgotten_with_their_chunks() {
        let mut stored = Stored::default();
        for seed in 0..2 {
            let mut packer = Packer::new(&stored);
            packer.add(&noise(seed, 100));
            record(&mut stored, packer.seal().unwrap());
        }
        stored.packs_checked = 1;
        assert_eq!(stored.unchecked().len(), 1);
        stored.forget_unchecked();
        assert_eq!((stored.packs.len(), stored.chunks.len(), stored.next_seq), (1, 1, 2));
    }
}
