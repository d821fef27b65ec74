//! One program of the mesh: started, killed, frozen, restarted.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use mesh_tests::process::Process;
use rustix::process::Signal;

use super::{Arming, tree};

/// Wait before a part that died by itself is started again.
const RESTART_WAIT: Duration = Duration::from_millis(300);
/// How long a part may take to stop when asked to.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// How to start it.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables beyond this process's own.
    pub env: Vec<(String, String)>,
}

/// A program of the mesh.
#[derive(Debug)]
pub struct Part {
    name: String,
    program: Program,
    log: PathBuf,
    process: Option<Process>,
    /// It is down because a scenario wants it so.
    held_down: bool,
    /// It was asked to stop, and is to come back.
    asked: bool,
    died_at: Option<Instant>,
    /// What it is to die of, in whichever life.
    arming: Option<Arming>,
    /// How often it died of that.
    point_deaths: u32,
}

impl Part {
    /// One that is not started yet.
    pub const fn new(name: String, program: Program, log: PathBuf) -> Self {
        Self {
            name,
            program,
            log,
            process: None,
            held_down: true,
            asked: false,
            died_at: None,
            arming: None,
            point_deaths: 0,
        }
    }

    /// Kills it; from its next start on it dies at fail points.
    pub(super) fn arm(&mut self, arming: Arming) {
        self.kill();
        self.arming = Some(arming);
    }

    /// From its next start on it dies of nothing by itself.
    pub(super) fn disarm(&mut self) {
        self.arming = None;
    }

    /// How often it died at a fail point, seen from outside.
    pub(super) const fn point_deaths(&self) -> u32 {
        self.point_deaths
    }

    /// Its process id; none while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Starts it, unless it runs.
    ///
    /// # Errors
    /// When the program is not there.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.held_down = false;
        if self.process.as_mut().is_some_and(|process| process.exited().is_none()) {
            return Ok(());
        }
        let Program { path, args, env } = &self.program;
        anyhow::ensure!(path.is_file(), "{} is missing", path.display());
        let mut command = Command::new(path);
        command.args(args).envs(env.iter().map(|(name, value)| (name, value)));
        command.envs(self.arming.iter().flat_map(Arming::env));
        self.process = Some(Process::start(&mut command, &self.log));
        self.died_at = None;
        Ok(())
    }

    /// How it ended, while nobody has started it again.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.exited()
    }

    /// SIGKILL to the process alone. It stays down until it is started.
    pub fn kill(&mut self) {
        self.held_down = true;
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::KILL);
            process.kill();
        }
    }

    /// SIGKILL to the process and everything below it: the plug is pulled.
    pub fn kill_tree(&mut self) {
        if let Some(pid) = self.pid() {
            tree::kill(pid);
        }
        self.kill();
    }

    /// SIGSTOP to the process and everything below it.
    pub fn freeze(&self) {
        self.signal_tree(Signal::STOP);
    }

    /// SIGCONT to all of it.
    pub fn thaw(&self) {
        self.signal_tree(Signal::CONT);
    }

    fn signal_tree(&self, signal: Signal) {
        for pid in self.pid().into_iter().flat_map(tree::tree) {
            tree::signal(pid, signal);
        }
    }

    /// The processes below it, with their command lines.
    pub fn below(&self) -> Vec<(u32, String)> {
        let pids = self.pid().into_iter().flat_map(tree::tree).skip(1);
        pids.map(|pid| (pid, mesh_tests::mesh::command_line(pid))).collect()
    }

    /// SIGKILL to one process below it.
    pub fn kill_below(&self, pid: u32) {
        tree::signal(pid, Signal::KILL);
    }

    /// SIGTERM, and waits; all of it is killed when that takes too long.
    pub fn stop(&mut self) {
        self.held_down = true;
        self.thaw();
        let Some(mut process) = self.process.take() else { return };
        let pids = tree::tree(process.pid());
        if process.stop(STOP_WAIT).is_none() {
            pids.into_iter().for_each(|pid| tree::signal(pid, Signal::KILL));
        }
    }

    /// SIGTERM without waiting; it is started again when it has ended.
    pub fn ask_to_stop(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::TERM);
            self.asked = true;
        }
    }

    /// Starts it again when it died though nobody held it down; says how it died.
    pub(super) fn mind(&mut self) -> Option<String> {
        if self.held_down {
            return None;
        }
        let status = self.process.as_mut()?.exited()?;
        let died_at = *self.died_at.get_or_insert_with(Instant::now);
        if died_at.elapsed() < RESTART_WAIT {
            return None;
        }
        let started = self.start().with_context(|| format!("starting {}", self.name));
        let asked = std::mem::take(&mut self.asked);
        let at_a_point = self.arming.is_some() && status.signal() == Some(Signal::KILL.as_raw());
        self.point_deaths += u32::from(at_a_point);
        Some(match started {
            Ok(()) if asked || at_a_point => return None,
            Ok(()) => format!("{} ended ({status}) and was started again", self.name),
            Err(error) => format!("{} ended ({status}): {error:#}", self.name),
        })
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    /// The file that it writes to.
    pub const fn log(&self) -> &PathBuf {
        &self.log
    }
}
