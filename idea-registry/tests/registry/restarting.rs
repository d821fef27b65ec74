//! Going on: after a restart, after a loss, with a new origin.

use std::{fs, os::unix::fs::PermissionsExt as _};

use mesh_ideas::{
    rebuild::from_tiles,
    registry::Registry,
    restart::{Others, restart_origin},
};
use mesh_schemas::{
    ErrorCode,
    idea::{LedgerAnswer, LedgerAsk},
};

use crate::{
    filling::{append, fill, refused, verified},
    kit::{Home, answers, idea, some_text, until_signed},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_is_there_after_a_restart_and_verifies() {
    for home in Home::both().await {
        let registry = home.start().await;
        let submission = idea(1, &some_text());
        let first = append(&registry, &submission).await;
        fill(&registry).await;
        let size = registry.shared.writer.size();
        registry.stop().await;

        let registry = home.start().await;
        assert_eq!(registry.shared.writer.size(), size);
        let again = append(&registry, &submission).await;
        assert_eq!((again.index, again.entry, again.created), (first.index, first.entry, false));
        assert_eq!(registry.shared.writer.size(), size);
        registry.stop().await;
        let report = verified(&home).await;
        assert_eq!(report.findings, vec![]);
        assert_eq!(
            (report.signed, report.checked.entries, report.checked.leaves),
            (size, size, size)
        );
        assert!(report.checked.projections > 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_yesterday_halts_the_log_and_its_files_or_a_new_origin_go_on() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let early = append(&registry, &idea(1, &some_text())).await;
    until_signed(&registry).await;
    registry.stop().await;
    let database = home.place.data.join("ideas.db");
    let backup = home.dir.path().join("backup.db");
    fs::copy(&database, &backup).unwrap();
    let registry = home.start().await;
    let lost = idea(2, &some_text());
    append(&registry, &lost).await;
    until_signed(&registry).await;
    registry.stop().await;
    fs::copy(&backup, &database).unwrap();

    let registry = home.start().await;
    assert_eq!(refused(&registry, &lost).await, ErrorCode::LedgerRollback);
    let LedgerAnswer::Stats(stats) = answers(&registry).answer(LedgerAsk::Stats {}).await else {
        panic!()
    };
    assert!(stats.halted.is_some());
    registry.stop().await;
    let note = fs::read_to_string(home.place.data.join("v1/checkpoint")).unwrap();
    assert_eq!(note.lines().nth(1), Some("2"), "nothing was signed behind it");

    // The files have what the database lost: it is not left behind.
    let refused = restart_origin(&home.place, &Others::none()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::WrongState, "{refused}");
    assert!(refused.hint.unwrap().contains("rebuild --from tiles"));
    let kept = home.dir.path().join("kept.db");
    fs::copy(&database, &kept).unwrap();
    assert_eq!(from_tiles(&home.place).await.unwrap().leaves_added, 1);
    let registry = home.start().await;
    assert_eq!(append(&registry, &lost).await.index, Some(1), "the log goes on");
    until_signed(&registry).await;
    registry.stop().await;

    // Files that are damaged bring nothing back.
    fs::copy(&kept, &database).unwrap();
    fs::remove_dir_all(home.place.data.join("v1/tile")).unwrap();
    let restarted = restart_origin(&home.place, &Others::none()).await.unwrap();
    assert!(restarted.origin.ends_with("/ideas/v2"), "{restarted:?}");
    assert_eq!((restarted.old_size, restarted.entries), (2, 2));
    let registry = home.start().await;
    // It is sent again from the spool of who said it.
    assert!(append(&registry, &lost).await.created);
    let LedgerAnswer::Exists { exists } =
        answers(&registry).answer(LedgerAsk::Exists { idea: early.idea.unwrap() }).await
    else {
        panic!()
    };
    assert!(exists);
    registry.stop().await;
    let found = verified(&home).await.findings;
    let of_old = |found: &mesh_ideas::verify::Finding| found.detail.contains("/v1, which was left");
    assert!(!found.is_empty() && found.iter().all(of_old), "{found:?}");
    fs::rename(home.place.data.join("v1"), home.dir.path().join("damaged-v1")).unwrap();
    let report = verified(&home).await;
    assert_eq!((report.findings, report.signed), (vec![], 3));
}

/// A checkpoint that cannot be read may be of a larger head than anybody else knows: nothing is begun behind it.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_checkpoint_keeps_the_next_origin_from_beginning() {
    let home = Home::sqlite();
    let registry = home.start().await;
    append(&registry, &idea(1, &some_text())).await;
    until_signed(&registry).await;
    registry.stop().await;
    let (file, identity) =
        (home.place.data.join("v1/checkpoint"), home.place.data.join("identity.json"));
    let (good, key) = (fs::read_to_string(&file).unwrap(), fs::read(&identity).unwrap());
    for damaged in [good.replacen('1', "2", 1), good[..good.len() / 2].to_owned(), String::new()] {
        fs::write(&file, damaged).unwrap();
        let refused = restart_origin(&home.place, &Others::none()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Integrity, "{refused}");
        assert!(refused.hint.unwrap().contains("put the file back"));
        assert!(!home.place.data.join("v2").exists());
        assert_eq!(fs::read(&identity).unwrap(), key, "the key is the old one");
    }
    fs::remove_file(&file).unwrap();
    let restarted = restart_origin(&home.place, &Others::none()).await.unwrap();
    assert_eq!((restarted.old_size, restarted.entries), (1, 2), "by its row");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_the_last_origin_never_leads_to_its_key_again() {
    let home = Home::sqlite();
    let registry = home.start().await;
    append(&registry, &idea(1, &some_text())).await;
    until_signed(&registry).await;
    registry.stop().await;
    let database = home.place.data.join("ideas.db");
    let backup = home.dir.path().join("backup.db");
    fs::copy(&database, &backup).unwrap();
    let second = restart_origin(&home.place, &Others::none()).await.unwrap();
    let registry = home.start().await;
    for _ in 0..3 {
        append(&registry, &idea(1, &some_text())).await;
    }
    until_signed(&registry).await;
    registry.stop().await;

    fs::copy(&backup, &database).unwrap();
    assert_eq!(Registry::start(&home.place).await.unwrap_err().code, ErrorCode::Config);
    let third = restart_origin(&home.place, &Others::none()).await.unwrap();
    assert_eq!(third.origin, second.origin.replace("/v2", "/v3"));
    assert_ne!(third.key, second.key);
    assert_eq!((third.old_origin, third.old_size), (second.origin, 5), "the last head of v2");
    assert!(home.place.data.join("identity-v2.json").exists());
    let registry = home.start().await;
    append(&registry, &idea(1, &some_text())).await;
    until_signed(&registry).await;
    registry.stop().await;
    assert_eq!(verified(&home).await.findings, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_is_never_made_anew_for_a_log_with_leaves() {
    let home = Home::sqlite();
    let registry = home.start().await;
    append(&registry, &idea(1, &some_text())).await;
    registry.stop().await;
    let file = home.place.data.join("identity.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&file).unwrap();
    assert_eq!(Registry::start(&home.place).await.unwrap_err().code, ErrorCode::Config);
    assert!(!file.exists());
}
