//! Everything from the object store alone, but for the keys.

use std::{collections::BTreeSet, fs};

use futures::future::join_all;
use mesh_schemas::idea::LedgerAsk;

use crate::{
    kit::{Home, Owner, idea, sealed_idea, some_text},
    objects::Objects,
    world::World,
};

const BODIES: &str =
    "SELECT hash || COALESCE(text, '') || COALESCE(sealed, '') FROM body ORDER BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_comes_back_from_the_object_store_alone() {
    for home in Home::both().await {
        from_the_store_alone(home, Home::postgres().await).await;
    }
}

async fn from_the_store_alone(home: Home, empty: Home) {
    let objects = Objects::start(home.dir.path()).await;
    let mut world = World::new(home, &objects.config).await;
    let (data, database) = (world.home.place.data.clone(), world.home.place.database.clone());
    let keys = world.home.dir.path().join("exported.json");
    let exported = keys.to_str().unwrap().to_owned();
    world.serve().await;
    world.append(sealed_idea(1, "A plan that will be erased", "erased")).await;
    world.append(sealed_idea(1, "A plan that stays", "kept")).await;
    join_all((1..=250).chain(1..=50).map(|n| world.append(idea(n, &some_text())))).await;
    let long = format!("{} {}", some_text(), "long ".repeat(60_000));
    world.append(idea(9, &long)).await;
    let (code, printed, words) = world.command(&["keys", "export", &exported]);
    assert_eq!((code, &printed["keys"]), (Some(0), &2.into()), "{words}");
    world.ask(LedgerAsk::Erase { subject: "erased".into() }).await.unwrap();
    world.append(idea(3, &some_text())).await;
    world.until("the copy is whole", |now| now.published == now.entries).await;
    world.stop();
    let (code, report, words) = world.command(&["verify"]);
    assert_eq!(code, Some(0), "{report} {words}");
    assert_eq!(report["checked"]["copied"], report["signed"]);

    // What lies in the store holds no key, and no partial pack in front of a closed one.
    let copy: BTreeSet<String> = objects.list("ideas/v1/bodies/").await.into_iter().collect();
    assert!(copy.contains("ideas/v1/bodies/000"), "{copy:?}");
    assert!(!copy.iter().any(|key| key.starts_with("ideas/v1/bodies/000.p")), "{copy:?}");
    let secret = fs::read_to_string(&keys).unwrap();
    let secret: serde_json::Value = serde_json::from_str(&secret).unwrap();
    let secret = secret["keys"][0]["key"].as_str().unwrap().to_owned();
    for key in objects.list("ideas/").await {
        let bytes = objects.get(&key).await.unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(&secret), "{key}");
    }
    let owner = Owner::of(&world.home.place).await;
    let before = owner.texts(BODIES).await;
    owner.close().await;

    // The disk and the database are gone; the log's key was kept apart.
    let identity = fs::read(data.join("identity.json")).unwrap();
    fs::remove_dir_all(&data).unwrap();
    fs::create_dir_all(&data).unwrap();
    if !database.starts_with("sqlite") {
        world.use_database(&empty.place.database);
    }
    let (code, _, words) = world.command(&["rebuild", "--from", "objects"]);
    assert!(code == Some(4) && words.contains("identity.json"), "{words}");
    fs::write(data.join("identity.json"), identity).unwrap();
    let (code, rebuilt, words) = world.command(&["rebuild", "--from", "objects"]);
    assert_eq!((code, &rebuilt["texts_missing"]), (Some(0), &0.into()), "{rebuilt} {words}");
    assert_eq!(rebuilt["texts_added"], before.len(), "{rebuilt}");
    let owner = Owner::of(&world.home.place).await;
    assert_eq!(owner.texts(BODIES).await, before);
    owner.close().await;
    let (code, report, _) = world.command(&["verify"]);
    assert_eq!((code, &report["findings"][0]["what"]), (Some(8), &"body".into()), "{report}");
    let (code, imported, words) = world.command(&["keys", "import", &exported]);
    assert_eq!(
        (code, &imported["taken"], &imported["left_out"]),
        (Some(0), &1.into(), &1.into()),
        "{words}"
    );
    let (code, report, words) = world.command(&["verify"]);
    assert_eq!(code, Some(0), "{report} {words}");
    world.serve().await;
    assert!(world.append(idea(3, &some_text())).await.created);
    world.until("the copy is whole", |now| now.published == now.entries).await;
    world.stop();

    // Damage of any file of the copy is named.
    let stale = |key: &String| key.contains(".p/");
    let last = |dir: &str, keys: &[String]| {
        let width = |key: &String| key.rsplit('/').next().and_then(|w| w.parse::<u32>().ok());
        keys.iter().filter(|key| key.contains(dir)).max_by_key(|key| width(key)).cloned()
    };
    let all = objects.list("ideas/v1/").await;
    let mut current: Vec<String> = all.iter().filter(|key| !stale(key)).cloned().collect();
    current.push(last("bodies/303.p/", &all).unwrap());
    current.push(last("tile/entries/001.p/", &all).unwrap());
    assert!(current.len() >= 6, "{current:?}");
    for key in current {
        let good = objects.get(&key).await.unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        objects.put(&key, &bad).await;
        let (code, report, _) = world.command(&["verify"]);
        let found = report["findings"].as_array().unwrap();
        let name = key.strip_prefix("ideas/v1/").unwrap();
        let named = found.len() == 1
            && found[0]["what"] == "copy"
            && found[0]["detail"].as_str().unwrap().contains(name);
        assert!(code == Some(8) && named, "{key}: {report}");
        objects.delete(&key).await;
        let (code, report, _) = world.command(&["verify"]);
        assert!(code == Some(8) && report["findings"][0]["what"] == "copy", "{key}: {report}");
        objects.put(&key, &good).await;
    }
    // What is on disk and newer than the copy is not given up for it.
    objects.stop().await;
    let (code, _, words) = world.command(&["rebuild", "--from", "objects"]);
    assert_eq!(code, Some(7), "{words}");
}
