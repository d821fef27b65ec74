//! What a client accepts, and what it refuses and keeps.

use mesh_tlog::{
    Checkpoint, Edge, ProofError, Prover, Remembered, SignedCheckpoint, TreeHead, Verdict,
    leaf_hash,
};

use crate::kit::{Log, log_key, trusted};

/// The log's twin with other entries from 40 on: what a log shows that has forked.
fn twin(size: u64) -> Log {
    let mut log = Log::of(40);
    let entries: Vec<Vec<u8>> =
        (40..size).map(|index| format!("other {index}").into_bytes()).collect();
    let (edge, files) = log.edge.integrate(&entries).unwrap();
    files.iter().for_each(|file| log.write(file));
    log.edge = edge;
    log
}

fn judge(remembered: &Log, seen: &Log, proof_of: &Log) -> Verdict {
    let remembered = Remembered::new(remembered.checkpoint());
    let seen = seen.checkpoint();
    let proof = remembered
        .proof_wanted(&seen)
        .map(|old| Prover::new(&proof_of.files, proof_of.edge.head()).consistency(old).unwrap());
    remembered.judge(seen, &proof.unwrap_or_default()).unwrap()
}

#[test]
fn a_log_that_grew_or_stayed_is_accepted() {
    for (old, new) in [(0, 0), (0, 5), (1, 2), (40, 100), (100, 100), (256, 700)] {
        let log = Log::of(new);
        let verdict = judge(&Log::of(old), &log, &log);
        assert_eq!(verdict, Verdict::Accept(Remembered::new(log.checkpoint())), "{old} to {new}");
    }
}

#[test]
fn an_older_log_is_a_rollback_with_both_checkpoints_as_evidence() {
    let (old, new) = (Log::of(99), Log::of(100));
    let Verdict::Rollback(evidence) = judge(&new, &old, &old) else { panic!("no rollback") };
    assert!(!evidence.is_conclusive());
    let [remembered, seen, proof] = evidence.files();
    assert_eq!(trusted().open(remembered.1.as_bytes()).unwrap(), new.checkpoint());
    assert_eq!(trusted().open(seen.1.as_bytes()).unwrap(), old.checkpoint());
    assert_eq!(proof.1, "");
}

#[test]
fn a_forked_log_is_refused_whatever_it_proves() {
    let (kept, fork) = (Log::of(60), twin(100));
    // Its own proof speaks of another old root; the kept log's proof leads elsewhere.
    for proof_of in [&fork, &Log::of(100)] {
        let Verdict::Fork(evidence) = judge(&kept, &fork, proof_of) else { panic!("no fork") };
        assert!(matches!(evidence.reason, ProofError::OldRoot | ProofError::Root));
        assert!(!evidence.is_conclusive() && !evidence.proof.is_empty());
    }
    let Verdict::Fork(evidence) = judge(&kept, &twin(60), &kept) else { panic!("no fork") };
    assert!(evidence.is_conclusive());
    // From before the fork on, both are continuations.
    assert!(matches!(judge(&Log::of(40), &fork, &fork), Verdict::Accept(_)));
}

#[test]
fn an_empty_log_with_another_root_is_a_fork() {
    let head = TreeHead { size: 0, root: leaf_hash(b"") };
    let checkpoint = Checkpoint::new(crate::kit::ORIGIN, head).unwrap();
    let seen = SignedCheckpoint::sign(checkpoint, &log_key()).unwrap();
    let remembered = Remembered::new(Log { edge: Edge::empty(), ..Log::default() }.checkpoint());
    assert!(matches!(remembered.judge(seen, &[]), Ok(Verdict::Fork(_))));
}

#[test]
fn another_log_is_not_compared() {
    let checkpoint = Checkpoint::new("mesh.example/ideas/v2", Log::of(5).edge.head()).unwrap();
    let seen = SignedCheckpoint::sign(checkpoint, &log_key()).unwrap();
    let error = Remembered::new(Log::of(5).checkpoint()).judge(seen, &[]).unwrap_err();
    assert_eq!(
        (error.remembered.as_str(), error.seen.as_str()),
        (crate::kit::ORIGIN, "mesh.example/ideas/v2")
    );
}
