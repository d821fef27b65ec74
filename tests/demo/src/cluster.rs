//! The mesh under demonstration: `mesh up` with one node, and two more machines that join it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use mesh_schemas::api::{NodeState, NodeView};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::{node::Node, say, until};

/// Processors that each node offers.
const NODE_CPUS: &str = "2";

/// A running mesh.
pub(crate) struct Cluster {
    bin: PathBuf,
    data: PathBuf,
    server: String,
    up: Child,
    /// Nodes that joined from outside of `mesh up`, as other machines do.
    pub(crate) joined: Vec<Node>,
}

impl Cluster {
    pub(crate) fn start(begun: Instant, root: &Path) -> anyhow::Result<Self> {
        let exe = std::env::current_exe()?;
        let bin = exe.parent().context("this program lies nowhere")?.to_owned();
        let data = root.join("mesh");
        let log = fs::File::create(root.join("up.log"))?;
        say(begun, "starting nats-server, object store, orchestrator and a node");
        let up = Command::new(bin.join("mesh"))
            .args(["up", "--no-context", "--listen", "127.0.0.1:0", "--cpu", NODE_CPUS])
            .args(["--drain-timeout", "5s", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting mesh up")?;
        let mut cluster = Self { bin, data, server: String::new(), up, joined: Vec::new() };
        cluster.await_ready()?;
        for name in ["node-2", "node-3"] {
            cluster.join(begun, root, name)?;
        }
        cluster.await_nodes()?;
        say(begun, "three nodes are online");
        Ok(cluster)
    }

    fn await_ready(&mut self) -> anyhow::Result<()> {
        let ports = self.data.join("ports.json");
        until(Duration::from_secs(90), "the mesh is ready", || {
            if let Some(status) = self.up.try_wait()? {
                bail!("mesh up ended: {status}");
            }
            let Ok(text) = fs::read(&ports) else { return Ok(None) };
            let ports: serde_json::Value = serde_json::from_slice(&text)?;
            let api = ports["api"].as_str().context("ports.json names no api")?;
            self.server = format!("http://{api}");
            Ok(self.mesh(["doctor"]).output()?.status.success().then_some(()))
        })
    }

    fn join(&mut self, begun: Instant, root: &Path, name: &'static str) -> anyhow::Result<()> {
        let code = self.mesh(["node", "code"]).output()?;
        ensure!(code.status.success(), "no join code: {}", String::from_utf8_lossy(&code.stderr));
        let data = root.join(name);
        let joined = self
            .mesh(["node", "join", &self.server, "--name", name, "--cpu", NODE_CPUS, "--data"])
            .arg(&data)
            .env("MESH_JOIN_CODE", String::from_utf8_lossy(&code.stdout).trim())
            .output()?;
        ensure!(joined.status.success(), "{name}: {}", String::from_utf8_lossy(&joined.stderr));
        say(begun, format_args!("{name} joined with a one-time code"));
        self.joined.push(Node::start(&self.bin, &data, name)?);
        Ok(())
    }

    fn await_nodes(&self) -> anyhow::Result<()> {
        until(Duration::from_secs(60), "three nodes are online", || {
            let nodes = self.nodes()?;
            let online = nodes.iter().filter(|node| node.state == NodeState::Online).count();
            Ok((online == 3).then_some(()))
        })
    }

    /// A command of the user's program, pointed at this mesh.
    pub(crate) fn mesh<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(self.bin.join("mesh"));
        command.args(args).stdin(Stdio::null());
        command.env("MESH_SERVER", &self.server);
        command.env("MESH_TOKEN_FILE", self.data.join("admin.token"));
        command
    }

    /// What a command prints as JSON.
    pub(crate) fn ask<T: DeserializeOwned>(&self, args: &[&str]) -> anyhow::Result<T> {
        let output = self.mesh(["--output", "json"].iter().chain(args)).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mesh {}: {error}", args.join(" "));
        serde_json::from_slice(&output.stdout).with_context(|| format!("mesh {}", args.join(" ")))
    }

    pub(crate) fn nodes(&self) -> anyhow::Result<Vec<NodeView>> {
        self.ask(&["nodes"])
    }

    /// Stops everything and makes sure that nothing is left.
    pub(crate) fn stop(mut self, begun: Instant) -> anyhow::Result<()> {
        say(begun, "stopping the mesh");
        for node in self.joined.drain(..) {
            node.stop()?;
        }
        let pid = i32::try_from(self.up.id()).ok().and_then(Pid::from_raw).context("no pid")?;
        kill_process(pid, Signal::TERM)?;
        let status =
            until(Duration::from_secs(90), "mesh up has stopped", || Ok(self.up.try_wait()?))?;
        ensure!(status.success(), "mesh up ended with {status}");
        let left = crate::node::processes_below(&self.data)?;
        ensure!(left.is_empty(), "processes are left: {left:?}");
        Ok(())
    }

    /// For whoever must find out what went wrong: the last lines of each part.
    pub(crate) fn print_logs(&self) {
        let Ok(entries) = fs::read_dir(&self.data) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension() != Some(OsStr::new("log")) {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(20)..].join("\n");
            say(Instant::now(), format_args!("--- {}\n{tail}", path.display()));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Only when the demo broke off before `stop`.
        for node in &mut self.joined {
            node.kill();
        }
        let pid = i32::try_from(self.up.id()).ok().and_then(Pid::from_raw);
        if let (Some(pid), Ok(None)) = (pid, self.up.try_wait()) {
            let _ = kill_process(pid, Signal::TERM);
            let _ = self.up.wait();
        }
    }
}
