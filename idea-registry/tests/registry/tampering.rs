//! Whoever changes the log is refused or found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mesh_ideas::rebuild::from_leaves;

use crate::{
    filling::{append, fill, verified},
    kit::{Home, Owner, idea, sealed_idea, some_text, until_signed},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_owner_is_refused_and_past_the_guard_found() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let forged = "UPDATE leaf SET data = replace(data, 'idea', 'idee') WHERE idx = 7";
        for refused in [
            forged,
            "DELETE FROM leaf WHERE idx = 7",
            "UPDATE checkpoint SET size = 1",
            "DELETE FROM log",
            "INSERT INTO leaf (log, idx, id, hash, data) SELECT 1, 99999, 'x', 'y', 'z'",
            "INSERT INTO leaf (log, idx, id, hash, data) SELECT log, idx, id, hash, data FROM leaf WHERE idx = 7",
        ] {
            assert!(owner.try_run(refused).await.is_err(), "{refused}");
        }
        if matches!(owner, Owner::Postgres(_)) {
            assert!(owner.try_run("TRUNCATE leaf").await.is_err());
        } else {
            let replace = "INSERT OR REPLACE INTO leaf SELECT log, idx, id, hash, '{}' FROM leaf WHERE idx = 7";
            assert!(owner.try_run(replace).await.is_err());
        }
        assert_eq!(verified(&home).await.findings, vec![]);
        owner.unguard("leaf").await;
        assert_eq!(owner.run(forged).await, 1);
        let report = verified(&home).await;
        assert!(!report.ok);
        assert_eq!(
            (report.findings[0].index, report.findings[0].what),
            (Some(7), "leaf"),
            "{report:?}"
        );
    }
}

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_where_it_is() {
    let home = Home::sqlite();
    let registry = home.start().await;
    for _ in 0..300 {
        append(&registry, &idea(1, &some_text())).await;
    }
    registry.stop().await;
    let v1 = home.place.data.join("v1");
    for (file, least) in [
        ("tile/0/000", 128),
        ("tile/entries/000", 100),
        ("tile/0/001.p/44", 256),
        ("tile/1/000.p/1", 0),
    ] {
        let path = v1.join(file);
        flip(&path);
        let report = verified(&home).await;
        let first = &report.findings[0];
        assert_eq!(first.what, "tile", "{file}: {report:?}");
        assert!(first.detail.contains(file) && first.index.unwrap() >= least, "{file}: {first:?}");
        flip(&path);
    }
    assert!(verified(&home).await.ok);
    flip(&v1.join("checkpoint"));
    assert_eq!(verified(&home).await.findings[0].what, "checkpoint");
    flip(&v1.join("checkpoint"));

    let owner = Owner::of(&home.place).await;
    owner.run("UPDATE body SET text = text || '!' WHERE hash = (SELECT hash FROM body ORDER BY rowid LIMIT 1 OFFSET 41)").await;
    let report = verified(&home).await;
    assert_eq!(
        (report.findings[0].index, report.findings[0].what),
        (Some(41), "body"),
        "{report:?}"
    );
    owner
        .run("UPDATE body SET text = substr(text, 1, length(text) - 1) WHERE text LIKE '%!'")
        .await;
    assert!(verified(&home).await.ok);
    owner.run("UPDATE idea SET title = 'other' WHERE idx = 5").await;
    let report = verified(&home).await;
    assert_eq!((report.findings[0].index, report.findings[0].what), (Some(5), "projection"));
}

/// All files in and below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Goal: whichever file of the log is damaged is named. Method: flip a bit in the first, a middle and the last byte of
/// every one of them, and take it away.
#[tokio::test(flavor = "multi_thread")]
async fn damage_of_any_file_is_named() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        let sealed = append(&registry, &sealed_idea(1, "A plan that stays", "kept")).await;
        // Packs are closed within their bundle by long texts.
        for n in 0..3 {
            append(&registry, &idea(1, &format!("{n} {}", "long ".repeat(60_000)))).await;
        }
        registry.stop().await;
        let v1 = home.place.data.join("v1");
        // Partial files of former heads are of no use any more.
        fs::remove_dir_all(v1.join("tile")).unwrap();
        fs::remove_dir_all(v1.join("bodies")).unwrap();
        assert_eq!(from_leaves(&home.place).await.unwrap().texts_missing, 0);
        assert_eq!(verified(&home).await.findings, vec![]);
        let packs = files(&v1.join("bodies"));
        assert_eq!(packs.len(), 3, "{packs:?}");
        for path in files(&v1) {
            let good = fs::read(&path).unwrap();
            let name = path.strip_prefix(&v1).unwrap().to_str().unwrap().to_owned();
            let what = match name.split('/').next().unwrap() {
                "bodies" => "pack",
                "tile" => "tile",
                _ => "checkpoint",
            };
            for at in [0, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 1;
                fs::write(&path, bad).unwrap();
                let report = verified(&home).await;
                let found = report.findings.iter().find(|finding| finding.what == what);
                let found = found.unwrap_or_else(|| panic!("{name}: {report:?}"));
                let named = what == "checkpoint" || found.detail.contains(&name);
                assert!(named && (what == "checkpoint" || found.index.is_some()), "{found:?}");
            }
            fs::remove_file(&path).unwrap();
            assert!(!verified(&home).await.ok, "{name} is gone");
            fs::write(&path, good).unwrap();
        }
        assert_eq!(verified(&home).await.findings, vec![]);

        // A pack whose last line is right, and whose sealed text is another.
        let holder = packs.iter().find(|path| fs::read_to_string(path).unwrap().contains("kept"));
        let path = holder.unwrap();
        let text = fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.contains("\"subject\":\"kept\"")).unwrap();
        let forged = line.replacen("\"sealed\":\"", "\"sealed\":\"AAAA", 1);
        let before = text.rsplit_once("sha256 ").unwrap().0.replace(line, &forged);
        let hash = mesh_ideas_core::body_hash(&before, None);
        fs::write(path, format!("{before}sha256 {hash}\n")).unwrap();
        let report = verified(&home).await;
        assert_eq!((report.findings[0].what, report.findings[0].index), ("pack", sealed.index));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_right_cannot_change_the_log_and_the_registry_needs_no_more() {
    let mut home = Home::postgres().await;
    // The tables must have an owner of their own.
    let registry = home.start().await;
    registry.stop().await;
    let owner = Owner::of(&home.place).await;
    owner.run("CREATE ROLE ideas_writer NOLOGIN").await;
    home.place.login.role = Some("ideas_writer".into());
    let registry = home.start().await;
    fill(&registry).await;
    until_signed(&registry).await;
    registry.stop().await;
    for table in ["leaf", "checkpoint", "log"] {
        owner.unguard(table).await;
    }
    let Owner::Postgres(pool) = &owner else { panic!("another database") };
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("SET ROLE ideas_writer").execute(&mut *connection).await.unwrap();
    for text in [
        "UPDATE leaf SET data = ''",
        "DELETE FROM leaf",
        "TRUNCATE leaf",
        "DELETE FROM checkpoint",
        "DELETE FROM log",
    ] {
        let error = sqlx::query(text).execute(&mut *connection).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{text}: {error}");
    }
    assert_eq!(verified(&home).await.findings, vec![]);
}
