//! Damage on one side never spreads to the other: not from a row to its pack, and not from a lost text
//! to its key.

use std::{fs, path::Path};

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
        home.start().await.stop().await;
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
