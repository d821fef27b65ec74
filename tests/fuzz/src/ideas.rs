//! The targets of the ledger.
#![expect(clippy::unwrap_used, reason = "a broken promise must end the run")]

use mesh_ideas_core::{check, entry::leaf_data, import, near, parse_leaf, text};
use mesh_schemas::{
    Timestamp,
    idea::{LedgerAnswer, LedgerAsk, Submission},
};
use mesh_tlog::{
    AddCheckpoint, ProofFile, TILE_WIDTH, Tile, UnverifiedCheckpoint, VerifierKey, decode_bundle,
};

/// A leaf has one spelling, and a submission that is accepted is one that can be read again.
pub(crate) fn ledger_entry(bytes: &[u8]) {
    if let Ok(entry) = parse_leaf(bytes) {
        assert_eq!(leaf_data(&entry), bytes);
    }
    if let Ok(submission) = serde_json::from_slice::<Submission>(bytes) {
        let now = Timestamp::from_millis(i64::MAX / 2);
        if let Ok(checked) = check(&submission, now, &[submission.entry.author]) {
            assert_eq!(&parse_leaf(checked.data()).unwrap(), checked.entry());
        }
    }
    // Whatever they say, reading them must not panic.
    drop(serde_json::from_slice::<LedgerAsk>(bytes));
    drop(serde_json::from_slice::<LedgerAnswer>(bytes));
}

/// What travels between logs, clients and witnesses: whatever is read is written as it was.
pub(crate) fn log_file(bytes: &[u8]) {
    if let Ok(checkpoint) = UnverifiedCheckpoint::parse(bytes) {
        assert_eq!(checkpoint.to_string().as_bytes(), bytes);
    }
    if let Ok(proof) = ProofFile::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
    }
    drop(AddCheckpoint::parse(bytes));
    for width in [1, 7, TILE_WIDTH] {
        drop(decode_bundle(bytes, width));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(tile) = text.parse::<Tile>() {
        assert_eq!(tile.to_string(), text);
    }
    drop(VerifierKey::parse(text));
}

/// The normal form is its own normal form; a text is as like itself as can be, and is found by itself.
pub(crate) fn idea_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let normal = text::normal(text);
    assert_eq!(text::normal(&normal), normal);
    assert_eq!(text::content_hash(text), text::content_hash(&normal));
    assert!(text::title(text).chars().count() <= 121);
    drop(text::words(text));
    let found = near::near(text);
    assert_eq!(near::likeness(&found.signature, &found.signature), 1_000);
}

/// What was imported and exported again is imported as the same.
pub(crate) fn idea_import(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for read in [import::from_markdown, import::from_csv, import::from_github] {
        if let Ok(imported) = read(text) {
            for (place, draft) in imported.drafts.iter().enumerate() {
                assert!(draft.parent.is_none_or(|parent| parent < place), "parents come first");
                assert!(!draft.text.trim().is_empty());
            }
        }
    }
}
