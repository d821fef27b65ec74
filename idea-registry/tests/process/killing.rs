//! `kill -9` while eight write.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::Client;
use futures::future::join_all;
use mesh_ideas::{registry::Place, tiles::TileDir, verify::local};
use mesh_ideas_core::{entry_id, parse_leaf};
use mesh_schemas::idea::{EntryId, LedgerAnswer, LedgerAsk};
use mesh_tests::wait_until;
use mesh_tlog::{Audit, Prover, TrustedLog, VerifierKey};

use crate::{
    kit::{Home, Owner, idea, some_text},
    world::{SOON, World, ask_over},
};

/// What the writers were told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<BTreeMap<EntryId, u64>>,
    notes: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// Appends without pause, and sends again what was not answered.
async fn write(client: Client, told: Arc<Told>, author: u8) {
    while !told.stop.load(Ordering::Relaxed) {
        let submission = idea(author, &some_text());
        let ask = LedgerAsk::Append(Box::new(submission));
        while !told.stop.load(Ordering::Relaxed) {
            match ask_over(&client, &ask).await {
                Some(LedgerAnswer::Appended(appended)) => {
                    let index = appended.index.unwrap();
                    told.acknowledged.lock().unwrap().insert(appended.entry, index);
                    break;
                }
                Some(LedgerAnswer::Problem(_)) | None => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Some(other) => panic!("{other:?}"),
            }
        }
    }
}

async fn watch(client: Client, told: Arc<Told>) {
    while !told.stop.load(Ordering::Relaxed) {
        let ask = LedgerAsk::Checkpoint {};
        let answer =
            tokio::time::timeout(Duration::from_millis(300), ask_over(&client, &ask)).await;
        if let Ok(Some(LedgerAnswer::Checkpoint(checkpoint))) = answer {
            let mut notes = told.notes.lock().unwrap();
            if notes.last() != Some(&checkpoint.note) {
                notes.push(checkpoint.note);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn killed_again_and_again(home: Home) {
    let mut world = World::new(home, "").await;
    let told = Arc::new(Told::default());
    world.serve().await;
    let mut tasks = Vec::new();
    for author in 1..=8 {
        let client = world.nats.service("writer").await;
        tasks.push(tokio::task::spawn_local(write(client, Arc::clone(&told), author)));
    }
    let client = world.nats.service("watcher").await;
    tasks.push(tokio::task::spawn_local(watch(client, Arc::clone(&told))));
    for round in 1..=10_usize {
        let enough = round * 40;
        wait_until(SOON, "more is acknowledged and signed", async || {
            let acknowledged = told.acknowledged.lock().unwrap().len();
            acknowledged >= enough && told.notes.lock().unwrap().len() >= round
        })
        .await;
        world.process.take().unwrap().kill();
        world.start();
    }
    wait_until(SOON, "it answers once more", async || world.stats().await.is_some()).await;
    told.stop.store(true, Ordering::Relaxed);
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    world.until("all is signed", |stats| stats.signed == stats.entries).await;
    world.stop();
    check(&world.home.place, &told).await;
}

/// Nothing acknowledged is missing, and every checkpoint that was seen is one of this log.
async fn check(place: &Place, told: &Told) {
    let report = local(place, None).await.unwrap();
    assert_eq!(report.findings, vec![]);
    let files = TileDir::of_log(&place.data, 1);
    let owner = Owner::of(place).await;
    let key = owner.texts("SELECT key FROM log").await.remove(0);
    let log = TrustedLog::from_key(VerifierKey::parse(&key).unwrap()).unwrap();
    let head = log.open(&files.checkpoint().unwrap().unwrap()).unwrap().head();
    let mut found = BTreeMap::new();
    for bundle in Audit::begin(&files, head).unwrap() {
        for (index, bytes) in bundle.unwrap().entries() {
            let entry = parse_leaf(bytes).unwrap();
            found.insert(entry_id(&entry), index);
        }
    }
    let acknowledged = told.acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= 400);
    for (entry, index) in acknowledged.iter() {
        assert_eq!(found.get(entry), Some(index), "{entry}");
    }
    let mut prover = Prover::new(&files, head);
    let notes = told.notes.lock().unwrap();
    assert!(notes.len() >= 10, "{}", notes.len());
    let mut last = 0;
    for note in notes.iter() {
        let seen = log.open(note.as_bytes()).unwrap().head();
        assert!(seen.size >= last, "a checkpoint went back");
        last = seen.size;
        assert_eq!(prover.root_at(seen.size).unwrap(), seen.root, "the log forked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_acknowledged_and_never_forks() {
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            for home in Home::both().await {
                killed_again_and_again(home).await;
            }
        })
        .await;
}
