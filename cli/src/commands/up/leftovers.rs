//! What a killed `mesh up` left running on this data directory.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::output;

/// How long a leftover may take to stop by itself.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// Ends the processes that the file names, as far as they still serve this directory. The lock on the
/// directory says that no other `mesh up` minds them.
pub(super) fn end(pids_file: &Path, data: &Path) {
    let Ok(bytes) = std::fs::read(pids_file) else { return };
    let pids: BTreeMap<String, u32> = serde_json::from_slice(&bytes).unwrap_or_default();
    let ours = |pid: u32| serves(pid, data);
    let left: Vec<(String, u32)> = pids.into_iter().filter(|(_, pid)| ours(*pid)).collect();
    for (name, pid) in &left {
        output::note(format!("{name} of an earlier `mesh up` still runs; ending it"));
        signal(*pid, Signal::TERM);
    }
    let begun = Instant::now();
    while left.iter().any(|(_, pid)| ours(*pid)) && begun.elapsed() < STOP_WAIT {
        std::thread::sleep(Duration::from_millis(50));
    }
    left.iter().filter(|(_, pid)| ours(*pid)).for_each(|(_, pid)| signal(*pid, Signal::KILL));
}

/// A process id may have gone to somebody else since: only one whose command line names the directory
/// is ours.
fn serves(pid: u32, data: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(&*data.to_string_lossy())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may just have ended by itself.
        let _ = kill_process(pid, signal);
    }
}
