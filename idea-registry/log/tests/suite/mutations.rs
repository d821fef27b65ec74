//! Whatever is changed in a proof, a checkpoint or a proof file, it is refused.

use mesh_tlog::{
    Hash, ProofError, ProofFile, Prover, SignedCheckpoint, Timestamp, TreeHead, VerifierKey,
    leaf_hash, verify_consistency, verify_inclusion,
};

use crate::kit::{Log, entry, mutations, trusted, witness_key};

/// Each proof with one bit of one hash flipped, one hash missing, one doubled or two swapped.
fn spoiled(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        for bit in 0..256 {
            let mut flipped = proof.to_vec();
            flipped[at].0[bit / 8] ^= 1 << (bit % 8);
            all.push(flipped);
        }
        let mut missing = proof.to_vec();
        missing.remove(at);
        all.push(missing);
        let mut swapped = proof.to_vec();
        swapped.swap(at, (at + 1) % proof.len());
        all.extend((swapped != proof).then_some(swapped));
    }
    for at in 0..=proof.len() {
        let mut padded = proof.to_vec();
        padded.insert(at, proof.get(at).copied().unwrap_or(Hash([0; 32])));
        all.push(padded);
    }
    all
}

#[test]
fn an_inclusion_proof_with_anything_changed_is_refused() {
    for (size, index) in [(1, 0), (2, 1), (5, 4), (7, 3), (256, 255), (1000, 357), (1025, 1024)] {
        let log = Log::of(size);
        let head = log.edge.head();
        let leaf = leaf_hash(&entry(index));
        let proof = Prover::new(&log.files, head).inclusion(index).unwrap();
        verify_inclusion(head, index, leaf, &proof).unwrap();
        for spoiled in spoiled(&proof) {
            verify_inclusion(head, index, leaf, &spoiled).unwrap_err();
        }
        for other in (0..size + 3).filter(|other| *other != index) {
            verify_inclusion(head, other, leaf, &proof).unwrap_err();
        }
        verify_inclusion(head, index, leaf_hash(b"another"), &proof).unwrap_err();
        verify_inclusion(TreeHead { root: Hash([9; 32]), ..head }, index, leaf, &proof)
            .unwrap_err();
    }
}

#[test]
fn a_consistency_proof_with_anything_changed_is_refused() {
    for (old, new) in [(1, 2), (3, 4), (4, 7), (6, 8), (357, 1000), (256, 1000), (1024, 1025)] {
        let log = Log::of(new);
        let (old, new) = (Log::of(old).edge.head(), log.edge.head());
        let proof = Prover::new(&log.files, new).consistency(old.size).unwrap();
        verify_consistency(old, new, &proof).unwrap();
        for spoiled in spoiled(&proof) {
            verify_consistency(old, new, &spoiled).unwrap_err();
        }
        let other = Hash([9; 32]);
        verify_consistency(TreeHead { root: other, ..old }, new, &proof).unwrap_err();
        verify_consistency(old, TreeHead { root: other, ..new }, &proof).unwrap_err();
        for size in (0..new.size).filter(|size| *size != old.size) {
            verify_consistency(TreeHead { size, ..old }, new, &proof).unwrap_err();
        }
    }
}

#[test]
fn a_proof_of_another_length_is_called_so() {
    let log = Log::of(1000);
    let head = log.edge.head();
    let mut prover = Prover::new(&log.files, head);
    let old = TreeHead { size: 357, root: prover.root_at(357).unwrap() };
    let (inclusion, consistency) =
        (prover.inclusion(357).unwrap(), prover.consistency(357).unwrap());
    let leaf = leaf_hash(&entry(357));
    let longer = |proof: &[Hash]| [proof, &[leaf]].concat();
    let shorter = |proof: &[Hash]| proof[..proof.len() - 1].to_vec();
    let included = |proof: Vec<Hash>| verify_inclusion(head, 357, leaf, &proof);
    assert_eq!(included(longer(&inclusion)), Err(ProofError::TooLong));
    assert_eq!(included(shorter(&inclusion)), Err(ProofError::TooShort));
    let continued = |proof: Vec<Hash>| verify_consistency(old, head, &proof);
    assert_eq!(continued(longer(&consistency)), Err(ProofError::TooLong));
    assert_eq!(continued(shorter(&consistency)), Err(ProofError::TooShort));
    assert_eq!(continued(Vec::new()), Err(ProofError::TooShort));
}

#[test]
fn heads_that_need_no_proof_are_still_compared() {
    let head = Log::of(9).edge.head();
    let other = TreeHead { root: leaf_hash(b""), ..head };
    assert_eq!(verify_consistency(head, head, &[]), Ok(()));
    assert_eq!(verify_consistency(head, head, &[head.root]), Err(ProofError::TooLong));
    assert_eq!(verify_consistency(head, other, &[]), Err(ProofError::SameSize));
    assert_eq!(verify_consistency(TreeHead::EMPTY, head, &[]), Ok(()));
    assert_eq!(verify_consistency(TreeHead::EMPTY, head, &[head.root]), Err(ProofError::TooLong));
    let false_empty = TreeHead { root: head.root, ..TreeHead::EMPTY };
    assert_eq!(verify_consistency(false_empty, head, &[]), Err(ProofError::EmptyRoot));
    assert_eq!(
        verify_consistency(head, TreeHead::EMPTY, &[]),
        Err(ProofError::Shrunk { old: 9, new: 0 })
    );
}

fn witnesses() -> [VerifierKey; 2] {
    [1, 2].map(|seed| witness_key(seed).verifier().clone())
}

/// A checkpoint that two witnesses have cosigned.
fn cosigned(log: &Log) -> SignedCheckpoint {
    let mut checkpoint = log.checkpoint();
    for seed in [1, 2] {
        let at = Timestamp::new(1_700_000_000 + u64::from(seed)).unwrap();
        let line = checkpoint.cosign(&witness_key(seed), at).unwrap().to_string();
        checkpoint.add_cosignatures(&line, &witnesses()).unwrap();
    }
    checkpoint
}

/// Whether the policy "the log and both witnesses" believes it.
fn believed(checkpoint: &SignedCheckpoint) -> bool {
    checkpoint.cosignatures(&witnesses()).is_ok_and(|found| found.len() == 2)
}

#[test]
fn a_checkpoint_with_anything_changed_is_refused() {
    let checkpoint = cosigned(&Log::of(300)).to_string();
    let open = |bytes: &[u8]| trusted().open(bytes).is_ok_and(|read| believed(&read));
    assert!(open(checkpoint.as_bytes()));
    for bytes in mutations(checkpoint.as_bytes()) {
        assert!(!open(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }
}

/// The entry is the file's extra data, so all of the file is proved by it.
#[test]
fn a_proof_file_with_anything_changed_is_refused() {
    let log = Log::of(1000);
    let index = 357;
    let path = Prover::new(&log.files, log.edge.head()).inclusion(index).unwrap();
    let checkpoint = cosigned(&log).into();
    let file = ProofFile { extra: Some(entry(index)), index, path, checkpoint }.to_string();
    let check = |bytes: &[u8]| {
        let Ok(file) = ProofFile::parse(bytes) else { return false };
        let Some(entry) = file.extra.clone() else { return false };
        file.verify(&trusted(), leaf_hash(&entry)).is_ok_and(|checkpoint| believed(&checkpoint))
    };
    assert!(check(file.as_bytes()));
    for bytes in mutations(file.as_bytes()) {
        assert!(!check(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }
}
