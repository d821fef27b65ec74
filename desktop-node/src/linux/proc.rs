//! Processes as `/proc` shows them: who is whose child, who carries which mark.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Ticks of `/proc` per second: `USER_HZ`, which is part of the kernel's interface.
const TICKS_PER_SECOND: u64 = 100;

/// One process, as it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub pid: u32,
    pub parent: u32,
    pub group: u32,
    /// When it began, in ticks since boot. With the pid it names a process for the time of a boot.
    pub born: u64,
}

/// Every process there is. Costs microseconds for each: not for the common path.
pub(crate) fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process).collect()
}

/// One process, if it is there.
pub(crate) fn process(pid: u32) -> Option<Process> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(pid: u32, stat: &[u8]) -> Option<Process> {
    // The name is in parentheses and may hold anything, parentheses too: the last one ends it.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields: Vec<&str> =
        str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        born: fields.get(19)?.parse().ok()?,
    })
}

/// The value of a variable in the environment that a process was executed with.
pub(crate) fn marker(pid: u32, variable: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environment.split(|byte| *byte == 0).find_map(|entry| {
        entry.strip_prefix(variable.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec)
    })?;
    String::from_utf8(value).ok()
}

/// Where a process stands and writes: its working directory and its standard streams.
pub(crate) fn places(pid: u32) -> Vec<PathBuf> {
    let links = ["cwd", "fd/1", "fd/2", "fd/0"];
    links.iter().filter_map(|link| fs::read_link(format!("/proc/{pid}/{link}")).ok()).collect()
}

/// Whether a process belongs to somebody's terminal.
pub(crate) fn has_terminal(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_ascii_whitespace().nth(4).is_some_and(|terminal| terminal != "0")
}

/// Names this boot: pids of another one mean nothing.
pub(crate) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Orphans that became our children.
///
/// The kernel gives a subreaper's orphans to its main thread, and keeps the children of each thread
/// apart. As the main thread spawns nothing, its list is empty in the common case, and reading it is
/// all that it costs to know that no process of an attempt got away.
#[derive(Debug)]
pub(crate) struct Adopted {
    children: Option<File>,
}

impl Adopted {
    /// Opens the list; `/proc` is scanned where the kernel has none.
    pub(crate) fn open() -> Self {
        let pid = std::process::id();
        Self { children: File::open(format!("/proc/self/task/{pid}/children")).ok() }
    }

    /// The orphans' pids, and maybe some of our own children: those whose thread has ended.
    pub(crate) fn read(&self) -> BTreeSet<u32> {
        let Some(children) = &self.children else { return children_by_scan() };
        let mut seen = read_pids(children);
        // The kernel may skip one while the list changes; two equal readings rule that out.
        while !seen.is_empty() {
            let again = read_pids(children);
            if again == seen {
                break;
            }
            seen = again;
        }
        seen
    }
}

fn read_pids(children: &File) -> BTreeSet<u32> {
    let (mut text, mut piece) = (Vec::new(), [0_u8; 4096]);
    while let Ok(length @ 1..) = children.read_at(&mut piece, text.len() as u64) {
        text.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8_lossy(&text);
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn children_by_scan() -> BTreeSet<u32> {
    let own = std::process::id();
    processes().iter().filter(|process| process.parent == own).map(|process| process.pid).collect()
}

/// Instants as ticks since boot, to compare with when processes were born.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    start: Instant,
    start_ticks: u64,
}

impl Ticks {
    /// Reads the time since boot.
    pub(crate) fn start() -> io::Result<Self> {
        let uptime = fs::read_to_string("/proc/uptime")?;
        let seconds = uptime.split('.').next().and_then(|text| text.parse::<u64>().ok());
        let seconds = seconds.ok_or_else(|| io::Error::other("/proc/uptime cannot be read"))?;
        Ok(Self { start: Instant::now(), start_ticks: seconds * TICKS_PER_SECOND })
    }

    /// Never later than the true tick: whole seconds were cut off, and sleep of the machine, which
    /// `Instant` does not count, can only make it earlier.
    pub(crate) fn not_after(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        self.start_ticks + ticks(since)
    }
}

fn ticks(time: Duration) -> u64 {
    time.as_secs() * TICKS_PER_SECOND + u64::from(time.subsec_millis()) / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"7 (a) S 1 (b)) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0";
        let seen = parse_stat(7, stat).unwrap();
        assert_eq!((seen.parent, seen.group, seen.born), (3, 4, 99));
    }

    #[test]
    fn this_process_is_found_with_its_parent() {
        let own = process(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert!(processes().contains(&own));
    }
}
