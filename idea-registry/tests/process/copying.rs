//! Copies in an object store.

use std::{fs, path::Path};

use futures::future::join_all;
use mesh_ideas::verify::{Remote, remote};
use mesh_schemas::idea::{LedgerAnswer, LedgerAsk};
use mesh_tests::wait_until;

use crate::{
    kit::{Home, idea, some_text},
    objects::Objects,
    world::{SOON, World},
};

/// Files of a directory, as a static server shows them.
async fn static_server(dir: &Path) -> String {
    let dir = dir.to_owned();
    let serve = move |uri: axum::http::Uri| {
        let file = dir.join(uri.path().trim_start_matches('/'));
        std::future::ready(fs::read(file).map_err(|_| axum::http::StatusCode::NOT_FOUND))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(axum::routing::get(serve));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    drop(tokio::spawn(async move { axum::serve(listener, app).await }));
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_store_has_everything_that_was_signed() {
    let home = Home::sqlite();
    let dir = home.dir.path().to_owned();
    let objects = Objects::start(&dir).await;
    let mut world = World::new(home, &objects.config).await;
    world.serve().await;
    world.append(idea(9, &some_text())).await;
    world.stop();
    let backup = dir.join("backup.db");
    fs::copy(world.home.place.data.join("ideas.db"), &backup).unwrap();
    world.serve().await;
    for part in 0..3 {
        join_all((0..200).map(|_| world.append(idea(part, &some_text())))).await;
        let size = u64::from(part + 1) * 200;
        world.until("the copy is whole", |stats| stats.published >= size).await;
    }
    let stats = world.until("the copy is whole", |stats| stats.published == stats.entries).await;
    let signed = stats.signed;
    let LedgerAnswer::Checkpoint(checkpoint) = world.ask(LedgerAsk::Checkpoint {}).await.unwrap()
    else {
        panic!()
    };
    world.stop();

    // Read through the store's own client: what lies there is a whole log.
    let copy = dir.join("copy");
    for key in objects.list("ideas/v1/").await {
        let path = copy.join(key.strip_prefix("ideas/v1/").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, objects.get(&key).await.unwrap()).unwrap();
    }
    assert!(
        !copy.join("tile/entries/000.p").exists(),
        "partial tiles go when the full one is there"
    );
    let url = static_server(&copy).await;
    let report = remote(&Remote { url: url.clone(), key: checkpoint.key.clone() }).await.unwrap();
    assert_eq!((report.findings, report.signed), (vec![], stats.entries));
    let path = copy.join("tile/entries/001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(path, bytes).unwrap();
    let report = remote(&Remote { url, key: checkpoint.key }).await.unwrap();
    assert_eq!(report.findings[0].index, Some(256));

    // The database and the files are from yesterday; the copy is not.
    fs::copy(&backup, world.home.place.data.join("ideas.db")).unwrap();
    fs::remove_dir_all(world.home.place.data.join("v1")).unwrap();
    world.serve().await;
    let stats = world.stats().await.unwrap();
    assert!(stats.halted.as_deref().is_some_and(|why| why.contains("object store")), "{stats:?}");
    world.stop();

    // The new log names the head that only the copy has; where v2 was, nobody begins another.
    let yesterday = dir.join("yesterday");
    copy_dir(&world.home.place.data, &yesterday);
    let (code, restarted, words) = world.command(&["restart-origin"]);
    assert_eq!((code, &restarted["old_size"]), (Some(0), &signed.into()), "{words}");
    let second = restarted["origin"].as_str().unwrap().to_owned();
    assert!(second.ends_with("/v2"), "{second}");
    world.serve().await;
    world.until("v2 is copied", |stats| stats.published == stats.entries).await;
    world.stop();
    fs::remove_dir_all(&world.home.place.data).unwrap();
    copy_dir(&yesterday, &world.home.place.data);
    let (code, again, words) = world.command(&["restart-origin"]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(again["origin"], second.replace("/v2", "/v3"));
    assert_ne!(again["key"], restarted["key"]);

    // What the store loses, and what others put there, is put again.
    world.serve().await;
    let stats = world.until("v3 is copied", |stats| stats.published == stats.entries).await;
    let LedgerAnswer::Checkpoint(checkpoint) = world.ask(LedgerAsk::Checkpoint {}).await.unwrap()
    else {
        panic!()
    };
    objects.put("ideas/v3/checkpoint", b"something else").await;
    wait_until(SOON, "the checkpoint is put again", async || {
        objects.get("ideas/v3/checkpoint").await.as_deref() == Some(checkpoint.note.as_bytes())
    })
    .await;
    world.stop();
    let bundle = format!("ideas/v3/tile/entries/000.p/{}", stats.entries);
    assert!(objects.get(&bundle).await.is_some());
    for key in ["ideas/v3/checkpoint", &bundle] {
        objects.delete(key).await;
    }
    world.serve().await;
    wait_until(SOON, "all is put again", async || {
        objects.get(&bundle).await.is_some() && objects.get("ideas/v3/checkpoint").await.is_some()
    })
    .await;
    world.stop();

    // A store that is away holds no entry up; they are signed when it has been asked.
    objects.stop().await;
    world.serve().await;
    assert!(world.append(idea(9, &some_text())).await.created);
    let now = world.until("it is appended", |now| now.entries > stats.entries).await;
    assert_eq!(now.signed, stats.signed, "what was published before is shown");
    assert!(now.alarms.iter().any(|alarm| alarm.contains("the object store")), "{now:?}");
    world.stop();
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
