//! The processes of a cluster: started in order, restarted when they die, stopped in reverse order.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use mesh_schemas::{ErrorCode, Problem, Span, api::ServerInfo};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use crate::{client::Client, context::io, output};

/// Waits between restarts of a part that keeps dying.
const RESTART_WAIT_MIN: Duration = Duration::from_millis(100);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(10);
/// A part that lived this long has recovered.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// Longest wait for the API to answer after the start.
const READY_WAIT: Duration = Duration::from_secs(60);
/// Longest wait for a part to stop by itself, beyond what a node may be draining for.
const STOP_WAIT: Duration = Duration::from_secs(60);
/// The same once somebody is in a hurry: a node kills its tasks first.
const HURRIED_WAIT: Duration = Duration::from_secs(10);
/// An orchestrator that still stands by after so long, more than a lease, is one of several: another one leads.
const STANDBY_AFTER: Duration = Duration::from_secs(10);
/// How often the parts are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program with its arguments and the file that takes its output.
#[derive(Debug)]
pub(super) struct Part {
    name: String,
    command: Command,
    log: PathBuf,
}

impl Part {
    pub(super) fn new(name: impl Into<String>, command: Command, log: PathBuf) -> Self {
        Self { name: name.into(), command, log }
    }

    fn spawn(&mut self) -> Result<Child, Problem> {
        use std::os::unix::process::CommandExt as _;
        let failed = |error| io("start", self.name.as_ref(), &error);
        let log = File::options().create(true).append(true).open(&self.log).map_err(failed)?;
        let log_too = log.try_clone().map_err(failed)?;
        // A group of its own: Ctrl-C reaches `mesh up` alone, which then stops the parts in order.
        self.command.stdin(Stdio::null()).stdout(log).stderr(log_too).process_group(0);
        // Also the owner's PATH for jobs is in the node's file, not in this environment.
        self.command.env_remove("MESH_JOIN_CODE").env_remove("MESH_TOKEN");
        let std_command = std::mem::replace(&mut self.command, Command::new("true"));
        let mut command = tokio::process::Command::from(std_command);
        let child = command.spawn();
        self.command = command.into_std();
        child.map_err(failed)
    }
}

struct Running {
    part: Part,
    child: Option<Child>,
    started: Instant,
    wait: Duration,
}

impl Running {
    fn pid(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }
}

/// What became of this cluster's orchestrator.
#[derive(Debug)]
pub(super) enum Ready {
    /// It leads, and all that it stands on is there.
    Leads,
    /// It stands by; the text says who leads.
    StandsBy(String),
}

/// The processes, in the order of their start.
pub(super) struct Children {
    running: Vec<Running>,
    pids_file: PathBuf,
}

impl Children {
    pub(super) const fn new(pids_file: PathBuf) -> Self {
        Self { running: Vec::new(), pids_file }
    }

    /// Starts a part.
    pub(super) async fn start(&mut self, mut part: Part) -> Result<(), Problem> {
        let child = part.spawn()?;
        self.running.push(Running {
            part,
            child: Some(child),
            started: Instant::now(),
            wait: RESTART_WAIT_MIN,
        });
        self.write_pids();
        Ok(())
    }

    /// Waits until the API answers and all it stands on is there, restarting parts meanwhile.
    pub(super) async fn until_ready(&mut self, client: &Client) -> Result<Ready, Problem> {
        let begun = Instant::now();
        loop {
            self.look();
            let answer = client.get::<ServerInfo>("/info").await;
            match answer {
                Ok(info) if info.store_ok && info.bus_ok && info.objects_ok && info.ledger_ok => {
                    return Ok(Ready::Leads);
                }
                Err(problem)
                    if problem.code == ErrorCode::Standby && begun.elapsed() > STANDBY_AFTER =>
                {
                    return Ok(Ready::StandsBy(problem.detail));
                }
                Ok(_) | Err(_) if begun.elapsed() < READY_WAIT => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Ok(info) => {
                    return Err(not_ready(&format!(
                        "database {}, NATS {}, object store {}, ideas {}",
                        info.store_ok, info.bus_ok, info.objects_ok, info.ledger_ok
                    )));
                }
                Err(problem) => return Err(not_ready(&problem.detail)),
            }
        }
    }

    /// Restarts what dies until told to stop.
    pub(super) async fn mind_until(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.look();
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Reaps and restarts, each part with growing waits.
    fn look(&mut self) {
        let mut changed = false;
        for running in &mut self.running {
            if let Some(child) = &mut running.child {
                let Ok(Some(status)) = child.try_wait() else { continue };
                output::note(format!("{} ended ({status}); starting it again", running.part.name));
                if running.started.elapsed() > HEALTHY_AFTER {
                    running.wait = RESTART_WAIT_MIN;
                }
                running.child = None;
                running.started = Instant::now();
            } else if running.started.elapsed() >= running.wait {
                match running.part.spawn() {
                    Ok(child) => running.child = Some(child),
                    Err(problem) => output::print_problem(&problem),
                }
                running.started = Instant::now();
                running.wait = (running.wait * 2).min(RESTART_WAIT_MAX);
                changed = true;
            }
        }
        if changed {
            self.write_pids();
        }
    }

    /// For people and tests that want to look at or kill a part.
    fn write_pids(&self) {
        let pid = |running: &Running| Some((running.part.name.clone(), running.pid()?));
        let pids: BTreeMap<String, u32> = self.running.iter().filter_map(pid).collect();
        let text = serde_json::to_vec_pretty(&pids).unwrap_or_default();
        if let Err(error) = std::fs::write(&self.pids_file, text) {
            output::note(io("write", &self.pids_file, &error).detail);
        }
    }

    /// Asks the nodes to stop, side by side, and kills what does not after `drain` and a while. Those
    /// who hurry let them drain no longer.
    pub(super) async fn stop_nodes(&mut self, drain: Span, now: &CancellationToken) {
        let (nodes, rest): (Vec<_>, Vec<_>) =
            self.running.drain(..).partition(|running| running.part.name.starts_with("node-"));
        self.running = rest;
        let patience = drain.duration() + STOP_WAIT;
        let stopping = nodes.into_iter().map(|node| stop(node, patience, now));
        futures::future::join_all(stopping).await;
    }

    /// Asks each part to stop, last first, and kills what does not.
    pub(super) async fn stop_rest(&mut self, now: &CancellationToken) {
        while let Some(running) = self.running.pop() {
            stop(running, STOP_WAIT, now).await;
        }
        // Nothing to look at any more.
        let _ = std::fs::remove_file(&self.pids_file);
    }
}

async fn stop(mut running: Running, patience: Duration, now: &CancellationToken) {
    let Some(child) = &mut running.child else { return };
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let tell = |signal| {
        // It may just have ended by itself.
        let _ = pid.map(|pid| kill_process(pid, signal));
    };
    tell(Signal::TERM);
    let ended = tokio::select! {
        ended = tokio::time::timeout(patience, child.wait()) => ended,
        () = now.cancelled() => {
            // What a node understands as: kill the tasks, do not drain.
            tell(Signal::INT);
            tokio::time::timeout(HURRIED_WAIT, child.wait()).await
        }
    };
    if ended.is_err() {
        output::note(format!("{} did not stop; killing it", running.part.name));
        let _ = child.kill().await;
    }
}

fn not_ready(why: &str) -> Problem {
    Problem::new(ErrorCode::Timeout, format!("the cluster did not become ready: {why}"))
        .hint("the logs of the parts lie in the data directory")
}
