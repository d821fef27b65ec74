//! What the tests share: a log in memory, keys from fixed seeds.

use std::collections::BTreeMap;

use mesh_tlog::{Checkpoint, Edge, KeyKind, SignedCheckpoint, SignerKey, Tile, TileFile};

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
