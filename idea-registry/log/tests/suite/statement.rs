//! What a log says beside its checkpoints.

use mesh_tlog::{
    KeyKind, SignatureError, SignerKey, StatementError, TrustedLog, UnverifiedCheckpoint,
    sign_statement,
};

use crate::kit::ORIGIN;

const KIND: &str = "an example of a kind v1";

fn key(seed: u8) -> SignerKey {
    SignerKey::new(ORIGIN, KeyKind::Log, &[seed; 32]).unwrap()
}

fn log(seed: u8) -> TrustedLog {
    TrustedLog::from_key(key(seed).verifier().clone()).unwrap()
}

#[test]
fn a_statement_is_read_back_by_its_kind_its_log_and_its_key_alone() {
    let lines = ["one".to_owned(), "two words".to_owned()];
    let note = sign_statement(KIND, &lines, &key(1)).unwrap();
    assert_eq!(log(1).open_statement(KIND, note.as_bytes()), Ok(lines.to_vec()));
    assert_eq!(
        log(2).open_statement(KIND, note.as_bytes()),
        Err(StatementError::Signature(SignatureError::Unsigned))
    );
    let other = log(1).open_statement("another kind", note.as_bytes());
    assert!(matches!(other, Err(StatementError::Kind { .. })), "{other:?}");
    for at in 0..note.len() {
        let mut bad = note.clone().into_bytes();
        bad[at] ^= 1;
        assert!(log(1).open_statement(KIND, &bad).is_err(), "byte {at} was changed");
    }
}

#[test]
fn a_statement_is_never_a_checkpoint_and_a_checkpoint_no_statement() {
    let note = sign_statement(KIND, &["a line".into()], &key(1)).unwrap();
    assert!(UnverifiedCheckpoint::parse(note.as_bytes()).is_err());
    // A log that is called like a size, and a line that is a root.
    let sly = SignerKey::new("5", KeyKind::Log, &[3; 32]).unwrap();
    let root = [mesh_tlog::EMPTY_ROOT.to_string()];
    assert_eq!(sign_statement(KIND, &root, &sly), Err(StatementError::Form));
    for line in ["", "a\nb", "a\n\nb"] {
        assert_eq!(sign_statement(KIND, &[line.into()], &key(1)), Err(StatementError::Form));
    }
    let witness = SignerKey::new(ORIGIN, KeyKind::Witness, &[1; 32]).unwrap();
    assert!(matches!(sign_statement(KIND, &[], &witness), Err(StatementError::Key(_))));
}
