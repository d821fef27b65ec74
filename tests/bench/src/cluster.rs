//! A whole mesh to measure: `mesh up` on the wanted database, and which process is which.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use mesh_tests::{
    mesh::{Mesh, Options},
    postgres::Postgres,
};
use tempfile::TempDir;

use crate::{Run, Store, client::Client, h2, proc};

/// Longest wait for a part to come back.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at something that takes milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A running mesh; all of it ends with this value.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) mesh: Mesh,
    token: String,
    /// The directory of the PostgreSQL's socket.
    database_dir: Option<String>,
    database_url: Option<String>,
    // After the mesh, which uses it.
    postgres: Option<Postgres>,
    _dir: TempDir,
}

impl Cluster {
    /// Starts it with so many nodes of two slots each, on the run's database.
    pub(crate) fn start(run: &Run<'_>, nodes: u16) -> anyhow::Result<Self> {
        run.runtime.block_on(async {
            let dir = mesh_tests::tmp::dir("bench");
            let mut options = Options { nodes, cpu: "2", ..Options::default() };
            let (mut postgres, mut database_dir, mut database_url) = (None, None, None);
            if run.store == Store::Postgres {
                let server = Postgres::start().await?;
                let url = server.database().await?;
                database_dir = url.split_once("?host=").map(|(_, dir)| dir.to_owned());
                let file = dir.path().join("password");
                mesh_fabric::files::write_private(&file, server.password().as_bytes())?;
                let file = file.to_string_lossy().into_owned();
                database_url = Some(url.clone());
                options.args.extend(["--database".into(), url]);
                options.args.extend(["--database-password-file".into(), file]);
                postgres = Some(server);
            }
            let mesh = Mesh::start(&options).await;
            let token = std::fs::read_to_string(mesh.data().join("admin.token"))?;
            let token = token.trim().to_owned();
            Ok(Self { mesh, token, database_dir, database_url, postgres, _dir: dir })
        })
    }

    /// One connection to the API, as the administrator.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::connect(self.mesh.server(), Some(self.token.clone()))
    }

    /// Posts the same JSON body `count` times, many at once, over one HTTP/2 connection.
    pub(crate) fn post_many(
        &self,
        path: &str,
        body: &[u8],
        count: usize,
        each: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let to = h2::To { server: self.mesh.server(), token: &self.token, path };
        h2::post_many(to, body, count, each)
    }

    /// The orchestrator's process.
    pub(crate) fn orchestrator(&self) -> anyhow::Result<u32> {
        self.part("orchestrator")
    }

    /// The registry of ideas' process.
    pub(crate) fn ideas(&self) -> anyhow::Result<u32> {
        self.part("ideas")
    }

    /// Checks the whole ledger with the registry's own command.
    pub(crate) fn verify_ideas(&self) -> anyhow::Result<std::process::ExitStatus> {
        let mut command = std::process::Command::new(mesh_tests::bins::path("mesh-ideas"));
        command.arg("verify").arg("--config").arg(self.mesh.data().join("ideas.toml"));
        Ok(command.stdout(std::process::Stdio::null()).status()?)
    }

    /// URL and password of the PostgreSQL, when there is one.
    pub(crate) fn database(&self) -> Option<(&str, &str)> {
        let postgres = self.postgres.as_ref()?;
        Some((self.database_url.as_deref()?, postgres.password()))
    }

    /// The broker's process.
    pub(crate) fn nats(&self) -> anyhow::Result<u32> {
        self.part("nats")
    }

    /// The embedded object store's process.
    pub(crate) fn object_store(&self) -> anyhow::Result<u32> {
        self.part("store")
    }

    /// The process of a part of `mesh up`.
    pub(crate) fn part(&self, name: &str) -> anyhow::Result<u32> {
        let file = self.mesh.data().join("pids.json");
        // It is being written anew while a part is started again.
        until(BACK_WITHIN, "a part's process", || {
            let pids = std::fs::read(&file).ok()?;
            serde_json::from_slice::<BTreeMap<String, u32>>(&pids).ok()?.get(name).copied()
        })
        .with_context(|| format!("{name} is not running"))
    }

    /// Supervisor and agent of the first node. Only while it runs no job.
    pub(crate) fn node(&self) -> anyhow::Result<(u32, u32)> {
        let supervisor = self.part("node-1")?;
        let mut children = mesh_tests::mesh::children(supervisor).into_iter();
        let agent = children.find(|(_, command)| command.contains("mesh-node"));
        Ok((supervisor, agent.context("the node has no agent")?.0))
    }

    /// Processor time of the database's processes so far, those that have ended included; zero for
    /// SQLite, which is a part of the orchestrator.
    pub(crate) fn database_cpu(&self) -> Duration {
        let Some(postmaster) = self.postmaster() else { return Duration::ZERO };
        let live = mesh_tests::mesh::children(postmaster);
        let live: Duration = live.iter().map(|(pid, _)| proc::cpu(*pid)).sum();
        proc::cpu_with_ended_children(postmaster) + live
    }

    /// Proportional set size of the database's processes in MiB.
    pub(crate) fn database_pss(&self) -> f64 {
        let Some(postmaster) = self.postmaster() else { return 0.0 };
        let live = mesh_tests::mesh::children(postmaster);
        proc::pss(postmaster) + live.iter().map(|(pid, _)| proc::pss(*pid)).sum::<f64>()
    }

    fn postmaster(&self) -> Option<u32> {
        let dir = self.database_dir.as_deref()?;
        proc::find(|line| line.contains("/postgres -D") && line.contains(dir))
    }

    /// Where the embedded object store keeps its objects.
    pub(crate) fn objects(&self) -> PathBuf {
        self.mesh.data().join("store")
    }

    /// `kill -9` of a part, which `mesh up` starts again; the moment of it.
    pub(crate) fn kill(&self, part: &str) -> anyhow::Result<Instant> {
        let pid = self.part(part)?;
        let killed = Instant::now();
        mesh_tests::mesh::kill_pid(pid);
        Ok(killed)
    }

    /// Waits until the API answers again.
    pub(crate) fn until_serving(&self) -> anyhow::Result<()> {
        until(BACK_WITHIN, "the API to answer", || {
            let mut client = self.client().ok()?;
            client.set_patience(Duration::from_secs(5)).ok()?;
            client.get("/api/v1/info").ok().filter(crate::client::Answer::is_success).map(drop)
        })
    }
}

/// Looks, every other millisecond, until there is something.
pub(crate) fn until<T>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(begun.elapsed() < deadline, "waited {deadline:?} for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
