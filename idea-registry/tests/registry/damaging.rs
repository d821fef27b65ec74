//! Damage on one side never spreads to the other: not from a row to its pack, not from a lost text to its key, and not
//! from a log that was left to the one that went on from it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use mesh_ideas::{
    rebuild::{from_leaves, from_tiles},
    restart::{Others, restart_origin},
};

use crate::{
    filling::{append, verified},
    kit::{Home, Owner, idea, sealed_idea, some_text, until_signed},
};

/// The lines of a pack but for the last one.
fn lines(path: &Path) -> Vec<String> {
    let mut lines: Vec<String> =
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    lines.pop();
    lines
}

/// Goal: the good copy of a text outlives a bad one. Method: change rows past the registry, then make their pack anew,
/// continue it, and go on with a new origin.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_takes_the_place_of_no_good_text() {
    for home in Home::both().await {
        let registry = home.start().await;
        for _ in 0..3 {
            append(&registry, &idea(1, &some_text())).await;
        }
        append(&registry, &sealed_idea(1, "A plan that stays", "kept")).await;
        until_signed(&registry).await;
        registry.stop().await;
        let bodies = home.place.data.join("v1/bodies/000.p");
        let good = lines(&bodies.join("4"));
        let owner = Owner::of(&home.place).await;
        let damaged = "UPDATE body SET text = 'damaged' WHERE hash = \
            (SELECT hash FROM body WHERE text IS NOT NULL ORDER BY hash LIMIT 1)";
        assert_eq!(owner.run(damaged).await, 1);
        owner.run("UPDATE body SET sealed = 'AAAA' WHERE sealed IS NOT NULL").await;
        assert_eq!(from_leaves(&home.place).await.unwrap().texts_missing, 0);
        assert_eq!(lines(&bodies.join("4")), good);
        let found = verified(&home).await.findings;
        assert!(found.iter().any(|found| found.what == "body"), "{found:?}");
        assert!(found.iter().all(|found| found.what != "pack"), "{found:?}");

        let registry = home.start().await;
        append(&registry, &idea(1, &some_text())).await;
        until_signed(&registry).await;
        registry.stop().await;
        assert_eq!(lines(&bodies.join("5"))[..4], good);

        let restarted = restart_origin(&home.place, &Others::none()).await.unwrap();
        assert_eq!(restarted.texts_added, 2);
        let registry = home.start().await;
        until_signed(&registry).await;
        registry.stop().await;
        assert_eq!(verified(&home).await.findings, vec![]);
        owner.close().await;
    }
}

/// Goal: a key goes on proof alone. Method: a subject that was erased once, and whose later text is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_damaged_text_stays() {
    for home in Home::both().await {
        let registry = home.start().await;
        append(&registry, &sealed_idea(1, "A plan to be erased", "twice")).await;
        registry.shared.writer.erase("twice".into()).await.unwrap();
        append(&registry, &sealed_idea(1, "A plan that stays", "twice")).await;
        until_signed(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let good = owner.texts("SELECT sealed FROM body").await;
        owner.run("UPDATE body SET sealed = 'AAAA'").await;
        fs::remove_dir_all(home.place.data.join("v1/bodies")).unwrap();
        assert_eq!(from_tiles(&home.place).await.unwrap().texts_missing, 1);
        let keys = "SELECT subject FROM subject_key";
        assert_eq!(owner.texts(keys).await, ["twice"]);
        owner.run(&format!("UPDATE body SET sealed = '{}'", good[0])).await;
        home.start().await.stop().await;
        from_leaves(&home.place).await.unwrap();
        assert_eq!(verified(&home).await.findings, vec![]);
        owner.close().await;
    }
}

/// Goal: a log that was left is looked after as well. Method: a byte of each of its files, and of one of its rows.
#[tokio::test(flavor = "multi_thread")]
async fn damage_of_a_log_that_was_left_is_found() {
    let home = Home::sqlite();
    let registry = home.start().await;
    for _ in 0..5 {
        append(&registry, &idea(1, &some_text())).await;
    }
    until_signed(&registry).await;
    registry.stop().await;
    restart_origin(&home.place, &Others::none()).await.unwrap();
    home.start().await.stop().await;
    assert_eq!(verified(&home).await.findings, vec![]);
    let v1 = home.place.data.join("v1");
    for (file, what) in [
        ("tile/0/000.p/5", "tile"),
        ("tile/entries/000.p/5", "tile"),
        ("bodies/000.p/5", "pack"),
        ("checkpoint", "checkpoint"),
    ] {
        let good = fs::read(v1.join(file)).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(v1.join(file), bad).unwrap();
        let found = verified(&home).await.findings;
        assert!(found.iter().any(|found| found.what == what), "{file}: {found:?}");
        assert!(found[0].detail.contains("/v1"), "{file}: {found:?}");
        fs::write(v1.join(file), good).unwrap();
    }
    let owner = Owner::of(&home.place).await;
    owner.unguard("leaf").await;
    owner
        .run("UPDATE leaf SET data = replace(data, 'idea', 'idee') WHERE log = 1 AND idx = 3")
        .await;
    let found = verified(&home).await.findings;
    assert_eq!((found[0].what, found[0].index), ("leaf", Some(3)), "{found:?}");
    owner.close().await;
}

/// Goal: nobody who reads holds up an erasure and what is appended behind it, and what was erased goes from the
/// database's pages once he has read. Method: a transaction that stays open, as that of `verify` does.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_holds_up_no_erasure() {
    for home in Home::both().await {
        let registry = home.start().await;
        append(&registry, &sealed_idea(1, "A plan to be erased", "someone")).await;
        let owner = Owner::of(&home.place).await;
        let key = owner.texts("SELECT key FROM subject_key").await.remove(0);
        let begun = Instant::now();
        match &owner {
            Owner::Sqlite(pool) => {
                let mut reader = pool.begin().await.unwrap();
                sqlx::query("SELECT * FROM subject_key").fetch_all(&mut *reader).await.unwrap();
                erase_and_append(&registry).await;
                assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
                assert!(kept(&home, &key), "as long as somebody reads it");
                reader.rollback().await.unwrap();
                until("the key is in no page", async || !kept(&home, &key)).await;
            }
            Owner::Postgres(pool) => {
                let file = "SELECT pg_relation_filepath('subject_key')";
                let before = owner.texts(file).await;
                let mut reader = pool.begin().await.unwrap();
                sqlx::query("SELECT * FROM subject_key").fetch_all(&mut *reader).await.unwrap();
                erase_and_append(&registry).await;
                assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
                reader.rollback().await.unwrap();
                until("the table is another file", async || owner.texts(file).await != before)
                    .await;
            }
        }
        owner.close().await;
        registry.stop().await;
        assert_eq!(verified(&home).await.findings, vec![]);
    }
}

async fn erase_and_append(registry: &mesh_ideas::registry::Registry) {
    registry.shared.writer.erase("someone".into()).await.unwrap();
    // Also who needs the table of keys.
    for n in 0..5 {
        append(registry, &sealed_idea(1, &some_text(), &format!("subject-{n}"))).await;
    }
}

/// The key is in one of the database's files.
fn kept(home: &Home, key: &str) -> bool {
    ["ideas.db", "ideas.db-wal"].iter().any(|file| {
        let bytes = fs::read(home.place.data.join(file)).unwrap_or_default();
        bytes.windows(key.len()).any(|window| window == key.as_bytes())
    })
}

async fn until(what: &str, reached: impl AsyncFn() -> bool) {
    mesh_tests::wait_until(Duration::from_secs(30), what, reached).await;
}
