//! Witnesses.

use std::{fs, time::Duration};

use futures::future::{Either, join_all, select};
use mesh_ideas::{
    registry::Registry,
    witness::{LogConfig, Server, WitnessConfig},
};
use mesh_schemas::{
    ErrorCode,
    idea::{LedgerAnswer, LedgerAsk},
};
use mesh_tests::wait_until;
use mesh_tlog::{TrustedLog, VerifierKey};
use tokio_util::sync::CancellationToken;

use crate::{
    kit::{Home, Owner, idea, some_text},
    world::{SOON, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_cosigns_and_remembers_what_the_log_forgets() {
    let home = Home::sqlite();
    let dir = home.dir.path().to_owned();
    // The first start makes the log's key, which the witness must know.
    Registry::start(&home.place).await.unwrap().stop().await;
    let owner = Owner::of(&home.place).await;
    let log_key = owner.texts("SELECT key FROM log").await.remove(0);
    owner.close().await;
    let witness = WitnessConfig {
        data: dir.join("witness"),
        name: "witness.test".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        metrics_listen: None,
        logs: vec![LogConfig { key: log_key.clone() }],
    };
    let server = Server::bind(&witness).await.unwrap();
    let (address, key, stop) = (server.address, server.verifier.clone(), CancellationToken::new());
    #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
    let running = tokio::spawn(server.run(stop.clone()));
    let extra = format!("[[witnesses]]\nurl = \"http://{address}\"\nkey = \"{key}\"\n");
    let mut world = World::new(home, &extra).await;
    let database = world.home.place.data.join("ideas.db");
    world.serve().await;
    world.append(idea(1, &some_text())).await;
    world.until("it is witnessed", |stats| stats.witnessed == Some(1)).await;
    world.stop();
    let backup = dir.join("backup.db");
    fs::copy(&database, &backup).unwrap();
    world.serve().await;
    join_all((0..40).map(|_| world.append(idea(2, &some_text())))).await;
    world.until("it is witnessed", |stats| stats.witnessed == Some(41)).await;
    let witnesses = [VerifierKey::parse(&key).unwrap()];
    let log = TrustedLog::from_key(VerifierKey::parse(&log_key).unwrap()).unwrap();
    wait_until(SOON, "its line is shown", async || {
        let answer = world.ask(LedgerAsk::Checkpoint {}).await.unwrap();
        let LedgerAnswer::Checkpoint(checkpoint) = answer else { panic!("{answer:?}") };
        let signed = log.open(checkpoint.note.as_bytes()).unwrap();
        signed.head().size == 41 && signed.cosignatures(&witnesses).unwrap().len() == 1
    })
    .await;
    world.stop();

    // Everything of the log is from yesterday, files and database; only the witness knows better.
    fs::copy(&backup, &database).unwrap();
    for journal in ["ideas.db-wal", "ideas.db-shm"] {
        // There is none when nobody else has the file open.
        let _none = fs::remove_file(world.home.place.data.join(journal));
    }
    fs::remove_dir_all(world.home.place.data.join("v1")).unwrap();
    // It cannot be asked: entries are durable, and nothing is signed.
    stop.cancel();
    running.await.unwrap().unwrap();
    world.serve().await;
    let kept = world.append(idea(3, &some_text())).await;
    assert_eq!(kept.index, Some(1));
    let stats = world.until("it is appended", |stats| stats.entries == 2).await;
    assert_eq!((stats.signed, stats.halted), (0, None));
    assert!(stats.alarms[0].contains("the witness witness.test"), "{:?}", stats.alarms);
    let answer = world.ask(LedgerAsk::Checkpoint {}).await.unwrap();
    assert!(
        matches!(&answer, LedgerAnswer::Problem(problem) if problem.code == ErrorCode::LedgerDown
            && problem.detail.contains("witness.test")),
        "{answer:?}"
    );
    // It is back, and knows better.
    let witness = WitnessConfig { listen: address, ..witness };
    let server = Server::bind(&witness).await.unwrap();
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
    let running = tokio::spawn(server.run(stop.clone()));
    let stats = world.until("it is halted", |stats| stats.halted.is_some()).await;
    assert!(stats.halted.as_deref().is_some_and(|why| why.contains("witness")), "{stats:?}");
    assert_eq!(stats.signed, 0);
    let answer = world.ask(LedgerAsk::Append(Box::new(idea(3, &some_text())))).await.unwrap();
    assert!(
        matches!(answer, LedgerAnswer::Problem(problem) if problem.code == ErrorCode::LedgerRollback)
    );
    world.stop();
    stop.cancel();
    running.await.unwrap().unwrap();

    // The new log names the head that only the witness knows, and is not begun without it.
    let (code, _, words) = world.command(&["restart-origin"]);
    assert_eq!(code, Some(7), "{words}");
    let server = Server::bind(&witness).await.unwrap();
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
    let running = tokio::spawn(server.run(stop.clone()));
    let (code, restarted, words) = world.command(&["restart-origin"]);
    assert_eq!((code, &restarted["old_size"]), (Some(0), &41.into()), "{words}");
    assert_eq!(restarted["entries"], 3, "the origin, the one of the backup, the one of today");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_witnesses_cosign_the_same_head_of_a_log_that_never_rests() {
    let home = Home::sqlite();
    let dir = home.dir.path().to_owned();
    Registry::start(&home.place).await.unwrap().stop().await;
    let owner = Owner::of(&home.place).await;
    let log_key = owner.texts("SELECT key FROM log").await.remove(0);
    owner.close().await;
    let (stop, mut keys, mut extra, mut running) =
        (CancellationToken::new(), Vec::new(), String::new(), Vec::new());
    for name in ["one", "two", "three"] {
        let witness = WitnessConfig {
            data: dir.join(name),
            name: format!("{name}.test"),
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            metrics_listen: None,
            logs: vec![LogConfig { key: log_key.clone() }],
        };
        let server = Server::bind(&witness).await.unwrap();
        let (address, key) = (server.address, server.verifier.clone());
        extra += &format!("[[witnesses]]\nurl = \"http://{address}\"\nkey = \"{key}\"\n");
        keys.push(VerifierKey::parse(&key).unwrap());
        #[expect(clippy::disallowed_methods, reason = "it is waited for below")]
        running.push(tokio::spawn(server.run(stop.clone())));
    }
    let mut world = World::new(home, &extra).await;
    world.serve().await;
    let log = TrustedLog::from_key(VerifierKey::parse(&log_key).unwrap()).unwrap();
    let never_rests = async {
        loop {
            world.append(idea(1, &some_text())).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let looks = async {
        let mut last = 0;
        for _ in 0..4 {
            wait_until(SOON, "all three cosigned a newer head", async || {
                let answer = world.ask(LedgerAsk::Checkpoint {}).await.unwrap();
                let LedgerAnswer::Checkpoint(shown) = answer else { return false };
                let notes = [&shown.note, &shown.cosigned].into_iter().filter(|n| !n.is_empty());
                let mut heads = notes.map(|note| log.open(note.as_bytes()).unwrap());
                let whole = heads.find(|head| head.cosignatures(&keys).unwrap().len() == 3);
                let size = whole.map_or(0, |head| head.head().size);
                let before = last;
                last = before.max(size);
                size > before
            })
            .await;
        }
        last
    };
    // It has no end of its own.
    let size = match select(Box::pin(never_rests), Box::pin(looks)).await {
        Either::Left(((), _)) => 0,
        Either::Right((size, _)) => size,
    };
    assert!(size > 3, "{size}");
    world.stop();
    stop.cancel();
    for witness in running {
        witness.await.unwrap().unwrap();
    }
}
