//! Processes as the kernel counts them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// A tick of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that this is built for.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of the process itself. Its children are not in it, neither live nor ended.
pub(crate) fn cpu(pid: u32) -> Duration {
    ticks(pid).map_or(Duration::ZERO, |[user, system, ..]| TICK * (user + system))
}

/// The same with the children that it has waited for.
pub(crate) fn cpu_with_ended_children(pid: u32) -> Duration {
    ticks(pid).map_or(Duration::ZERO, |ticks| TICK * ticks.iter().sum())
}

/// utime, stime, cutime, cstime.
fn ticks(pid: u32) -> Option<[u32; 4]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; what follows it does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let at = |place: usize| fields.get(place)?.parse().ok();
    Some([at(11)?, at(12)?, at(13)?, at(14)?])
}

/// Proportional set size in MiB: memory shared with others counts in parts.
pub(crate) fn pss(pid: u32) -> f64 {
    mib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// Memory of its own in MiB, without pages of files.
pub(crate) fn anonymous(pid: u32) -> f64 {
    mib(&format!("/proc/{pid}/status"), "RssAnon:")
}

fn mib(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}

/// The live process whose command line is accepted, if there is one.
pub(crate) fn find(accepts: impl Fn(&str) -> bool) -> Option<u32> {
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| accepts(&mesh_tests::mesh::command_line(*pid)))
}

/// Bytes of all files below a directory.
pub(crate) fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        // It went away meanwhile.
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

/// Processor time that some processes use from now on.
#[derive(Debug)]
pub(crate) struct Meter {
    pids: Vec<u32>,
    before: Duration,
    begun: Instant,
}

impl Meter {
    pub(crate) fn start(pids: Vec<u32>) -> Self {
        let before = pids.iter().map(|pid| cpu(*pid)).sum();
        Self { pids, before, begun: Instant::now() }
    }

    pub(crate) fn used(&self) -> Duration {
        let now: Duration = self.pids.iter().map(|pid| cpu(*pid)).sum();
        now.saturating_sub(self.before)
    }

    /// Processor time over time passed: 1 is one core.
    pub(crate) fn share(&self) -> f64 {
        self.used().as_secs_f64() / self.begun.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_this_process_is_seen_and_that_of_its_children_is_not() {
        let meter = Meter::start(vec![std::process::id()]);
        let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let before = cpu_with_ended_children(std::process::id());
        std::process::Command::new("sh").args(["-c", spin]).status().unwrap();
        let after = cpu_with_ended_children(std::process::id());
        let child = after - before;
        assert!(child >= Duration::from_millis(50), "{child:?}");
        assert!(meter.used() < child, "{:?}", meter.used());
    }

    #[test]
    fn memory_is_more_than_nothing_and_a_dead_process_has_none() {
        assert!(pss(std::process::id()) > 0.5 && anonymous(std::process::id()) > 0.1);
        assert!(pss(u32::MAX).abs() < f64::EPSILON && cpu(u32::MAX).is_zero());
    }
}
