//! The registry as a process among real servers: NATS, an object store, witnesses; and `kill -9`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod kit;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::Client;
use futures::{StreamExt as _, future::join_all};
use kit::{Home, idea, some_text};
use mesh_fabric::nats::{Connect, Credential, connect};
use mesh_ideas::{
    registry::{Place, Registry},
    verify::{Remote, local, remote},
};
use mesh_schemas::{
    idea::{Appended, EntryId, LedgerAnswer, LedgerAsk, LedgerStats, Submission},
    subject::{IDEA_SUBMIT, LEDGER_INBOX, ledger_ask},
};
use mesh_store::{
    credentials::Credentials,
    server::{Options, Server},
};
use mesh_tests::{nats::NatsServer, process::Process, wait_for, wait_until};
use mesh_tlog::{Audit, TrustedLog, VerifierKey};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(30);

/// A registry's process with its servers.
struct World {
    nats: NatsServer,
    home: Home,
    config: PathBuf,
    process: Option<Process>,
    client: Client,
}

impl World {
    async fn new(home: Home, extra: &str) -> Self {
        let nats = NatsServer::start();
        let dir = home.dir.path();
        fs::write(dir.join("ideas.creds"), nats.keys().ledger_creds()).unwrap();
        let config = dir.join("ideas.toml");
        let mut text =
            format!("data = {:?}\ndatabase = {:?}\n", home.place.data, home.place.database);
        if let Some(password) = &home.place.login.password {
            fs::write(dir.join("password"), password).unwrap();
            text.push_str(&format!("database_password_file = {:?}\n", dir.join("password")));
        }
        text.push_str(extra);
        text.push_str(&format!(
            "\n[nats]\nurls = [{:?}]\ncreds_file = {:?}\n",
            nats.url(),
            dir.join("ideas.creds")
        ));
        fs::write(&config, text).unwrap();
        let client = nats.service("asker").await;
        Self { nats, home, config, process: None, client }
    }

    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-ideas"));
        command.args(["serve", "--config"]).arg(&self.config);
        self.process = Some(Process::start(&mut command, &self.home.dir.path().join("ideas.log")));
    }

    /// Starts and waits until it answers.
    async fn serve(&mut self) {
        self.start();
        wait_until(SOON, "the registry answers", async || self.stats().await.is_some()).await;
    }

    async fn ask(&self, ask: LedgerAsk) -> Option<LedgerAnswer> {
        ask_over(&self.client, &ask).await
    }

    async fn stats(&self) -> Option<LedgerStats> {
        match self.ask(LedgerAsk::Stats {}).await? {
            LedgerAnswer::Stats(stats) => Some(stats),
            other => panic!("{other:?}"),
        }
    }

    async fn append(&self, submission: Submission) -> Appended {
        match self.ask(LedgerAsk::Append(Box::new(submission))).await {
            Some(LedgerAnswer::Appended(appended)) => appended,
            other => panic!("{other:?}"),
        }
    }

    async fn until(&self, what: &str, look: impl Fn(&LedgerStats) -> bool) -> LedgerStats {
        wait_for(SOON, what, async || self.stats().await.filter(&look)).await
    }

    fn stop(&mut self) {
        let status = self.process.take().unwrap().stop(SOON);
        let log = fs::read_to_string(self.home.dir.path().join("ideas.log")).unwrap();
        assert!(status.unwrap().success(), "{log}");
        assert!(!log.contains("ermissions Violation"), "{log}");
    }
}

async fn ask_over(client: &Client, ask: &LedgerAsk) -> Option<LedgerAnswer> {
    let payload = serde_json::to_vec(ask).unwrap();
    let request = client.request(ledger_ask(mesh_ideas::ask::kind(ask)), payload.into());
    let answer = tokio::time::timeout(Duration::from_secs(3), request).await.ok()?.ok()?;
    Some(serde_json::from_slice(&answer.payload).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_over_nats_are_answered_and_what_waited_in_the_stream_is_appended() {
    let mut world = World::new(Home::sqlite(), "").await;
    // While the registry is away, somebody else makes the stream.
    let jetstream = async_nats::jetstream::new(world.client.clone());
    mesh_fabric::nats::ensure_stream(&jetstream, &mesh_schemas::subject::IDEA).await.unwrap();
    let waiting: Vec<Submission> = (0..300).map(|_| idea(1, &some_text())).collect();
    jetstream.publish(IDEA_SUBMIT, "not a submission".into()).await.unwrap().await.unwrap();
    for submission in &waiting {
        let payload = serde_json::to_vec(submission).unwrap();
        jetstream.publish(IDEA_SUBMIT, payload.into()).await.unwrap().await.unwrap();
    }
    world.serve().await;
    world.until("all are appended", |stats| stats.entries == 300).await;
    let again = world.append(waiting[7].clone()).await;
    assert_eq!((again.created, again.index), (false, Some(7)));
    let stats = world.until("all are signed", |stats| stats.signed == 300).await;
    assert_eq!((stats.ideas, stats.halted), (300, None));

    // Those that come later are read as well, and none is read twice.
    let late = serde_json::to_vec(&idea(2, &some_text())).unwrap();
    jetstream.publish(IDEA_SUBMIT, late.into()).await.unwrap().await.unwrap();
    world.until("the late one is appended", |stats| stats.entries == 301).await;
    world.stop();
    world.serve().await;
    assert_eq!(world.stats().await.unwrap().entries, 301);

    let mut infos = world.client.subscribe("answers").await.unwrap();
    world.client.publish_with_reply("$SRV.INFO.mesh-ideas", "answers", "".into()).await.unwrap();
    let info = tokio::time::timeout(SOON, infos.next()).await.unwrap().unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
    assert_eq!(info["endpoints"].as_array().unwrap().len(), 17);
    world.stop();
    assert!(local(&world.home.place).await.unwrap().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrys_credentials_open_nothing_else() {
    let nats = NatsServer::start();
    let creds = Credential::Creds(nats.keys().ledger_creds());
    let options = Connect {
        inbox_prefix: Some(LEDGER_INBOX.into()),
        ..Connect::new(vec![nats.url()], creds, "registry")
    };
    let registry = connect(options).await.unwrap();
    let service = nats.service("orchestrator").await;
    let mut all = service.subscribe(">").await.unwrap();
    for subject in [
        "mesh.v1.cmd.node_x",
        "mesh.v1.up.node_x.event",
        "mesh.v1.ideas.submit",
        "mesh.v1.ideas.ask.erase",
        "_INBOX.abc.def",
        "$JS.API.STREAM.DELETE.IDEA",
        "$JS.API.STREAM.PURGE.IDEA",
        "$JS.API.STREAM.UPDATE.IDEA",
        "$JS.API.STREAM.CREATE.NODE_EVENT",
        "$JS.API.CONSUMER.CREATE.NODE_EVENT.x",
    ] {
        registry.publish(subject, "x".into()).await.unwrap();
    }
    let mut refused = Vec::new();
    for subject in ["mesh.v1.up.*.event", "mesh.v1.cmd.>", ">", "_INBOX.>"] {
        refused.push(registry.subscribe(subject).await.unwrap());
    }
    registry.flush().await.unwrap();
    service.publish("mesh.v1.cmd.node_x", "secret".into()).await.unwrap();
    service.publish("mesh.v1.up.node_x.event", "secret".into()).await.unwrap();
    service.publish("last", "x".into()).await.unwrap();
    service.flush().await.unwrap();
    let mut seen = Vec::new();
    loop {
        let message = tokio::time::timeout(SOON, all.next()).await.unwrap().unwrap();
        if message.subject.as_str() == "last" {
            break;
        }
        seen.push((message.subject.to_string(), message.payload));
    }
    assert!(seen.iter().all(|(_, payload)| payload.as_ref() == b"secret"), "{seen:?}");
    for mut subscription in refused {
        let next = tokio::time::timeout(Duration::from_millis(50), subscription.next()).await;
        assert!(!matches!(next, Ok(Some(_))));
    }
    wait_until(SOON, "the server names the violations", async || {
        nats.log().matches(" Violation").count() >= 14
    })
    .await;
}

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
    let keys =
        Credentials { access_key: "mesh-test".into(), secret_key: "a secret of the test".into() };
    let json = serde_json::json!({ "access_key": keys.access_key, "secret_key": keys.secret_key });
    fs::write(dir.join("keys.json"), json.to_string()).unwrap();
    let options = Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: dir.join("objects"),
        credentials: keys,
        tls: None,
        body_wait: Duration::from_secs(5),
    };
    let server = Server::bind(options).await.unwrap();
    let (address, stop) = (server.addr(), CancellationToken::new());
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    let running = tokio::spawn(server.run(stop.clone()));
    let extra = format!(
        "[objects]\nendpoint = \"http://{address}\"\nbucket = \"log\"\ncredentials_file = {:?}\n",
        dir.join("keys.json")
    );
    let mut world = World::new(home, &extra).await;
    world.serve().await;
    for part in 0..3 {
        join_all((0..200).map(|_| world.append(idea(part, &some_text())))).await;
        let size = u64::from(part + 1) * 200;
        world.until("the copy is whole", |stats| stats.published >= size).await;
    }
    let stats = world.until("the copy is whole", |stats| stats.published == stats.entries).await;
    let LedgerAnswer::Checkpoint(checkpoint) = world.ask(LedgerAsk::Checkpoint {}).await.unwrap()
    else {
        panic!()
    };
    world.stop();

    // Read through the store's own client: what lies there is a whole log.
    let client = s3(address);
    let copy = dir.join("copy");
    let listed = client.list_objects_v2().bucket("log").prefix("ideas/v1/").send().await.unwrap();
    for object in listed.contents() {
        let key = object.key().unwrap();
        let got = client.get_object().bucket("log").key(key).send().await.unwrap();
        let path = copy.join(key.strip_prefix("ideas/v1/").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, got.body.collect().await.unwrap().to_vec()).unwrap();
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
    stop.cancel();
    running.await.unwrap().unwrap();

    // Without the store it goes on; with a newer copy than its rows it does not.
    world.serve().await;
    world.append(idea(9, &some_text())).await;
    world.stop();
}

fn s3(address: std::net::SocketAddr) -> aws_sdk_s3::Client {
    let keys =
        aws_credential_types::Credentials::from_keys("mesh-test", "a secret of the test", None);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .force_path_style(true)
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_cosigns_and_remembers_what_the_log_forgets() {
    let home = Home::sqlite();
    let dir = home.dir.path().to_owned();
    // The first start makes the log's key, which the witness must know.
    Registry::start(&home.place).await.unwrap().stop().await;
    let owner = kit::Owner::of(&home.place).await;
    let log_key = owner.texts("SELECT key FROM log").await.remove(0);
    let witness = mesh_ideas::witness::WitnessConfig {
        data: dir.join("witness"),
        name: "witness.test".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        metrics_listen: None,
        logs: vec![mesh_ideas::witness::LogConfig { key: log_key.clone() }],
    };
    let server = mesh_ideas::witness::Server::bind(&witness).await.unwrap();
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
    let backup: Vec<(PathBuf, PathBuf)> = vec![(database.clone(), dir.join("backup.db"))];
    backup.iter().for_each(|(from, to)| drop(fs::copy(from, to).unwrap()));
    world.serve().await;
    join_all((0..40).map(|_| world.append(idea(2, &some_text())))).await;
    world.until("it is witnessed", |stats| stats.witnessed == Some(41)).await;
    let LedgerAnswer::Checkpoint(checkpoint) = world.ask(LedgerAsk::Checkpoint {}).await.unwrap()
    else {
        panic!()
    };
    let log = TrustedLog::from_key(VerifierKey::parse(&checkpoint.key).unwrap()).unwrap();
    let signed = log.open(checkpoint.note.as_bytes()).unwrap();
    let witnesses = [VerifierKey::parse(&key).unwrap()];
    assert_eq!(signed.cosignatures(&witnesses).unwrap().len(), 1);
    world.stop();

    // Everything of the log is from yesterday, files and database; only the witness knows better.
    backup.iter().for_each(|(to, from)| drop(fs::copy(from, to).unwrap()));
    fs::remove_dir_all(world.home.place.data.join("v1")).unwrap();
    world.serve().await;
    let stats = world.stats().await.unwrap();
    assert!(stats.halted.as_deref().is_some_and(|why| why.contains("witness")), "{stats:?}");
    let answer = world.ask(LedgerAsk::Append(Box::new(idea(3, &some_text())))).await.unwrap();
    assert!(
        matches!(answer, LedgerAnswer::Problem(problem) if problem.code == mesh_schemas::ErrorCode::LedgerRollback)
    );
    world.stop();
    stop.cancel();
    running.await.unwrap().unwrap();
}

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
        if let Some(LedgerAnswer::Checkpoint(checkpoint)) =
            ask_over(&client, &LedgerAsk::Checkpoint {}).await
        {
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
        wait_until(SOON, "more is acknowledged", async || {
            told.acknowledged.lock().unwrap().len() >= enough
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
    let report = local(place).await.unwrap();
    assert_eq!(report.findings, vec![]);
    let files = mesh_ideas::tiles::TileDir::of_log(&place.data, 1);
    let owner = kit::Owner::of(place).await;
    let key = owner.texts("SELECT key FROM log").await.remove(0);
    let log = TrustedLog::from_key(VerifierKey::parse(&key).unwrap()).unwrap();
    let head = log.open(&files.checkpoint().unwrap().unwrap()).unwrap().head();
    let mut found = BTreeMap::new();
    for bundle in Audit::begin(&files, head).unwrap() {
        for (index, bytes) in bundle.unwrap().entries() {
            let entry = mesh_ideas_core::parse_leaf(bytes).unwrap();
            found.insert(mesh_ideas_core::entry_id(&entry), index);
        }
    }
    let acknowledged = told.acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= 400);
    for (entry, index) in acknowledged.iter() {
        assert_eq!(found.get(entry), Some(index), "{entry}");
    }
    let mut prover = mesh_tlog::Prover::new(&files, head);
    let notes = told.notes.lock().unwrap();
    assert!(notes.len() > 10, "{}", notes.len());
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
