//! What a witness answers, in a conversation of ours and in a published one.

use mesh_tlog::{
    AddCheckpoint, Checkpoint, Cosigned, KeyError, Prover, Refused, RequestError, SignatureError,
    SignedCheckpoint, Timestamp, TreeHead, TrustedLog, VerifierKey, Witness, leaf_hash,
    origin_hash,
};

use crate::kit::{Log, log_key, mutations, trusted, witness_key};

const NOW: u64 = 1_700_000_000;

fn witness() -> Witness {
    Witness::new(witness_key(1), vec![trusted()]).unwrap()
}

fn decide(request: AddCheckpoint, last: Option<TreeHead>) -> Result<Cosigned, Refused> {
    witness().decide(request, last, Timestamp::new(NOW).unwrap())
}

/// A request to cosign the log, from a size it had, with its own proof.
fn request(log: &Log, old_size: u64) -> AddCheckpoint {
    let proof = Prover::new(&log.files, log.edge.head()).consistency(old_size).unwrap();
    AddCheckpoint { old_size, proof, checkpoint: log.checkpoint().into() }
}

fn status(result: Result<Cosigned, Refused>) -> (u16, bool) {
    let refused = result.unwrap_err();
    (refused.status(), refused.is_fork())
}

#[test]
fn a_log_that_grows_is_cosigned_at_each_step() {
    let mut last = None;
    for size in [0, 0, 3, 3, 40, 256, 300] {
        let log = Log::of(size);
        let old_size = last.map_or(0, |head: TreeHead| head.size);
        let cosigned = decide(request(&log, old_size), last).unwrap();
        assert_eq!(cosigned.head, log.edge.head());
        let key = witness_key(1).verifier().clone();
        let found = cosigned.checkpoint.cosignatures(std::slice::from_ref(&key)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].witness.as_str(), found[0].at.seconds()), (key.name(), NOW));
        // The log adds the answer to its own checkpoint and has what the witness shows.
        let mut ours = log.checkpoint();
        assert_eq!(ours.add_cosignatures(&cosigned.answer, &[key]).unwrap(), found);
        assert_eq!(ours, cosigned.checkpoint);
        assert_eq!(trusted().open(ours.to_string().as_bytes()).unwrap(), ours);
        last = Some(cosigned.head);
    }
}

#[test]
fn each_refusal_has_the_status_of_the_protocol() {
    let (old, new) = (Log::of(40), Log::of(100));
    let last = Some(old.edge.head());
    let body = request(&new, 40).to_string();
    assert_eq!(AddCheckpoint::parse(body.as_bytes()).unwrap(), request(&new, 40));
    assert!(decide(request(&new, 40), last).is_ok());

    let other = TrustedLog::new("other.example/log", vec![log_key().verifier().clone()]).unwrap();
    let unknown = Witness::new(witness_key(1), vec![other]).unwrap();
    let answer = unknown.decide(request(&new, 40), last, Timestamp::new(NOW).unwrap());
    assert_eq!(status(answer), (404, false));

    let foreign =
        mesh_tlog::SignerKey::new(crate::kit::ORIGIN, mesh_tlog::KeyKind::Log, &[9; 32]).unwrap();
    let unsigned =
        SignedCheckpoint::sign(new.checkpoint().checkpoint().clone(), &foreign).unwrap().into();
    let unsigned = AddCheckpoint { checkpoint: unsigned, ..request(&new, 40) };
    assert!(matches!(
        decide(unsigned.clone(), last),
        Err(Refused::Signature(SignatureError::Unsigned))
    ));
    assert_eq!(status(decide(unsigned, last)), (403, false));

    let too_large = AddCheckpoint { old_size: 101, ..request(&new, 40) };
    assert_eq!(status(decide(too_large, last)), (400, false));

    for (asked, last, size) in [(0, last, "40\n"), (39, last, "40\n"), (40, None, "0\n")] {
        let refused = decide(request(&new, asked), last).unwrap_err();
        assert_eq!(refused.status(), 409);
        assert_eq!(refused.body(), ("text/x.tlog.size", size.to_owned()));
    }

    let unproved = AddCheckpoint { proof: Vec::new(), ..request(&new, 40) };
    assert_eq!(status(decide(unproved, last)), (422, false));
    let superfluous = AddCheckpoint { proof: vec![leaf_hash(b"")], ..request(&new, 0) };
    assert_eq!(status(decide(superfluous, None)), (422, false));
}

#[test]
fn two_roots_of_one_size_are_refused_and_known_for_what_they_are() {
    let log = Log::of(100);
    let other = TreeHead { root: leaf_hash(b"other"), ..log.edge.head() };
    let same_size = AddCheckpoint { old_size: 100, ..request(&log, 0) };
    assert_eq!(status(decide(same_size.clone(), Some(other))), (409, true));
    // One that asks from elsewhere is told the size, as the protocol has it, and is evidence all the same.
    assert_eq!(status(decide(request(&log, 40), Some(other))), (409, true));
    assert!(decide(same_size, Some(log.edge.head())).is_ok());
    let false_empty = TreeHead { root: leaf_hash(b""), size: 0 };
    let checkpoint = Checkpoint::new(crate::kit::ORIGIN, false_empty).unwrap();
    let checkpoint = SignedCheckpoint::sign(checkpoint, &log_key()).unwrap().into();
    let empty = AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint };
    assert_eq!(status(decide(empty, None)), (409, false));
}

/// Two requests that were decided on one state: what was persisted first makes the other a conflict.
#[test]
fn a_request_decided_again_after_another_cannot_roll_back() {
    let (small, large) = (Log::of(50), Log::of(60));
    let last = Some(Log::of(40).edge.head());
    let first = decide(request(&large, 40), last).unwrap();
    assert!(decide(request(&small, 40), last).is_ok());
    assert_eq!(status(decide(request(&small, 40), Some(first.head))), (409, false));
}

#[test]
fn a_request_with_anything_changed_is_not_cosigned_as_it_was() {
    let last = Some(Log::of(40).edge.head());
    let body = request(&Log::of(100), 40).to_string();
    let cosign = |body: &[u8]| decide(AddCheckpoint::parse(body)?, last);
    assert!(cosign(body.as_bytes()).is_ok());
    for bytes in mutations(body.as_bytes()) {
        assert!(cosign(&bytes).is_err(), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_proof_of_more_than_63_lines_is_refused() {
    let request = request(&Log::of(100), 40);
    let of = |lines| AddCheckpoint { proof: vec![leaf_hash(b""); lines], ..request.clone() };
    assert!(AddCheckpoint::parse(of(63).to_string().as_bytes()).is_ok());
    let parsed = AddCheckpoint::parse(of(64).to_string().as_bytes());
    assert_eq!(parsed, Err(RequestError::ProofTooLong));
}

#[test]
fn keys_of_one_kind_do_not_serve_as_the_other() {
    let (log, cosigner) = (log_key(), witness_key(1));
    assert!(matches!(Witness::new(log.clone(), Vec::new()), Err(KeyError::Kind { .. })));
    let key = cosigner.verifier().clone();
    assert!(matches!(TrustedLog::from_key(key), Err(KeyError::Kind { .. })));
    assert_eq!(TrustedLog::new("log", Vec::new()), Err(KeyError::None));
    let checkpoint = Log::of(1).checkpoint();
    assert!(checkpoint.cosign(&log, Timestamp::new(NOW).unwrap()).is_err());
    assert!(SignedCheckpoint::sign(checkpoint.checkpoint().clone(), &cosigner).is_err());
    // The log's own signature is not counted as one of a witness.
    assert_eq!(checkpoint.cosignatures(&[log.verifier().clone()]), Ok(Vec::new()));
    assert!(Timestamp::new(0).is_none() && Timestamp::new(1 << 63).is_none());
}

/// An answer with lines of others in it: ours are taken, theirs left; a false one spoils it.
#[test]
fn only_known_witnesses_are_added() {
    let mut checkpoint = Log::of(5).checkpoint();
    let line = |seed, at| {
        let at = Timestamp::new(at).unwrap();
        checkpoint.cosign(&witness_key(seed), at).unwrap().to_string()
    };
    let (one, two, later) = (line(1, NOW), line(2, NOW), line(1, NOW + 1));
    let known = [witness_key(1).verifier().clone()];
    let before = checkpoint.clone();
    let spoiled = before.cosign(&witness_key(1), Timestamp::new(NOW).unwrap()).unwrap();
    assert_eq!(checkpoint.add_cosignatures(&format!("{two}{one}"), &known).unwrap().len(), 1);
    assert_eq!(checkpoint.to_string(), format!("{before}{spoiled}"));
    checkpoint.add_cosignatures(&later, &known).unwrap();
    let found = checkpoint.cosignatures(&[known.clone(), known.clone()].concat()).unwrap();
    assert_eq!(found.iter().map(|found| found.at.seconds()).collect::<Vec<_>>(), [NOW + 1]);
    let of_another = Log::of(6).checkpoint().cosign(&witness_key(1), Timestamp::new(NOW).unwrap());
    let kept = checkpoint.clone();
    checkpoint.add_cosignatures(&of_another.unwrap().to_string(), &known).unwrap_err();
    assert_eq!(checkpoint, kept);
}

/// The conversation in the tests of litewitness, with a log and requests that it did not make itself.
#[test]
fn the_published_conversation_has_the_published_answers() {
    let origin =
        "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562";
    let key = VerifierKey::parse(&format!(
        "{origin}+5202289b+Af/cLU2Y5BJNP+r3iMDC+av9eWCD0fBJVDfzAux5zxAP"
    ));
    let log = TrustedLog::from_key(key.unwrap()).unwrap();
    let witness = Witness::new(witness_key(1), vec![log]).unwrap();
    let leaf = |n| format!("Kg{n}{}=\n", "A".repeat(39));
    let [leaf_0, leaf_1, leaf_2, leaf_3, leaf_4] = ["AA", "EA", "IA", "MA", "QA"].map(leaf);
    let signed = |size: u64, root: &str, signature: &str| {
        format!("\n{origin}\n{size}\n{root}\n\n— {origin} UgIom{signature}\n")
    };
    let one = signed(
        1,
        leaf_0.trim_end(),
        "7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
    );
    let three = signed(
        3,
        "RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=",
        "2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=",
    );
    let five = signed(
        5,
        "QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=",
        "w/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=",
    );
    let false_signature = three.replace("6go=", "6gs=");
    let false_root = three.replace("RcCI", "RcCJ");
    let (upper, lower) = (
        "+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=\n",
        "wgiIFdZfYNv6WU1OllBKsWnLYIS/DBMqt8Uh/S4OukE=\n",
    );
    let far = format!("KgIA{}BA=\n", "A".repeat(37));
    let conversation = [
        (format!("old 0\n{one}"), 200),
        (format!("old 1\n{leaf_1}{leaf_2}{false_signature}"), 403),
        (format!("old 1\n{leaf_1}{leaf_2}{false_root}"), 403),
        (format!("old 1\n{leaf_1}{leaf_2}{}", three.replace("e562", "e563")), 404),
        (format!("old 1\n{three}"), 422),
        (format!("old 1\n{leaf_1}{far}{three}"), 422),
        (format!("old 1\n{leaf_1}{leaf_2}{three}"), 200),
        (format!("old 1\n{leaf_1}{upper}{leaf_4}{five}"), 409),
        (format!("old 3\n{leaf_2}{leaf_3}{lower}{leaf_4}{five}"), 200),
        (format!("old 0\n{five}"), 409),
    ];
    let mut last = None;
    for (body, expected) in conversation {
        let request = AddCheckpoint::parse(body.as_bytes()).unwrap();
        assert_eq!(request.to_string(), body);
        let status = match witness.decide(request, last, Timestamp::new(NOW).unwrap()) {
            Ok(cosigned) => {
                last = Some(cosigned.head);
                200
            }
            Err(refused) => refused.status(),
        };
        assert_eq!(status, expected, "{body}");
    }
    assert_eq!(last.map(|head| head.size), Some(5));
}

/// As `sha256sum` gives it.
#[test]
fn checkpoints_are_shown_under_the_hash_of_the_origin() {
    assert_eq!(
        origin_hash("go.sum database tree"),
        "46613be2987d5d316f5ad065e4aa2eee26ccdd3de17a3735cd0da18156a22bdd"
    );
}

#[test]
fn two_logs_of_one_origin_are_refused() {
    let twice = Witness::new(witness_key(1), vec![trusted(), trusted()]);
    let origin = crate::kit::ORIGIN.to_owned();
    assert_eq!(twice.unwrap_err(), KeyError::SameOrigin { origin });
}
