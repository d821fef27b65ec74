//! A second orchestrator beside that of a [`Mesh`]: the same database, broker and object store.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use reqwest::StatusCode;

use crate::{bins, http::Http, mesh::Mesh, ports, process::Process, wait_for};

/// How long it may take to listen on a busy machine.
const READY_WAIT: Duration = Duration::from_secs(30);
/// Longest wait for it to stop.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// A running orchestrator; dropping it stops it.
#[derive(Debug)]
pub struct Standby {
    process: Process,
    server: String,
    http: Http,
    log: PathBuf,
}

impl Standby {
    /// Starts one with the mesh's own configuration but for where it listens, and waits until it says that it
    /// stands by. `database` replaces the configured one, for instance to come as another user.
    ///
    /// # Panics
    /// When it ends or does not listen.
    pub async fn start(mesh: &Mesh, database: Option<&str>) -> Self {
        let [api, metrics] = ports::free_many().map(|port| ports::loopback(port).to_string());
        let server = format!("http://{api}");
        let mut command = Command::new(bins::path("mesh-orchestrator"));
        command.arg("--config").arg(mesh.data().join("orchestrator.toml"));
        command.env("MESH_ORCHESTRATOR__LISTEN", &api);
        command.env("MESH_ORCHESTRATOR__METRICS_LISTEN", &metrics);
        if let Some(database) = database {
            command.env("MESH_ORCHESTRATOR__DATABASE", database);
        }
        let log = mesh.scratch().join("standby.log");
        let process = Process::start(&mut command, &log);
        let token = fs::read_to_string(mesh.data().join("admin.token")).unwrap();
        let http = Http::new(&server).with_token(token.trim());
        let mut standby = Self { process, server, http, log };
        wait_for(READY_WAIT, "the standby listens", async || {
            let ended = standby.process.exited();
            assert!(ended.is_none(), "the standby ended: {}", standby.process.log_tail());
            health(&standby.http).await
        })
        .await;
        standby
    }

    /// The API's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The API with the administrator's token.
    pub const fn http(&self) -> &Http {
        &self.http
    }

    /// Its process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(40).collect();
            eprintln!("--- standby");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        self.process.stop(STOP_WAIT);
    }
}

/// What `/healthz` says: `ok` by a leader, `standby` by who stands by; `None` without an answer.
pub async fn health(http: &Http) -> Option<String> {
    match http.get("/healthz").await {
        Ok((StatusCode::OK, body)) => body.as_str().map(|text| text.trim().to_owned()),
        Ok(_) | Err(_) => None,
    }
}
