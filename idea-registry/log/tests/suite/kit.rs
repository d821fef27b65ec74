//! What the tests share: a log in memory, keys from fixed seeds.

use std::collections::BTreeMap;

use mesh_tlog::{
    Checkpoint, Edge, KeyKind, SignedCheckpoint, SignerKey, Tile, TileFile, TrustedLog,
};

/// A log whose files lie in a map. `files` keeps each file ever written, partial ones too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) edge: Edge,
    pub(crate) files: BTreeMap<Tile, Vec<u8>>,
}

pub(crate) const ORIGIN: &str = "mesh.example/ideas/v1";

impl Log {
    /// A log of the entries 0 to before `size`, appended in one batch.
    pub(crate) fn of(size: u64) -> Log {
        let mut log = Log::default();
        log.append(0..size);
        log
    }

    pub(crate) fn append(&mut self, indices: std::ops::Range<u64>) {
        let entries: Vec<Vec<u8>> = indices.map(entry).collect();
        let (edge, files) = self.edge.integrate(&entries).unwrap();
        self.edge = edge;
        files.iter().for_each(|file| self.write(file));
    }

    /// Writes a file, which must not be there with other bytes.
    pub(crate) fn write(&mut self, file: &TileFile) {
        let before = self.files.insert(file.tile, file.bytes.clone());
        assert!(before.is_none_or(|before| before == file.bytes), "{} changed", file.tile);
    }

    /// The files that belong to the log as large as it is now.
    pub(crate) fn current(&self) -> BTreeMap<Tile, Vec<u8>> {
        let size = self.edge.head().size;
        let stays = |tile: &Tile| {
            Tile::in_log(tile.level(), tile.index(), size).unwrap().width() == tile.width()
        };
        self.files.clone().into_iter().filter(|(tile, _)| stays(tile)).collect()
    }

    pub(crate) fn checkpoint(&self) -> SignedCheckpoint {
        let checkpoint = Checkpoint::new(ORIGIN, self.edge.head()).unwrap();
        SignedCheckpoint::sign(checkpoint, &log_key()).unwrap()
    }
}

/// Entries of differing lengths, some empty.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    let mut entry = format!("entry {index} ").into_bytes();
    entry.resize(usize::try_from(index * 7 % 31).unwrap(), b'.');
    entry
}

pub(crate) fn log_key() -> SignerKey {
    SignerKey::new(ORIGIN, KeyKind::Log, &[7; 32]).unwrap()
}

pub(crate) fn trusted() -> TrustedLog {
    TrustedLog::from_key(log_key().verifier().clone()).unwrap()
}

pub(crate) fn witness_key(seed: u8) -> SignerKey {
    SignerKey::new(&format!("witness-{seed}.example"), KeyKind::Witness, &[seed; 32]).unwrap()
}

/// The bytes with one of them changed, left out or put in, in every way that a test needs.
pub(crate) fn mutations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const OTHERS: [u8; 8] = [b'\n', b'\r', b' ', b'=', b'+', b'0', b'A', 0xff];
    (0..=bytes.len()).flat_map(move |at| {
        let (front, back) = bytes.split_at(at);
        let here = back.split_first();
        let flips = (0..8).map(move |bit| here.map(|(byte, _)| byte ^ (1 << bit)));
        let replaced = flips.chain(OTHERS.map(Some)).flatten();
        let replaced = replaced.filter(move |byte| here.is_some_and(|(old, _)| old != byte));
        let replaced = replaced.map(move |byte| [front, &[byte], &back[1..]].concat());
        let inserted = OTHERS.map(|byte| [front, &[byte], back].concat());
        let removed = here.map(|(_, rest)| [front, rest].concat());
        replaced.chain(inserted).chain(removed)
    })
}
