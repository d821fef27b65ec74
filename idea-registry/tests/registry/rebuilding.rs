//! One half of the log from the other.

use std::{fs, os::unix::fs::PermissionsExt as _};

use mesh_ideas::{
    keys::{Imported, export, import},
    rebuild::{from_leaves, from_tiles},
    restart::{Others, restart_origin},
};
use mesh_schemas::{
    ErrorCode,
    idea::{LedgerAnswer, LedgerAsk, SearchQuery},
};

use crate::{
    filling::{append, fill, refused, verified},
    kit::{Home, Owner, answers, idea, sealed_idea, some_text, until_signed},
};

#[tokio::test(flavor = "multi_thread")]
async fn dropped_projections_come_back_row_by_row() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let before = owner.projections().await;
        assert!(before.len() > 90, "{}", before.len());
        for table in [
            "idea", "tag", "about", "hidden", "seen", "content", "edge", "job", "opinion", "near",
            "erased", "words",
        ] {
            owner.run(&format!("DELETE FROM {table}")).await;
        }
        fs::remove_dir_all(home.place.data.join("v1/tile")).unwrap();
        let rebuilt = from_leaves(&home.place).await.unwrap();
        let after = owner.projections().await;
        let lost: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
        let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
        assert_eq!((lost, new), (vec![], vec![]));
        let report = verified(&home).await;
        assert_eq!((report.findings, report.signed), (vec![], rebuilt.entries));
        let registry = home.start().await;
        let search = SearchQuery { text: "caches warm".into(), similar: false, limit: None };
        let LedgerAnswer::Ideas { items, .. } =
            answers(&registry).answer(LedgerAsk::Search(search)).await
        else {
            panic!()
        };
        assert_eq!(items.len(), 1);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_from_tiles() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        let size = registry.shared.writer.size();
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let before =
            owner.texts("SELECT id || ' ' || hash || ' ' || data FROM leaf ORDER BY idx").await;
        // Another database; the texts are kept, as a backup of the objects would.
        for table in ["leaf", "checkpoint"] {
            owner.unguard(table).await;
            owner.run(&format!("DELETE FROM {table}")).await;
        }
        let rebuilt = from_tiles(&home.place).await.unwrap();
        assert_eq!((rebuilt.entries, rebuilt.leaves_added, rebuilt.signed), (size, size, size));
        let after =
            owner.texts("SELECT id || ' ' || hash || ' ' || data FROM leaf ORDER BY idx").await;
        assert_eq!(after, before);
        assert_eq!(verified(&home).await.findings, vec![]);
    }
}

const BODIES: &str = "SELECT hash || ' ' || COALESCE(text, '') || COALESCE(sealed, '') || \
    COALESCE(subject, '') FROM body ORDER BY hash";

/// Goal: the files alone bring everything back but the keys, and nothing of what was erased. Method: another database.
#[tokio::test(flavor = "multi_thread")]
async fn texts_come_back_from_the_files_alone_and_what_was_erased_does_not() {
    for (home, empty) in Home::both().await.into_iter().zip(Home::both().await) {
        let keys = home.dir.path().join("keys.json");
        let registry = home.start().await;
        append(&registry, &sealed_idea(2, "A plan to be erased", "someone")).await;
        let sealed = append(&registry, &sealed_idea(1, "A plan that stays", "kept")).await.index;
        assert_eq!(export(&home.place, &keys).await.unwrap(), 2, "while it runs");
        assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
        until_signed(&registry).await;
        fill(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let (before, rows) = (owner.texts(BODIES).await, owner.projections().await);
        owner.close().await;

        let mut place = home.place.clone();
        (place.database, place.login) = (empty.place.database, empty.place.login);
        if place.database.starts_with("sqlite") {
            place.database = format!("sqlite://{}", home.dir.path().join("empty/new.db").display());
        }
        let home = Home { place, dir: home.dir };
        let rebuilt = from_tiles(&home.place).await.unwrap();
        assert_eq!((rebuilt.texts_missing, rebuilt.leaves_added), (0, rebuilt.entries));
        let owner = Owner::of(&home.place).await;
        assert_eq!(owner.texts(BODIES).await, before);
        assert_eq!(rebuilt.texts_added, u64::try_from(before.len()).unwrap());
        // The keys are in no file: what is sealed is there, and nobody can read it.
        let report = verified(&home).await;
        let found: Vec<_> = report.findings.iter().map(|f| (f.what, f.index)).collect();
        assert_eq!(found, [("body", sealed)], "{report:?}");
        // Beside a new key the old one could never come back.
        let late = sealed_idea(1, "A plan for later", "kept");
        let registry = home.start().await;
        assert_eq!(refused(&registry, &late).await, ErrorCode::Integrity);
        registry.stop().await;
        let imported = import(&home.place, &keys).await.unwrap();
        assert_eq!(
            imported,
            Imported { taken: 1, known: 0, left_out: 1, conflicting: 0 },
            "one was destroyed"
        );
        // The text that `fill` seals behind the erasure has a key that the file is too old for.
        let found = verified(&home).await.findings;
        assert!(found.iter().all(|f| f.what == "body" && f.index > sealed), "{found:?}");
        let again = import(&home.place, &keys).await.unwrap();
        assert_eq!(again, Imported { taken: 0, known: 1, left_out: 1, conflicting: 0 });
        let lost: Vec<_> = {
            let after = owner.projections().await;
            rows.into_iter().filter(|row| !after.contains(row)).collect()
        };
        assert!(lost.iter().all(|row| row.starts_with("content")), "{lost:?}");
        owner.close().await;
        let registry = home.start().await;
        assert!(append(&registry, &idea(1, &some_text())).await.created);
        assert!(append(&registry, &late).await.created);
        registry.stop().await;

        // A key that is another here holds nothing up, and stays.
        let file = fs::read_to_string(&keys).unwrap();
        let mut file: serde_json::Value = serde_json::from_str(&file).unwrap();
        file["keys"].as_array_mut().unwrap().retain(|key| key["subject"] == "kept");
        file["keys"][0]["key"] = "ab".repeat(32).into();
        fs::write(&keys, file.to_string()).unwrap();
        let imported = import(&home.place, &keys).await.unwrap();
        assert_eq!((imported.taken, imported.conflicting), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_an_erasure_does_not_undo_it() {
    let home = Home::sqlite();
    let registry = home.start().await;
    append(&registry, &sealed_idea(1, "A plan to be erased", "someone")).await;
    append(&registry, &sealed_idea(1, "A plan that stays", "kept")).await;
    until_signed(&registry).await;
    registry.stop().await;
    let database = home.place.data.join("ideas.db");
    let backup = home.dir.path().join("backup.db");
    fs::copy(&database, &backup).unwrap();
    let registry = home.start().await;
    registry.shared.writer.erase("someone".into()).await.unwrap();
    until_signed(&registry).await;
    registry.stop().await;
    fs::copy(&backup, &database).unwrap();
    from_tiles(&home.place).await.unwrap();
    assert_eq!(verified(&home).await.findings, vec![]);
    let owner = Owner::of(&home.place).await;
    for table in ["body", "subject_key"] {
        let subjects = owner.texts(&format!("SELECT subject FROM {table}")).await;
        assert_eq!(subjects, ["kept"], "{table}");
    }
    owner.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pack_is_refused_and_one_that_is_gone_is_made_from_rows() {
    for home in Home::both().await {
        let registry = home.start().await;
        for _ in 0..20 {
            append(&registry, &idea(1, &some_text())).await;
        }
        until_signed(&registry).await;
        registry.stop().await;
        let path = home.place.data.join("v1/bodies/000.p/20");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let good = fs::read(&path).unwrap();
        let owner = Owner::of(&home.place).await;
        // The text of the entry 7 is another one, also by its hash line.
        let text = String::from_utf8(good.clone()).unwrap();
        let line = text.lines().nth(7).unwrap();
        let before = text.rsplit_once("sha256 ").unwrap().0;
        let before = before.replace(line, &line.replacen("\"text\":\"", "\"text\":\"x", 1));
        let hash = mesh_ideas_core::body_hash(&before, None);
        fs::write(&path, format!("{before}sha256 {hash}\n")).unwrap();
        let refused = from_tiles(&home.place).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Integrity);
        assert!(refused.detail.contains("entry 7: bodies/000.p/20"), "{refused}");

        // Files from rows; a text that no row has is kept from the file.
        fs::write(&path, &good).unwrap();
        owner
            .run("DELETE FROM body WHERE text IN (SELECT text FROM body ORDER BY hash LIMIT 1)")
            .await;
        let rebuilt = from_leaves(&home.place).await.unwrap();
        assert_eq!((rebuilt.texts_missing, fs::read(&path).unwrap()), (0, good.clone()));
        let rebuilt = from_tiles(&home.place).await.unwrap();
        assert_eq!((rebuilt.texts_added, rebuilt.texts_missing), (1, 0));
        owner.run("UPDATE body SET text = 'damaged' WHERE text = (SELECT text FROM body ORDER BY hash LIMIT 1)").await;
        assert_eq!(from_tiles(&home.place).await.unwrap().texts_added, 1);
        fs::remove_dir_all(home.place.data.join("v1/bodies")).unwrap();
        assert_eq!(verified(&home).await.findings[0].what, "pack");
        let registry = home.start().await;
        registry.stop().await;
        assert_eq!(fs::read(&path).unwrap(), good, "the start has made it");
        assert_eq!(verified(&home).await.findings, vec![]);

        // A text that only the files of the old log have comes along to the new one.
        owner
            .run("DELETE FROM body WHERE text IN (SELECT text FROM body ORDER BY hash LIMIT 1)")
            .await;
        let restarted = restart_origin(&home.place, &Others::none()).await.unwrap();
        assert_eq!((restarted.texts_added, restarted.entries), (1, 21));
        let registry = home.start().await;
        until_signed(&registry).await;
        registry.stop().await;
        assert_eq!(verified(&home).await.findings, vec![]);
        assert!(home.place.data.join("v2/bodies/000.p/21").exists());

        // Neither has it: it is told, and nothing else is held up.
        owner
            .run("DELETE FROM body WHERE text IN (SELECT text FROM body ORDER BY hash LIMIT 1)")
            .await;
        fs::remove_dir_all(home.place.data.join("v2/bodies")).unwrap();
        assert_eq!(from_leaves(&home.place).await.unwrap().texts_missing, 1);
        assert_eq!(from_tiles(&home.place).await.unwrap_err().code, ErrorCode::Integrity);
        fs::remove_dir_all(home.place.data.join("v2/bodies")).unwrap();
        let rebuilt = from_tiles(&home.place).await.unwrap();
        assert_eq!((rebuilt.texts_missing, rebuilt.texts_added), (1, 0));
        owner.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_of_the_log_no_database_is_made_from_its_files() {
    let home = Home::sqlite();
    let registry = home.start().await;
    append(&registry, &idea(1, &some_text())).await;
    registry.stop().await;
    for file in ["identity.json", "ideas.db"] {
        fs::remove_file(home.place.data.join(file)).unwrap();
    }
    assert_eq!(from_tiles(&home.place).await.unwrap_err().code, ErrorCode::NotFound);
    for file in ["identity.json", "ideas.db"] {
        assert!(!home.place.data.join(file).exists(), "{file}");
    }
}

/// Goal: rows that the files do not know yet lose nothing to them. Method: a checkpoint from before, as of a registry
/// that was killed between commit and signature.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_the_signed_head_keeps_its_texts_and_its_erasures() {
    let home = Home::sqlite();
    let registry = home.start().await;
    for subject in ["twice", "soon"] {
        append(&registry, &sealed_idea(1, "A plan to be erased", subject)).await;
    }
    registry.shared.writer.erase("twice".into()).await.unwrap();
    until_signed(&registry).await;
    let file = home.place.data.join("v1/checkpoint");
    let early = fs::read(&file).unwrap();
    append(&registry, &sealed_idea(1, "A plan that stays", "twice")).await;
    registry.shared.writer.erase("soon".into()).await.unwrap();
    registry.stop().await;
    fs::write(&file, early).unwrap();
    let rebuilt = from_tiles(&home.place).await.unwrap();
    assert_eq!((rebuilt.signed, rebuilt.entries, rebuilt.texts_added), (3, 5, 0));
    let report = verified(&home).await;
    assert_eq!(report.findings, vec![]);
    let owner = Owner::of(&home.place).await;
    for table in ["body", "subject_key"] {
        assert_eq!(
            owner.texts(&format!("SELECT subject FROM {table}")).await,
            ["twice"],
            "{table}"
        );
    }
    owner.close().await;
}

/// The log of a registry that knew no packs gets them at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_packs_gets_them() {
    let home = Home::sqlite();
    let registry = home.start().await;
    for _ in 0..260 {
        append(&registry, &idea(1, &some_text())).await;
    }
    until_signed(&registry).await;
    registry.stop().await;
    let packs = home.place.data.join("v1/bodies");
    fs::remove_dir_all(&packs).unwrap();
    let owner = Owner::of(&home.place).await;
    assert_eq!(owner.run("DELETE FROM cursor WHERE name = 'packs/v1'").await, 1);
    owner.close().await;
    let found = verified(&home).await.findings;
    assert_eq!((found[0].what, found[0].index), ("pack", Some(0)), "{found:?}");
    home.start().await.stop().await;
    assert_eq!(verified(&home).await.findings, vec![]);
    assert!(packs.join("000").is_file() && packs.join("256.p/4").is_file());
}
