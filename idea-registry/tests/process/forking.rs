//! What a registry learns from a witness that it was cosigning with all along: another registry has gone on from the same
//! place. And a witness whose certificate is of an authority of its own.

use std::{fs, net::SocketAddr, path::Path};

use mesh_fabric::tls::CertAuthority;
use mesh_ideas::{
    registry::{Place, Registry},
    witness::{LogConfig, Server, TlsConfig, WitnessConfig},
};
use mesh_schemas::ErrorCode;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    kit::{Home, Owner, idea, some_text},
    world::World,
};

/// A witness in this process.
struct Running {
    address: SocketAddr,
    key: String,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    async fn of(config: &WitnessConfig) -> Self {
        let server = Server::bind(config).await.unwrap();
        let (address, key, stop) =
            (server.address, server.verifier.clone(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "it is waited for in `end`")]
        let task = tokio::spawn(server.run(stop.clone()));
        Self { address, key, stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// The log's key, which its first start makes.
async fn log_key(home: &Home) -> String {
    Registry::start(&home.place).await.unwrap().stop().await;
    let owner = Owner::of(&home.place).await;
    let key = owner.texts("SELECT key FROM log").await.remove(0);
    owner.close().await;
    key
}

fn witness(dir: &Path, log_key: &str) -> WitnessConfig {
    WitnessConfig {
        data: dir.join("witness"),
        name: "witness.test".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        metrics_listen: None,
        logs: vec![LogConfig { key: log_key.to_owned() }],
    }
}

/// The same log in a place of its own, as of a machine that was copied.
fn copied(home: &Home) -> Home {
    let copy = Home::sqlite();
    fs::create_dir_all(&copy.place.data).unwrap();
    for name in ["identity.json", "ideas.db"] {
        fs::copy(home.place.data.join(name), copy.place.data.join(name)).unwrap();
    }
    Home { place: Place::in_directory(&copy.place.data), ..copy }
}

/// Two registries with one key begin behind the same head, so that neither learns anything at its start.
async fn twins(home: Home) -> (World, World, Running) {
    let log_key = log_key(&home).await;
    let running = Running::of(&witness(home.dir.path(), &log_key)).await;
    let extra =
        format!("[[witnesses]]\nurl = \"http://{}\"\nkey = \"{}\"\n", running.address, running.key);
    let twin = copied(&home);
    let (mut first, mut second) = (World::new(home, &extra).await, World::new(twin, &extra).await);
    first.serve().await;
    second.serve().await;
    (first, second, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_409_with_another_root_of_the_same_size_halts_the_log_as_forked() {
    let (mut first, mut second, running) = twins(Home::sqlite()).await;
    first.append(idea(1, &some_text())).await;
    first.until("it is witnessed", |stats| stats.witnessed == Some(1)).await;
    second.append(idea(2, &some_text())).await;
    let stats = second.until("it is halted", |stats| stats.halted.is_some()).await;
    let why = stats.halted.unwrap();
    assert!(why.contains("another root") && why.contains("witness.test"), "{why}");
    assert_eq!(refused(&second).await, ErrorCode::LedgerFork);
    let stats = first.stats().await.unwrap();
    assert_eq!(stats.halted, None, "the one that the witness knows goes on");
    first.stop();
    second.stop();
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_409_with_a_larger_size_halts_the_log_as_rolled_back() {
    let (mut first, mut second, running) = twins(Home::sqlite()).await;
    for _ in 0..3 {
        first.append(idea(1, &some_text())).await;
    }
    first.until("it is witnessed", |stats| stats.witnessed == Some(3)).await;
    second.append(idea(2, &some_text())).await;
    let stats = second.until("it is halted", |stats| stats.halted.is_some()).await;
    let why = stats.halted.unwrap();
    assert!(why.contains("3 entries") && why.contains("witness.test"), "{why}");
    assert_eq!(refused(&second).await, ErrorCode::LedgerRollback);
    first.stop();
    second.stop();
    running.end().await;
}

/// With what the next append is refused.
async fn refused(world: &World) -> ErrorCode {
    use mesh_schemas::idea::{LedgerAnswer, LedgerAsk};
    let ask = LedgerAsk::Append(Box::new(idea(3, &some_text())));
    match world.ask(ask).await {
        Some(LedgerAnswer::Problem(problem)) => problem.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_with_an_authority_of_its_own_is_trusted_by_that_alone() {
    let home = Home::sqlite();
    let dir = home.dir.path().to_owned();
    let log_key = log_key(&home).await;
    let (ours, another) =
        (CertAuthority::generate("ours").unwrap(), CertAuthority::generate("another").unwrap());
    let cert = ours.issue(&["localhost".into(), "127.0.0.1".into()]).unwrap();
    let file = |name: &str, text: &str| {
        let file = dir.join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let tls = TlsConfig {
        cert_file: file("cert.pem", &cert.cert_pem),
        key_file: file("key.pem", &cert.key_pem),
    };
    let running = Running::of(&WitnessConfig { tls: Some(tls), ..witness(&dir, &log_key) }).await;
    let (port, key) = (running.address.port(), &running.key);
    let extra = |ca_file: &Path| {
        format!(
            "[[witnesses]]\nurl = \"https://localhost:{port}\"\nkey = \"{key}\"\nca_file = {ca_file:?}\n"
        )
    };
    let twin = copied(&home);
    let mut world = World::new(home, &extra(&file("ca.pem", ours.ca_pem()))).await;
    world.serve().await;
    world.append(idea(1, &some_text())).await;
    world.until("it is witnessed", |stats| stats.witnessed == Some(1)).await;
    world.stop();

    let mut world = World::new(twin, &extra(&file("another.pem", another.ca_pem()))).await;
    world.serve().await;
    world.append(idea(2, &some_text())).await;
    let stats = world.until("it waits", |stats| !stats.alarms.is_empty()).await;
    assert_eq!((stats.signed, stats.witnessed), (0, None), "{stats:?}");
    world.stop();
    running.end().await;
}
