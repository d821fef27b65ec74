//! Any text, also one that nobody would write: read or refused, and never a panic.

use mesh_tlog::{
    AddCheckpoint, Level, ProofFile, SIZE_MAX, Tile, UnverifiedCheckpoint, VerifierKey,
};
use proptest::prelude::*;

proptest! {
    /// Nothing that comes from outside leads to a panic, and what is read is written as it was.
    #[test]
    fn whatever_is_read_is_written_the_same(text in "(c2sp.org/tlog-proof@v1\n|old [0-9]{1,20}\n)?[ -~\n—]{0,300}") {
        if let Ok(read) = UnverifiedCheckpoint::parse(text.as_bytes()) {
            prop_assert_eq!(read.to_string(), text.clone());
        }
        if let Ok(read) = ProofFile::parse(text.as_bytes()) {
            prop_assert_eq!(read.to_string(), text.clone());
        }
        if let Ok(read) = AddCheckpoint::parse(text.as_bytes()) {
            prop_assert_eq!(read.to_string(), text.clone());
        }
        if let Ok(read) = VerifierKey::parse(&text) {
            prop_assert_eq!(read.to_string(), text.clone());
        }
        if let Ok(read) = text.parse::<Tile>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn paths_of_tiles_are_read_as_they_are_written(index in 0_u64..1 << 55, level in 0_u8..8, size in 0_u64..=SIZE_MAX) {
        for level in [Level::Entries, Level::Hashes(level)] {
            if let Some(tile) = Tile::in_log(level, index, size) {
                prop_assert_eq!(tile.to_string().parse(), Ok(tile));
            }
        }
    }
}
