//! The same answers as implementations that share no code with this one: `ct-merkle` for trees and
//! proofs, `tlog_tiles` and `signed_note` (ports of Go's `tlog` and `note`) for tiles and notes.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use mesh_tlog::{Hash, Prover, TreeHead, leaf_hash, verify_consistency, verify_inclusion};
use sha2::Sha256;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{HashReader, TileHashReader, TileReader};

use crate::kit::{Log, entry, log_key};

const SIZE_TESTED_MAX: u64 = 1_025;

fn bytes(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(|hash| hash.0).collect()
}

/// All sizes from 0 on, at each of them all inclusion proofs and the consistency proofs from all smaller
/// ones: byte for byte those of `ct-merkle`, and accepted here.
#[test]
fn trees_and_proofs_of_all_small_sizes_are_those_of_ct_merkle() {
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut ours = Log::default();
    let mut heads: Vec<TreeHead> = Vec::new();
    for size in 0..=SIZE_TESTED_MAX {
        if size > 0 {
            theirs.push(entry(size - 1));
            ours.append(size - 1..size);
        }
        let head = ours.edge.head();
        assert_eq!(head.root.0.as_slice(), theirs.root().as_bytes().as_slice(), "size {size}");
        heads.push(head);
        let mut prover = Prover::new(&ours.files, head);
        for index in 0..size {
            let proof = prover.inclusion(index).unwrap();
            let expected = theirs.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(bytes(&proof), expected.as_bytes(), "leaf {index} of {size}");
            verify_inclusion(head, index, leaf_hash(&entry(index)), &proof).unwrap();
        }
        for old in &heads {
            let proof = prover.consistency(old.size).unwrap();
            verify_consistency(*old, head, &proof).unwrap();
            if old.size > 0 {
                let expected = theirs.prove_consistency(usize::try_from(size - old.size).unwrap());
                assert_eq!(bytes(&proof), expected.as_bytes(), "{} to {size}", old.size);
            }
        }
    }
}

/// Hands our tiles to `tlog_tiles`.
struct TheirReader<'a>(&'a Log);

impl TileReader for TheirReader<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            // Their paths name the height, which C2SP's do not.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            Ok(self.0.files[&path.parse().unwrap()].clone())
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// A log with three levels of tiles, read by the port of Go's client, which checks each tile it reads.
#[test]
fn go_reads_our_tiles_and_makes_the_same_proofs() {
    let log = Log::of(70_000);
    let head = log.edge.head();
    let reader = TheirReader(&log);
    let theirs = TileHashReader::new(head.size, tlog_tiles::Hash(head.root.0), &reader);
    let mut prover = Prover::new(&log.files, head);
    let flat =
        |proof: Vec<tlog_tiles::Hash>| proof.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>();
    for index in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let hash = theirs.read_hashes(&[tlog_tiles::stored_hash_index(0, index)]).unwrap();
        assert_eq!(hash[0].0, leaf_hash(&entry(index)).0);
        let expected = tlog_tiles::prove_record(head.size, index, &theirs).unwrap();
        assert_eq!(bytes(&prover.inclusion(index).unwrap()), flat(expected), "leaf {index}");
    }
    for old in [1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999, 70_000] {
        let expected = tlog_tiles::prove_tree(head.size, old, &theirs).unwrap();
        assert_eq!(bytes(&prover.consistency(old).unwrap()), flat(expected), "from {old}");
        let root = tlog_tiles::tree_hash(old, &theirs).unwrap();
        assert_eq!(prover.root_at(old).unwrap().0, root.0);
    }
}

#[test]
fn go_reads_our_checkpoints_and_keys() {
    let text = Log::of(300).checkpoint().to_string();
    let key = log_key();
    let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
    let note = signed_note::Note::from_bytes(text.as_bytes()).unwrap();
    let (verified, unverified) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (key.verifier().name(), 300));
    let signer = signed_note::StandardSigner::new(&key.secret()).unwrap();
    let mut again = signed_note::Note::new(note.text(), &[]).unwrap();
    again.add_sigs(&[&signer]).unwrap();
    assert_eq!(again.to_bytes(), text.as_bytes());
}
