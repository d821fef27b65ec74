//! A whole mesh as its user starts it: `mesh up` with the real binaries, in a directory of its own.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use mesh_schemas::{
    JobId, JobSpec,
    api::{AttemptView, JobDetail, JobView, NodeView, Page, Submitted, TaskView},
};
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::{
    bins,
    http::Http,
    process::{Frozen, Process},
    tmp,
    wait::wait_for,
};

/// Longest wait for a mesh to be ready: three parts and their nodes, on a busy machine.
const READY_WAIT: Duration = Duration::from_secs(90);
/// Longest wait for it to stop.
const STOP_WAIT: Duration = Duration::from_secs(60);

/// How to start it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Nodes on this machine.
    pub nodes: u16,
    /// Processors of each.
    pub cpu: &'static str,
    /// How long their tasks may go on when the mesh stops.
    pub drain: &'static str,
    /// More arguments of `mesh up`.
    pub args: Vec<String>,
    /// `MESH_LOG` of all its parts, when another than what this process has.
    pub log: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: 1, cpu: "2", drain: "1s", args: Vec::new(), log: None }
    }
}

/// A running mesh; dropping it stops all of it.
#[derive(Debug)]
pub struct Mesh {
    up: Process,
    options: Options,
    dir: TempDir,
    server: String,
    http: Http,
}

impl Mesh {
    /// Starts it and waits until its nodes are online.
    ///
    /// # Panics
    /// When it does not become ready; shows what it said.
    pub async fn start(options: &Options) -> Self {
        let dir = tmp::dir("up");
        let up = start(options, dir.path(), "up.log").await;
        let data = dir.path().join("data");
        let ports: serde_json::Value =
            serde_json::from_slice(&fs::read(data.join("ports.json")).unwrap()).unwrap();
        let server = format!("http://{}", ports["api"].as_str().unwrap());
        let token = fs::read_to_string(data.join("admin.token")).unwrap();
        let http = Http::new(&server).with_token(token.trim());
        Self { up, options: options.clone(), dir, server, http }
    }

    /// Stops all of it as Ctrl-C does, and starts it again on the same data.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn restart(&mut self) {
        self.stop();
        self.start_again().await;
    }

    /// Stops it and keeps its directory.
    ///
    /// # Panics
    /// When it does not stop in time.
    pub fn stop(&mut self) {
        self.up.stop(STOP_WAIT);
    }

    /// Starts it again after [`Self::stop`].
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_again(&mut self) {
        self.up = start(&self.options, self.dir.path(), "up-again.log").await;
    }

    /// The last lines of `mesh up` itself.
    pub fn said(&self) -> String {
        self.up.log_tail()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory for the test's own files, beside the mesh's.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// The process of `mesh up` itself.
    pub const fn up(&mut self) -> &mut Process {
        &mut self.up
    }

    /// The API's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The API with the administrator's token.
    pub const fn http(&self) -> &Http {
        &self.http
    }

    /// Talks to another orchestrator of the same cluster from now on.
    pub fn talk_to(&mut self, server: &str, http: &Http) {
        server.clone_into(&mut self.server);
        self.http = http.clone();
    }

    /// Keeps `mesh up` from starting parts again that die, until the value is dropped.
    pub fn frozen_minder(&self) -> Frozen {
        Frozen::new(self.up.pid())
    }

    /// The `mesh` command, pointed at this mesh.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(bins::path("mesh"));
        command.args(args).stdin(std::process::Stdio::null());
        command.env("MESH_SERVER", &self.server);
        command.env("MESH_TOKEN_FILE", self.data().join("admin.token"));
        command
    }

    /// Runs the `mesh` command to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn cli(&self, args: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(self.command(args));
        command.output().await.unwrap()
    }

    /// GET below `/api/v1`.
    ///
    /// # Panics
    /// When the answer is not the wanted type.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self.http.get(&format!("/api/v1{path}")).await.unwrap();
        assert!(status.is_success(), "GET {path}: {status} {body}");
        serde_json::from_value(body.clone())
            .unwrap_or_else(|error| panic!("GET {path}: {error} in {body}"))
    }

    /// Submits a job.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn submit(&self, spec: &JobSpec) -> Submitted {
        let request = self.http.request(Method::POST, "/api/v1/jobs").json(spec);
        let (status, body) = Http::answer(request).await.unwrap();
        assert!(matches!(status, StatusCode::CREATED | StatusCode::OK), "{status} {body}");
        serde_json::from_value(body).unwrap()
    }

    /// Waits until the job has ended, also while the orchestrator is down.
    ///
    /// # Panics
    /// After the deadline.
    pub async fn finished(&self, job: JobId, deadline: Duration) -> JobView {
        let path = format!("/api/v1/jobs/{job}?until=finished&wait=5s");
        wait_for(deadline, "the job has ended", async || {
            let (status, body) = self.http.get(&path).await.ok()?;
            if !status.is_success() {
                return None;
            }
            let detail: JobDetail = serde_json::from_value(body).unwrap();
            detail.view.state.is_terminal().then_some(detail.view)
        })
        .await
    }

    /// All tasks of a job.
    ///
    /// # Panics
    /// When the API does not answer.
    pub async fn tasks(&self, job: JobId) -> Vec<TaskView> {
        let mut tasks = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: Page<TaskView> =
                self.get(&format!("/jobs/{job}/tasks?limit=1000{cursor}")).await;
            tasks.extend(page.items);
            match page.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return tasks,
            }
        }
    }

    /// All attempts of a task.
    ///
    /// # Panics
    /// When the API does not answer.
    pub async fn attempts(&self, job: JobId, task: u32) -> Vec<AttemptView> {
        self.get(&format!("/jobs/{job}/tasks/{task}/attempts")).await
    }

    /// All nodes.
    ///
    /// # Panics
    /// When the API does not answer.
    pub async fn nodes(&self) -> Vec<NodeView> {
        self.get::<Page<NodeView>>("/nodes").await.items
    }

    /// Process ids of the parts that `mesh up` minds, by name.
    ///
    /// # Panics
    /// When `mesh up` has not written them.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        serde_json::from_slice(&fs::read(self.data().join("pids.json")).unwrap()).unwrap()
    }

    /// `kill -9` of one part; `mesh up` starts it again.
    ///
    /// # Panics
    /// When there is no such part.
    pub fn kill(&self, part: &str) {
        kill_pid(self.pids()[part]);
    }

    /// The child processes of a part, for instance the agent of a node's supervisor.
    ///
    /// # Panics
    /// When there is no such part.
    pub fn children_of(&self, part: &str) -> Vec<(u32, String)> {
        children(self.pids()[part])
    }

    /// The last lines that a part wrote.
    pub fn log(&self, part: &str) -> String {
        let text = fs::read(self.data().join(format!("{part}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(8_000)..]).into_owned()
    }
}

async fn start(options: &Options, dir: &Path, log: &str) -> Process {
    let mut command = Command::new(bins::path("mesh"));
    command.args(["up", "--no-context", "--listen", "127.0.0.1:0"]);
    command.args(["--drain-timeout", options.drain]);
    command.args(["--nodes", &options.nodes.to_string(), "--cpu", options.cpu]);
    command.args(&options.args).arg("--data").arg(dir.join("data"));
    command.env("MESH_NATS_SERVER", crate::tools::nats_server());
    command.envs(options.log.map(|filter| ("MESH_LOG", filter)));
    // What an earlier start said is not this one's word.
    let _ = fs::remove_file(dir.join(log));
    let mut up = Process::start(&mut command, &dir.join(log));
    wait_for(READY_WAIT, "mesh up is ready", async || {
        assert!(up.exited().is_none(), "mesh up ended: {}", up.log_tail());
        up.log_tail().contains("ready in").then_some(())
    })
    .await;
    up
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for part in ["orchestrator", "ideas", "node-1", "nats", "store"] {
                eprintln!("--- {part}\n{}", self.log(part));
            }
        }
        let pids = fs::read(self.data().join("pids.json"));
        if self.up.stop(STOP_WAIT).is_none() {
            let pids: BTreeMap<String, u32> =
                serde_json::from_slice(&pids.unwrap_or_default()).unwrap_or_default();
            pids.values().for_each(|pid| kill_pid(*pid));
        }
    }
}

/// `kill -9`.
///
/// # Panics
/// When the number is no process id.
pub fn kill_pid(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself.
    let _ = kill_process(pid, Signal::KILL);
}

/// The live child processes of a process, with their command lines.
pub fn children(parent: u32) -> Vec<(u32, String)> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .map(|pid| (pid, command_line(pid)))
        .collect()
}

/// The command line of a process; empty when it is gone.
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
