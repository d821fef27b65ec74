//! An orchestrator in this process, on real servers.

use std::{fs, path::PathBuf, time::Duration};

use mesh_core::Reply;
use mesh_fabric::ids;
use mesh_orchestrator::{
    app::{App, AppState},
    config::Config,
};
use mesh_schemas::{JobId, JobSpec, Problem, attempt::JobState};
use mesh_tests::{nats::NatsServer, wait_for};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    pub(crate) nats: NatsServer,
    pub(crate) state: AppState,
    pub(crate) running: JoinHandle<Result<(), Problem>>,
    shutdown: CancellationToken,
    dir: TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let nats = NatsServer::start();
        let dir = mesh_tests::tmp::dir("orchestrator");
        write_files(&nats, &dir);
        Self::on(nats, dir).await
    }

    async fn on(nats: NatsServer, dir: TempDir) -> Self {
        let config = Config::load(Some(&dir.path().join("orchestrator.toml"))).unwrap();
        let app = App::start(config).await.unwrap();
        let (state, shutdown) = (app.state().unwrap(), CancellationToken::new());
        let running = TaskTracker::new().spawn(app.run(shutdown.clone()));
        Self { nats, state, running, shutdown, dir }
    }

    /// Stops the orchestrator in order and starts another on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        drop(self.state);
        Self::on(self.nats, self.dir).await
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("orchestrator.toml")
    }

    pub(crate) fn database(&self) -> String {
        format!("sqlite://{}", self.dir.path().join("data/mesh.db").display())
    }

    pub(crate) async fn submit(&self, spec: &JobSpec) -> Result<JobId, Problem> {
        match self.state.engine.submit(spec.clone(), ids::trace_parent()).await? {
            Reply::Submitted { job, .. } => Ok(job),
            other => panic!("a submit was answered by {other:?}"),
        }
    }

    pub(crate) async fn job_state(&self, job: JobId) -> JobState {
        self.state.store.job(job).await.unwrap().unwrap().progress.state
    }

    pub(crate) async fn until_job_is(&self, job: JobId, wanted: JobState) {
        let mut watch = self.state.engine.watch_job(job);
        let look = async {
            while self.job_state(job).await != wanted {
                assert!(watch.changed().await, "the engine has ended");
            }
        };
        let what = format!("{job} to be {wanted}");
        tokio::time::timeout(SOON, look).await.expect(&what);
    }

    /// The position that the database has.
    pub(crate) async fn position(&self) -> u64 {
        self.state.store.load().await.unwrap().1
    }

    pub(crate) async fn until_connected(&self) {
        let connected = async || self.state.bus.connected().then_some(());
        wait_for(SOON, "the bus to be connected", connected).await;
    }
}

pub(crate) fn write_files(nats: &NatsServer, dir: &TempDir) {
    let path = |name: &str| dir.path().join(name);
    nats.keys().save(&path("keys.json")).unwrap();
    fs::write(path("orchestrator.creds"), nats.keys().service_creds("orchestrator")).unwrap();
    fs::write(path("system.creds"), nats.keys().system_creds()).unwrap();
    fs::write(path("store.json"), r#"{"access_key":"a","secret_key":"b"}"#).unwrap();
    fs::create_dir(path("data")).unwrap();
    let (root, nats_url) = (dir.path().display(), nats.url());
    let config = format!(
        r#"
        listen = "127.0.0.1:0"
        database = "sqlite://{root}/data/mesh.db"
        [nats]
        urls = ["{nats_url}"]
        creds_file = "{root}/orchestrator.creds"
        system_creds_file = "{root}/system.creds"
        keys_file = "{root}/keys.json"
        [objects]
        endpoint = "http://127.0.0.1:9"
        bucket = "deskmesh"
        credentials_file = "{root}/store.json"
        [timing]
        beat_every = "200ms"
        suspect_after = "2s"
        lease_ttl = "20s"
        startup_grace = "20s"
        "#
    );
    fs::write(path("orchestrator.toml"), config).unwrap();
}
