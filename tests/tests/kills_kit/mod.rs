//! A registry with everything that it can have beside it, as real processes: a broker, an object store, a witness,
//! and SQLite or a PostgreSQL of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use async_nats::{Client, Request};
use mesh_schemas::{
    idea::{LedgerAnswer, LedgerAsk, LedgerStats},
    subject::ledger_ask,
};
use mesh_tests::{
    bins,
    nats::NatsServer,
    ports,
    postgres::Postgres,
    process::Process,
    tmp,
    wait::{look_until, wait_for},
};
use tempfile::TempDir;

/// Longest wait for anything, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Longest wait for an answer; most of those that never come are of a registry that was killed.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// The processes, and the files that they were started with.
pub(crate) struct World {
    pub(crate) client: Client,
    registry: Process,
    config: PathBuf,
    _witness: Process,
    _store: Process,
    _nats: NatsServer,
    _postgres: Option<Postgres>,
    dir: TempDir,
}

impl World {
    /// Starts all of it; the registry answers when this returns.
    pub(crate) async fn start(postgres: Option<Postgres>) -> Self {
        let (nats, dir) = (NatsServer::start(), tmp::dir("ideas"));
        let (config, client) = (dir.path().join("ideas.toml"), nats.service("test").await);
        let base = base_config(dir.path(), &nats, postgres.as_ref()).await;
        let (store, objects) = object_store(dir.path());
        // The first start makes the log's key, which the witness must know.
        fs::write(&config, &base).unwrap();
        let mut registry = serve(&config, dir.path());
        let key = log_key(&client).await;
        assert!(registry.stop(SOON).unwrap().success(), "{}", registry.log_tail());
        let (witness, witnesses) = witness(dir.path(), &key);
        fs::write(&config, base + &objects + &witnesses).unwrap();
        let registry = serve(&config, dir.path());
        let world = Self {
            client,
            registry,
            config,
            _witness: witness,
            _store: store,
            _nats: nats,
            _postgres: postgres,
            dir,
        };
        world.until("the registry answers", |_| true).await;
        world
    }

    /// SIGKILL, and a start at once.
    pub(crate) fn kill_and_start(&mut self) {
        assert!(self.registry.exited().is_none(), "it died unasked:\n{}", self.registry.log_tail());
        self.registry.kill();
        self.registry = serve(&self.config, self.dir.path());
    }

    /// What it says of itself, once that is as wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        look: impl Fn(&LedgerStats) -> bool,
    ) -> LedgerStats {
        let stats = async || match ask(&self.client, &LedgerAsk::Stats {}, ANSWER_WAIT).await {
            Some(LedgerAnswer::Stats(stats)) => Some(stats).filter(&look),
            _ => None,
        };
        wait_for(SOON, what, stats).await
    }

    /// Ends the registry and lets its auditor go through everything.
    pub(crate) fn verify(self) {
        let Self { mut registry, config, dir, .. } = self;
        assert!(registry.stop(SOON).unwrap().success(), "{}", registry.log_tail());
        let verified = command("verify", &config).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        drop(dir);
    }
}

/// One question, asked once.
pub(crate) async fn ask(
    client: &Client,
    ask: &LedgerAsk,
    patience: Duration,
) -> Option<LedgerAnswer> {
    let payload = serde_json::to_vec(ask).unwrap();
    let request = Request::new().payload(payload.into()).timeout(Some(patience));
    let message = client.send_request(ledger_ask(ask.name()), request).await.ok()?;
    Some(serde_json::from_slice(&message.payload).unwrap())
}

fn command(verb: &str, config: &Path) -> Command {
    let mut command = Command::new(bins::path("mesh-ideas"));
    command.arg(verb).arg("--config").arg(config);
    command
}

fn serve(config: &Path, dir: &Path) -> Process {
    Process::start(&mut command("serve", config), &dir.join("ideas.log"))
}

async fn log_key(client: &Client) -> String {
    wait_for(SOON, "the log has a key", async || {
        match ask(client, &LedgerAsk::Checkpoint {}, ANSWER_WAIT).await {
            Some(LedgerAnswer::Checkpoint(head)) => Some(head.key),
            _ => None,
        }
    })
    .await
}

async fn base_config(dir: &Path, nats: &NatsServer, postgres: Option<&Postgres>) -> String {
    let creds = dir.join("ideas.creds");
    mesh_fabric::files::write_private(&creds, nats.keys().ledger_creds().as_bytes()).unwrap();
    let database = match postgres {
        Some(postgres) => {
            let password = dir.join("password");
            mesh_fabric::files::write_private(&password, postgres.password().as_bytes()).unwrap();
            let url = postgres.database().await.unwrap();
            format!("database = {url:?}\ndatabase_password_file = {password:?}\n")
        }
        None => String::new(),
    };
    format!(
        "data = {:?}\n{database}[nats]\nurls = [{:?}]\ncreds_file = {creds:?}\n",
        dir.join("data"),
        nats.url()
    )
}

/// The embedded store, and the registry's words for it.
fn object_store(dir: &Path) -> (Process, String) {
    let (port, keys) = (ports::free(), dir.join("store.json"));
    let secret = mesh_fabric::ids::secret("");
    let text = serde_json::json!({ "access_key": "mesh-test", "secret_key": secret }).to_string();
    mesh_fabric::files::write_private(&keys, text.as_bytes()).unwrap();
    let listen = ports::loopback(port);
    let mut command = Command::new(bins::path("mesh-store"));
    command.arg("--listen").arg(listen.to_string()).arg("--credentials").arg(&keys);
    command.arg("--data").arg(dir.join("objects"));
    let process = Process::start(&mut command, &dir.join("store.log"));
    assert!(look_until(SOON, || ports::is_open(port)), "{}", process.log_tail());
    let objects = format!(
        "[objects]\nendpoint = \"http://{listen}\"\nbucket = \"log\"\ncredentials_file = {keys:?}\n"
    );
    (process, objects)
}

/// A witness of this log, and the registry's words for it.
fn witness(dir: &Path, log_key: &str) -> (Process, String) {
    let (port, config) = (ports::free(), dir.join("witness.toml"));
    let listen = ports::loopback(port);
    let text = format!(
        "data = {:?}\nname = \"witness.test\"\nlisten = \"{listen}\"\nlogs = [{{ key = {log_key:?} }}]\n",
        dir.join("witness")
    );
    fs::write(&config, text).unwrap();
    let shown = command("witness", &config).arg("--show-key").output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let key = String::from_utf8(shown.stdout).unwrap().trim().to_owned();
    let process = Process::start(&mut command("witness", &config), &dir.join("witness.log"));
    assert!(look_until(SOON, || ports::is_open(port)), "{}", process.log_tail());
    (process, format!("[[witnesses]]\nurl = \"http://{listen}\"\nkey = {key:?}\n"))
}
