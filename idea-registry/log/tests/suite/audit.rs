//! The auditor passes sound logs and names the file and entry of a fault.

use std::collections::BTreeMap;

use mesh_tlog::{Audit, AuditError, Fault, Finding, Level, Tile, TreeHead, leaf_hash};

use crate::kit::{Log, entry};

type Files = BTreeMap<Tile, Vec<u8>>;

/// Goes through all of it: how many entries are sound, or the first fault.
fn audit(files: &Files, head: TreeHead) -> Result<u64, Finding> {
    let run = || {
        let mut sound = 0;
        for bundle in Audit::begin(files, head)? {
            for (index, bytes) in bundle?.entries() {
                assert_eq!((index, bytes), (sound, entry(index).as_slice()));
                sound += 1;
            }
        }
        Ok(sound)
    };
    run().map_err(|error: AuditError<_>| match error {
        AuditError::Found(finding) => finding,
        AuditError::Read { tile, .. } => panic!("{tile} was not read"),
    })
}

/// In which entry of its bundle this byte is; its length counts to it.
fn entry_at(tile: &Tile, at: usize) -> u64 {
    let mut end = 0;
    let ends = (tile.first_leaf()..).find(|index| {
        end += 2 + entry(*index).len();
        at < end
    });
    ends.unwrap()
}

/// The index that must be named when this byte is flipped.
fn index_at(tile: &Tile, at: usize) -> u64 {
    match tile.level() {
        Level::Entries => entry_at(tile, at),
        Level::Hashes(level) => tile.first_leaf() + ((at as u64 / 32) << (8 * level)),
    }
}

fn names_the_flip(log: &Log, files: &mut Files, tile: Tile, at: usize, bit: u8) {
    files.get_mut(&tile).unwrap()[at] ^= bit;
    let finding = audit(files, log.edge.head()).unwrap_err();
    let fault = if tile.level() == Level::Entries { Fault::Entry } else { Fault::Hash };
    let expected = Finding { tile: Some(tile), index: index_at(&tile, at), fault };
    assert_eq!(finding, expected, "byte {at} of {tile}");
    files.get_mut(&tile).unwrap()[at] ^= bit;
}

#[test]
fn sound_logs_of_any_size_pass() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 600, 65_536, 66_000] {
        let log = Log::of(size);
        assert_eq!(audit(&log.current(), log.edge.head()), Ok(size));
    }
}

#[test]
fn every_flipped_byte_is_named_with_its_file_and_entry() {
    for size in [1, 256, 300] {
        let log = Log::of(size);
        let mut files = log.current();
        for (tile, bytes) in files.clone() {
            for at in 0..bytes.len() {
                names_the_flip(&log, &mut files, tile, at, 1 << (at % 8));
            }
        }
    }
}

/// With three levels of tiles: a byte of each file, of large tiles several.
#[test]
fn a_flipped_byte_on_any_level_is_named() {
    let log = Log::of(66_000);
    let mut files = log.current();
    let tiles = files.clone();
    for (nth, (tile, bytes)) in tiles.iter().enumerate() {
        let rare = tile.level() <= Level::Hashes(0) && nth % 16 != 0;
        let wanted = if rare { 0 } else { 3 };
        for turn in 0..wanted {
            names_the_flip(&log, &mut files, *tile, (turn * 4_099 + nth) % bytes.len(), 0x10);
        }
    }
    assert_eq!(audit(&files, log.edge.head()), Ok(66_000));
}

#[test]
fn a_missing_file_and_a_wrong_length_are_named() {
    let log = Log::of(600);
    let head = log.edge.head();
    for (tile, bytes) in log.current() {
        let (is_bundle, length) = (tile.level() == Level::Entries, bytes.len());
        let named = |files: &Files| {
            let finding = audit(files, head).unwrap_err();
            assert_eq!(finding.tile, Some(tile));
            finding.fault
        };
        let mut files = log.current();
        files.remove(&tile);
        assert_eq!(named(&files), Fault::Missing);
        files.insert(tile, bytes[..length - 1].to_vec());
        let short = Fault::Length { expected: length, actual: length - 1 };
        assert_eq!(named(&files), if is_bundle { Fault::Entry } else { short });
        files.insert(tile, [bytes.as_slice(), &[0]].concat());
        let long = Fault::Length { expected: length, actual: length + 1 };
        assert_eq!(named(&files), if is_bundle { Fault::Trailing } else { long });
        files.insert(tile, Vec::new());
        let none = Fault::Length { expected: length, actual: 0 };
        assert_eq!(named(&files), if is_bundle { Fault::Entry } else { none });
    }
}

/// Whoever rewrites an entry and all that lies above it has another root, which was not signed.
#[test]
fn a_log_rewritten_throughout_does_not_give_the_signed_root() {
    let log = Log::of(600);
    let signed = TreeHead { root: leaf_hash(b"another log"), ..log.edge.head() };
    let finding = audit(&log.current(), signed).unwrap_err();
    assert_eq!(finding, Finding { tile: None, index: 0, fault: Fault::Root });
    let finding = audit(&Log::of(0).files, TreeHead { size: 0, ..signed }).unwrap_err();
    assert_eq!(finding.fault, Fault::Root);
}

/// Entry and leaf hash changed together: the tile above knows that the tile is the false one.
#[test]
fn a_tile_that_agrees_with_a_false_entry_is_named() {
    let log = Log::of(600);
    let mut files = log.current();
    let bundle = Tile::in_log(Level::Entries, 0, 600).unwrap();
    let leaves = Tile::in_log(Level::Hashes(0), 0, 600).unwrap();
    let bytes = files.get_mut(&bundle).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let forged = leaf_hash(mesh_tlog::decode_bundle(bytes, 256).unwrap()[255]);
    files.get_mut(&leaves).unwrap()[255 * 32..].copy_from_slice(&forged.0);
    let finding = audit(&files, log.edge.head()).unwrap_err();
    assert_eq!((finding.tile, finding.fault), (Some(leaves), Fault::Hash));
}

#[test]
fn an_audit_may_start_where_the_last_one_ended_and_stops_at_a_fault() {
    let log = Log::of(1_000);
    let mut files = log.current();
    files.remove(&Tile::in_log(Level::Entries, 1, 1_000).unwrap());
    let audit = Audit::begin(&files, log.edge.head()).unwrap();
    let bundles: Vec<_> = audit.starting_at(520).collect();
    let firsts: Vec<u64> =
        bundles.iter().map(|bundle| bundle.as_ref().unwrap().entries().next().unwrap().0).collect();
    assert_eq!(firsts, [512, 768]);
    let results: Vec<bool> =
        Audit::begin(&files, log.edge.head()).unwrap().map(|bundle| bundle.is_ok()).collect();
    assert_eq!(results, [true, false]);
}
