//! The registry killed with -9 at random instants while eight writers file ideas: nothing acknowledged is lost,
//! nothing is given two places, and every head that was ever signed is a beginning of the last one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must end")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::{Client, Request};
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, entry_id, parse_leaf, sign};
use mesh_schemas::{
    idea::{
        Appended, BodyRef, EntryId, LedgerAnswer, LedgerAsk, LedgerCheckpoint, Say, Submission,
    },
    subject::ledger_ask,
};
use mesh_tests::{
    bins, nats::NatsServer, postgres::Postgres, process::Process, tmp, wait::wait_for,
};
use mesh_tlog::{Hash, Remembered, TrustedLog, Verdict, VerifierKey};

/// Kills on SQLite and on PostgreSQL together.
const KILLS: u32 = 100;
const WRITERS: u64 = 8;
/// Longest wait for anything, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Longest wait for an answer; most of those that never come are of a registry that was killed.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    killed_again_and_again(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_postgresql() {
    let postgres = Postgres::start().await.unwrap();
    killed_again_and_again(Some(&postgres)).await;
}

/// What the writers were told, and what heads were seen.
#[derive(Default)]
struct Told {
    appended: Mutex<BTreeMap<EntryId, u64>>,
    heads: Mutex<BTreeMap<u64, String>>,
    key: Mutex<Option<String>>,
    stop: AtomicBool,
}

async fn killed_again_and_again(postgres: Option<&Postgres>) {
    let nats = NatsServer::start();
    let dir = tmp::dir("ideas");
    let config = dir.path().join("ideas.toml");
    write_config(&config, dir.path(), &nats, postgres).await;
    let client = nats.service("test").await;
    let mut registry = start(&config, dir.path());
    ready(&client).await;
    let told = Told::default();
    let writers =
        futures::future::join_all((0..WRITERS).map(|writer| write(&client, &told, writer)));
    let killer = async {
        let mut slowest = Duration::ZERO;
        for kill in 0..KILLS {
            tokio::time::sleep(Duration::from_millis(random_below(250))).await;
            registry.kill();
            registry = start(&config, dir.path());
            let begun = Instant::now();
            ready(&client).await;
            slowest = slowest.max(begun.elapsed());
            if kill % 5 == 0 {
                look(&client, &told).await;
            }
        }
        told.stop.store(true, Ordering::Relaxed);
        slowest
    };
    let ((), slowest) = tokio::join!(async { drop(writers.await) }, killer);
    let appended = told.appended.lock().unwrap().clone();
    eprintln!(
        "{KILLS} kills, {} entries acknowledged, back after {slowest:?} at most",
        appended.len()
    );
    assert!(appended.len() > 100, "the writers got somewhere: {}", appended.len());
    all_are_where_they_were_said_to_be(&client, &appended).await;
    all_heads_are_of_one_history(&client, &told).await;
    drop(registry);
    let verified = Command::new(bins::path("mesh-ideas"))
        .arg("verify")
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

fn start(config: &Path, dir: &Path) -> Process {
    let mut command = Command::new(bins::path("mesh-ideas"));
    command.arg("serve").arg("--config").arg(config);
    Process::start(&mut command, &dir.join("ideas.log"))
}

async fn write_config(file: &Path, dir: &Path, nats: &NatsServer, postgres: Option<&Postgres>) {
    let creds = dir.join("ideas.creds");
    mesh_fabric::files::write_private(&creds, nats.keys().service_creds("ideas").as_bytes())
        .unwrap();
    let database = match postgres {
        Some(postgres) => {
            let password = dir.join("password");
            mesh_fabric::files::write_private(&password, postgres.password().as_bytes()).unwrap();
            let url = postgres.database().await.unwrap();
            format!("database = {url:?}\ndatabase_password_file = {password:?}\n")
        }
        None => String::new(),
    };
    let text = format!(
        "data = {:?}\n{database}[nats]\nurls = [{:?}]\ncreds_file = {creds:?}\n",
        dir.join("data"),
        nats.url()
    );
    fs::write(file, text).unwrap();
}

async fn ask(client: &Client, ask: &LedgerAsk) -> Option<LedgerAnswer> {
    let payload = serde_json::to_vec(ask).unwrap();
    let request = Request::new().payload(payload.into()).timeout(Some(ANSWER_WAIT));
    let message = client.send_request(ledger_ask(ask.name()), request).await.ok()?;
    Some(serde_json::from_slice(&message.payload).unwrap())
}

async fn ready(client: &Client) {
    wait_for(SOON, "the registry answers", async || {
        matches!(ask(client, &LedgerAsk::Stats {}).await, Some(LedgerAnswer::Stats(_)))
            .then_some(())
    })
    .await;
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
            match ask(client, &submission).await {
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
    if let Some(LedgerAnswer::Checkpoint(head)) = ask(client, &LedgerAsk::Checkpoint {}).await {
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
            match ask(client, &LedgerAsk::Entries { from, count: 256 }).await {
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
        match ask(client, &LedgerAsk::Stats {}).await {
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
        let Some(LedgerAnswer::Proof(proof)) = ask(client, &prove).await else {
            panic!("no proof from {size}")
        };
        let hashes: Vec<Hash> = proof.consistency.iter().map(|hash| Hash(hash.0)).collect();
        let seen = key.open(proof.checkpoint.note.as_bytes()).unwrap();
        let verdict = old.judge(seen, &hashes).unwrap();
        assert!(matches!(verdict, Verdict::Accept(_)), "the head of {size} entries: {verdict:?}");
    }
    assert!(heads.len() > 3, "heads were seen: {}", heads.len());
}

fn random_below(bound: u64) -> u64 {
    u64::from_le_bytes(mesh_fabric::ids::random()) % bound
}
