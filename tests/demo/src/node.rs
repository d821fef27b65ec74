//! A node of its own, and how to pull its plug.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::until;

/// A node that runs beside `mesh up`, as on another machine.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    child: Child,
}

impl Node {
    pub(crate) fn start(bin: &Path, data: &Path, name: &'static str) -> anyhow::Result<Self> {
        let log = fs::File::create(data.with_extension("log"))?;
        let child = Command::new(bin.join("mesh"))
            .args(["node", "up", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child })
    }

    /// `kill -9` of supervisor, agent and all their work: what a pulled plug leaves behind. Returns
    /// how many processes there were.
    pub(crate) fn kill(&mut self) -> usize {
        let mut killed = 0;
        let root = self.child.id();
        loop {
            let tree = descendants(root);
            for pid in std::iter::once(root).chain(tree.iter().copied()) {
                if kill(pid, Signal::KILL) {
                    killed += 1;
                }
            }
            if tree.is_empty() {
                break;
            }
        }
        // It is dead; this only collects it.
        let _ = self.child.wait();
        killed
    }

    /// Asks it to drain and waits.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill(self.child.id(), Signal::TERM);
        let what = format!("{} has stopped", self.name);
        until(Duration::from_secs(60), &what, || Ok(self.child.try_wait()?)).map(drop)
    }
}

fn kill(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Every live process below `root`, deepest last.
fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The parent of a process that is not yet a zombie.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some(parent)
}

/// Command lines of live processes that name a directory.
pub(crate) fn processes_below(dir: &Path) -> anyhow::Result<Vec<String>> {
    let dir: PathBuf = fs::canonicalize(dir)?;
    let needle = dir.to_string_lossy().into_owned();
    let line = |pid: u32| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    Ok(processes().filter_map(line).filter(|line| line.contains(&needle)).collect())
}
