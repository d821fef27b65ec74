//! The machine that is measured on, and how busy it is with other work.

use std::{
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::stats::median;

/// How long the machine is watched before and after a section.
const WATCH: Duration = Duration::from_secs(1);
/// Appends whose durability is timed.
const SYNCS: usize = 100;

/// What figures depend on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// Appending 256 bytes to a file and making them durable, where temporary files lie; the median.
    pub(crate) fsync_ms: f64,
}

impl Machine {
    /// Looks at the machine; takes some milliseconds.
    pub(crate) fn look() -> anyhow::Result<Self> {
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = field(&memory, "MemTotal:").and_then(|text| text.split(' ').next()?.parse().ok());
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = field(&processors, "model name").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: processor.trim_start_matches([':', ' ']).to_owned(),
            memory_mib: kib.unwrap_or(0_u64) / 1_024,
            kernel: kernel.trim().to_owned(),
            fsync_ms: fsync_ms()?,
        })
    }

    /// True for the same machine as far as can be told; its disk's speed varies from run to run.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.cores, &self.processor, &self.kernel)
            == (other.cores, &other.processor, &other.kernel)
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn fsync_ms() -> anyhow::Result<f64> {
    let dir = mesh_tests::tmp::dir("fsync");
    let mut file = fs::File::create(dir.path().join("file"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[7; 256])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(median(&times))
}

/// Watches the machine for a moment: the share of all processors that work, from 0 to 1.
pub(crate) fn busy() -> f64 {
    let before = jiffies();
    std::thread::sleep(WATCH);
    let after = jiffies();
    let (all, idle) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    if all == 0 { 0.0 } else { 1.0 - idle as f64 / all as f64 }
}

/// All ticks since the boot, and those without work.
fn jiffies() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = field(&text, "cpu ").unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are counted in user already.
    let all = ticks.iter().take(8).sum();
    (all, ticks.iter().skip(3).take(2).sum())
}
