//! The registry killed with -9 at random instants while eight writers file ideas, with an object store and a witness
//! beside it: nothing acknowledged is lost, nothing is given two places, every head that was ever signed is a
//! beginning of the last one, and it acknowledges entries again within two seconds.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must end")]
#![expect(clippy::print_stdout, reason = "the times are measured to be read")]

mod kills_kit;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::Client;
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, entry_id, parse_leaf, sign};
use mesh_schemas::idea::{
    Appended, BodyRef, EntryId, LedgerAnswer, LedgerAsk, LedgerCheckpoint, Say, Submission,
};
use mesh_tests::{postgres::Postgres, wait::wait_for};
use mesh_tlog::{Hash, Remembered, TrustedLog, Verdict, VerifierKey};

use kills_kit::{ANSWER_WAIT, SOON, World, ask};

/// Kills on each database when `MESH_IDEAS_KILLS` does not say; 200 are promised, and take a few minutes.
const KILLS: u32 = 50;
const WRITERS: u64 = 8;
/// By then it must acknowledge entries again.
const BACK_MAX: Duration = Duration::from_secs(2);
/// A single start may take this long where other tests have the processors and the disk meanwhile: both
/// databases' kills run at once, beside whatever the machine does. The usual one, the median, must keep to
/// [`BACK_MAX`], and those beyond are counted.
const BACK_EVER: Duration = Duration::from_secs(10);
/// How long a writer waits before it files the same again: it is to be at work when the next kill comes.
const WRITE_WAIT: Duration = Duration::from_millis(300);
/// How long the one who measures waits for an answer before asking again: one that was sent to the dead registry
/// in its last moment has none.
const PROBE_WAIT: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    killed_again_and_again("SQLite", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_postgresql() {
    killed_again_and_again("PostgreSQL", Some(Postgres::start().await.unwrap())).await;
}

/// What the writers were told, and what heads were seen.
#[derive(Default)]
struct Told {
    appended: Mutex<BTreeMap<EntryId, u64>>,
    heads: Mutex<BTreeMap<u64, String>>,
    key: Mutex<Option<String>>,
    stop: AtomicBool,
}

async fn killed_again_and_again(database: &str, postgres: Option<Postgres>) {
    let mut world = World::start(postgres).await;
    let (client, told) = (world.client.clone(), Told::default());
    let writers =
        futures::future::join_all((0..WRITERS).map(|writer| write(&client, &told, writer)));
    let killer = async {
        let times = kill(&mut world, &told).await;
        told.stop.store(true, Ordering::Relaxed);
        times
    };
    let (_, times) = tokio::join!(writers, killer);
    let appended = told.appended.lock().unwrap().clone();
    assert!(appended.len() > 2 * times.len(), "the writers got somewhere: {}", appended.len());
    all_are_where_they_were_said_to_be(&client, &appended).await;
    all_heads_are_of_one_history(&client, &told).await;
    let last = world
        .until("store and witness have all of it", |stats| {
            let all = stats.entries;
            stats.signed == all && stats.published == all && stats.witnessed == Some(all)
        })
        .await;
    assert_eq!((last.halted, last.alarms), (None, vec![]));
    world.verify();
    is_back_in_time(database, appended.len(), times);
}

/// Kills and starts it; how long each start took to the first entry that was acknowledged after it.
async fn kill(world: &mut World, told: &Told) -> Vec<Duration> {
    let (client, key) = (world.client.clone(), SigningKey::from_bytes(&mesh_fabric::ids::random()));
    let mut times = Vec::new();
    for kill in 0..kills() {
        tokio::time::sleep(Duration::from_millis(random_below(250))).await;
        world.kill_and_start();
        if kill % 4 == 3 {
            // And again while it starts.
            tokio::time::sleep(Duration::from_millis(random_below(100))).await;
            world.kill_and_start();
        }
        let begun = Instant::now();
        acknowledged(&client, told, &key, kill).await;
        times.push(begun.elapsed());
        look(&client, told).await;
    }
    times
}

/// Returns when the registry has acknowledged an entry of the one who measures.
async fn acknowledged(client: &Client, told: &Told, key: &SigningKey, number: u32) {
    let submission = idea(key, &format!("Idea {number} of the one who measures"));
    let entry = entry_id(&submission.entry);
    let submission = LedgerAsk::Append(Box::new(submission));
    let appended = wait_for(SOON, "the registry acknowledges an entry", async || {
        let answer = ask(client, &submission, PROBE_WAIT).await?;
        let LedgerAnswer::Appended(appended) = answer else { panic!("refused: {answer:?}") };
        Some(appended)
    });
    keep(told, entry, &appended.await);
}

fn is_back_in_time(database: &str, entries: usize, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (median, max) = (times[times.len() / 2], times[times.len() - 1]);
    let late = times.iter().filter(|time| **time > BACK_MAX).count();
    println!(
        "{database}: {} measured kills, {entries} entries acknowledged; back and acknowledging after {median:?} \
         (median), {max:?} at most; {late} later than {BACK_MAX:?}",
        times.len()
    );
    assert!(median <= BACK_MAX, "back after {median:?}");
    assert!(max <= BACK_EVER, "back after {max:?} once");
}

fn kills() -> u32 {
    let wanted = std::env::var("MESH_IDEAS_KILLS").ok();
    wanted.map_or(KILLS, |kills| kills.parse().expect("MESH_IDEAS_KILLS is a number"))
}

/// Files ideas, each again until it is acknowledged. Some share their text with another writer's.
async fn write(client: &Client, told: &Told, writer: u64) {
    let key = SigningKey::from_bytes(&mesh_fabric::ids::random());
    let mut number = 0;
    while !told.stop.load(Ordering::Relaxed) {
        number += 1;
        let own = if number % 10 == 0 { WRITERS } else { writer };
        let submission = idea(&key, &format!("Idea {number} of writer {own}"));
        let entry = entry_id(&submission.entry);
        let submission = LedgerAsk::Append(Box::new(submission));
        let appended = loop {
            match ask(client, &submission, WRITE_WAIT).await {
                Some(LedgerAnswer::Appended(appended)) => break appended,
                Some(LedgerAnswer::Problem(problem)) => panic!("refused: {problem}"),
                Some(other) => panic!("a strange answer: {other:?}"),
                None if told.stop.load(Ordering::Relaxed) => return,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        keep(told, entry, &appended);
    }
}

fn keep(told: &Told, filed: EntryId, appended: &Appended) {
    let index = appended.index.expect("an acknowledged entry has an index");
    let mut all = told.appended.lock().unwrap();
    // A repeat of the same text is told of in another entry.
    let entry = if appended.entry == filed { filed } else { appended.entry };
    let before = all.insert(entry, index);
    assert!(before.is_none_or(|before| before == index), "{entry} at {before:?} and at {index}");
}

fn idea(key: &SigningKey, text: &str) -> Submission {
    let body = BodyRef {
        hash: body_hash(text, None),
        bytes: u32::try_from(text.len()).unwrap(),
        sealed: None,
    };
    let say = Say::Idea { body, parents: Vec::new(), tags: Vec::new(), source: None };
    let entry = sign(Unsigned { name: None, time: mesh_fabric::time::now(), say }, key);
    Submission { entry, body: Some(text.to_owned()), salt: None }
}

async fn look(client: &Client, told: &Told) {
    if let Some(LedgerAnswer::Checkpoint(head)) =
        ask(client, &LedgerAsk::Checkpoint {}, ANSWER_WAIT).await
    {
        remember(told, &head);
    }
}

fn remember(told: &Told, head: &LedgerCheckpoint) {
    let key = told.key.lock().unwrap().get_or_insert_with(|| head.key.clone()).clone();
    assert_eq!(key, head.key, "the key is made once");
    let opened = trusted(&key).open(head.note.as_bytes()).unwrap();
    told.heads.lock().unwrap().insert(opened.head().size, head.note.clone());
}

fn trusted(key: &str) -> TrustedLog {
    TrustedLog::from_key(VerifierKey::parse(key).unwrap()).unwrap()
}

async fn all_are_where_they_were_said_to_be(client: &Client, appended: &BTreeMap<EntryId, u64>) {
    let mut log = BTreeMap::new();
    loop {
        let from = log.len() as u64;
        let entries = wait_for(SOON, "entries", async || {
            match ask(client, &LedgerAsk::Entries { from, count: 256 }, ANSWER_WAIT).await {
                Some(LedgerAnswer::Entries { items }) => Some(items),
                _ => None,
            }
        })
        .await;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let id = entry_id(&parse_leaf(entry.data.as_bytes()).unwrap());
            assert!(log.insert(id, entry.index).is_none(), "{id} stands twice");
        }
    }
    for (entry, index) in appended {
        assert_eq!(log.get(entry), Some(index), "{entry} was acknowledged at {index}");
    }
}

async fn all_heads_are_of_one_history(client: &Client, told: &Told) {
    let most = *told.appended.lock().unwrap().values().max().unwrap();
    wait_for(SOON, "the last entry is signed", async || {
        match ask(client, &LedgerAsk::Stats {}, ANSWER_WAIT).await {
            Some(LedgerAnswer::Stats(stats)) => (stats.signed > most).then_some(()),
            _ => None,
        }
    })
    .await;
    look(client, told).await;
    let heads = told.heads.lock().unwrap().clone();
    let key = trusted(told.key.lock().unwrap().as_ref().unwrap());
    for (size, note) in heads.iter().filter(|(size, _)| **size > 0) {
        let old = Remembered::new(key.open(note.as_bytes()).unwrap());
        let prove = LedgerAsk::Prove { entry: None, old_size: Some(*size) };
        let Some(LedgerAnswer::Proof(proof)) = ask(client, &prove, ANSWER_WAIT).await else {
            panic!("no proof from {size}")
        };
        let hashes: Vec<Hash> = proof.consistency.iter().map(|hash| Hash(hash.0)).collect();
        let seen = key.open(proof.checkpoint.note.as_bytes()).unwrap();
        let verdict = old.judge(seen, &hashes).unwrap();
        assert!(matches!(verdict, Verdict::Accept(_)), "the head of {size} entries: {verdict:?}");
    }
    assert!(heads.len() >= 2, "heads were seen: {}", heads.len());
}

fn random_below(bound: u64) -> u64 {
    u64::from_le_bytes(mesh_fabric::ids::random()) % bound
}
