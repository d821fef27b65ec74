//! Appending: the same bytes however it is cut, stopped and taken up again.

use std::{collections::BTreeMap, convert::Infallible};

use mesh_tlog::{
    ENTRY_BYTES_MAX, Edge, EdgeError, IntegrateError, Level, ProofError, ProveError, Prover, Tile,
    TileError, consistency_tiles, decode_bundle, inclusion_tiles, leaf_hash,
};
use proptest::{collection::vec, prelude::*};

use crate::kit::{Log, entry};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cut into batches at random, the current files and the head are those of one batch, and each
    /// partial file that was written on the way is a beginning of the full one.
    #[test]
    fn batches_of_any_size_give_the_tiles_of_one_batch(batches in vec(0_u64..700, 0..12)) {
        let mut log = Log::default();
        for batch in batches {
            let size = log.edge.head().size;
            log.append(size..size + batch);
        }
        let whole = Log::of(log.edge.head().size);
        prop_assert_eq!(&log.edge, &whole.edge);
        prop_assert_eq!(log.current(), whole.current());
        for (tile, bytes) in &log.files {
            let whole = whole.files.iter().find(|(other, _)| {
                (other.level(), other.index()) == (tile.level(), tile.index())
            });
            prop_assert!(whole.unwrap().1.starts_with(bytes), "{}", tile);
        }
    }
}

/// Two levels of tiles grow while a batch is written; it is stopped behind each file. The edge read from
/// what was signed last gives the same files again, and the log goes on as if nothing had been.
#[test]
fn stopped_behind_any_file_it_goes_on_with_the_same_bytes() {
    let (signed, size) = (65_530, 65_900);
    let before = Log::of(signed);
    let entries: Vec<Vec<u8>> = (signed..size).map(entry).collect();
    let (edge, files) = before.edge.integrate(&entries).unwrap();
    assert_eq!(files.len(), 9, "two bundles, four tiles filled or wider on level 0, 1 and 2");
    for written in 0..=files.len() {
        let mut log = before.clone();
        files[..written].iter().for_each(|file| log.write(file));
        log.edge = Edge::load(&log.files, before.edge.head()).unwrap();
        assert_eq!(log.edge, before.edge);
        let (again, rewritten) = log.edge.integrate(&entries).unwrap();
        assert_eq!((&again, &rewritten), (&edge, &files));
        // A batch that grew meanwhile gives other partial files, with names of their own.
        log.append(signed..size + 77);
        assert_eq!(log.current(), Log::of(size + 77).current());
    }
}

/// A partial file may be deleted once the full one is there; both the edge and proofs do without.
#[test]
fn a_partial_file_is_replaced_by_the_full_one() {
    let old = Log::of(300);
    let mut log = Log::of(600);
    let head = old.edge.head();
    assert_eq!(log.files.len(), log.current().len());
    // The edge of level 1 is still partial and must be there.
    let level_1 = Tile::in_log(Level::Hashes(1), 0, 300).unwrap();
    log.files.insert(level_1, old.files[&level_1].clone());
    assert_eq!(Edge::load(&log.files, head).unwrap(), old.edge);
    let mut prover = Prover::new(&log.files, head);
    assert_eq!(
        prover.inclusion(299).unwrap(),
        Prover::new(&old.files, head).inclusion(299).unwrap()
    );
}

#[test]
fn entries_may_be_empty_and_as_long_as_two_bytes_can_say() {
    let entries = [Vec::new(), vec![b'x'; ENTRY_BYTES_MAX], Vec::new()];
    let (edge, files) = Edge::empty().integrate(&entries).unwrap();
    assert_eq!(edge.head().size, 3);
    assert_eq!(files[0].tile.to_string(), "tile/entries/000.p/3");
    assert_eq!(decode_bundle(&files[0].bytes, 3).unwrap(), entries);
    let too_long = [b"good".to_vec(), vec![0; ENTRY_BYTES_MAX + 1]];
    assert_eq!(
        edge.integrate(&too_long),
        Err(IntegrateError::EntryTooLong { entry: 1, bytes: 65_536 })
    );
    let none: [Vec<u8>; 0] = [];
    assert_eq!(edge.integrate(&none).unwrap(), (edge.clone(), Vec::new()));
}

#[test]
fn a_damaged_edge_is_not_loaded() {
    let log = Log::of(70_000);
    let head = log.edge.head();
    for tile in Tile::edge(head.size) {
        let mut missing = log.files.clone();
        missing.remove(&tile);
        let error = Edge::load(&missing, head).unwrap_err();
        assert!(
            matches!(error, EdgeError::Tile(TileError::Missing { tile: named }) if named == tile)
        );
        let mut short = log.files.clone();
        short.get_mut(&tile).unwrap().pop();
        let error: EdgeError<Infallible> = Edge::load(&short, head).unwrap_err();
        match tile.level() {
            Level::Entries => assert!(matches!(error, EdgeError::Bundle { .. })),
            Level::Hashes(_) => assert!(matches!(error, EdgeError::Tile(TileError::Length { .. }))),
        }
        let mut flipped = log.files.clone();
        flipped.get_mut(&tile).unwrap()[2] ^= 1;
        let error = Edge::load(&flipped, head).unwrap_err();
        match tile.level() {
            Level::Entries => assert!(matches!(error, EdgeError::Entry { index: 69_888 })),
            Level::Hashes(_) => assert!(matches!(error, EdgeError::Root { .. })),
        }
    }
}

/// A prover fails on damaged tiles; it never hands out a proof that does not hold.
#[test]
fn a_damaged_tile_gives_no_proof() {
    let log = Log::of(600);
    let head = log.edge.head();
    for tile in log.files.keys().filter(|tile| tile.level() != Level::Entries) {
        let mut spoiled = log.files.clone();
        spoiled.get_mut(tile).unwrap()[40 % (usize::from(tile.width()) * 32)] ^= 1;
        let mut refused = 0;
        for index in 0..600 {
            match Prover::new(&spoiled, head).inclusion(index) {
                Ok(proof) => {
                    mesh_tlog::verify_inclusion(head, index, leaf_hash(&entry(index)), &proof)
                        .unwrap()
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 0, "{tile}");
    }
}

/// Whoever reads over a network fetches first what a proof needs, and no more.
#[test]
fn the_named_tiles_are_all_that_a_proof_reads() {
    let log = Log::of(70_000);
    for (index, size) in
        [(0, 1), (5, 300), (255, 256), (65_536, 70_000), (69_999, 70_000), (3, 65_537)]
    {
        let log = if size == 70_000 { log.clone() } else { Log::of(size) };
        let head = log.edge.head();
        let only = |tiles: Vec<Tile>| -> BTreeMap<Tile, Vec<u8>> {
            tiles.into_iter().map(|tile| (tile, log.files[&tile].clone())).collect()
        };
        let fetched = only(inclusion_tiles(index, size));
        Prover::new(&fetched, head).inclusion(index).unwrap();
        let fetched = only(consistency_tiles(index + 1, size));
        Prover::new(&fetched, head).consistency(index + 1).unwrap();
        assert!(fetched.len() <= 6, "{}", fetched.len());
    }
    assert_eq!((inclusion_tiles(5, 5), consistency_tiles(0, 5)), (Vec::new(), Vec::new()));
    assert_eq!(consistency_tiles(6, 5), Vec::new());
    let mut prover = Prover::new(&log.files, log.edge.head());
    assert!(matches!(
        prover.inclusion(70_000),
        Err(ProveError::Proof(ProofError::NoSuchLeaf { .. }))
    ));
    assert!(matches!(
        prover.consistency(70_001),
        Err(ProveError::Proof(ProofError::Shrunk { .. }))
    ));
    assert_eq!(prover.consistency(0).unwrap(), Vec::new());
}
