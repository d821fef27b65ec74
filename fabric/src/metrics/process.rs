//! What this process uses of memory and processor; nothing where there is no `/proc`.

/// Ticks of `/proc/<pid>/stat` in a second: fixed for user space on every platform that we build for.
const TICKS_PER_SECOND: f64 = 100.0;

const RESIDENT: &str = "mesh_process_resident_bytes";
const CPU: &str = "mesh_process_cpu_seconds_total";

pub(super) fn describe() {
    metrics::describe_gauge!(RESIDENT, metrics::Unit::Bytes, "Memory that the process holds");
    metrics::describe_gauge!(CPU, metrics::Unit::Seconds, "Processor time that the process used");
}

/// Takes a reading. The processor time is a gauge to the recorder, because its counters are whole
/// numbers; it only grows all the same.
pub(super) fn record() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = resident_bytes(&status) {
        metrics::gauge!(RESIDENT).set(bytes);
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(seconds) = cpu_seconds(&stat) {
        metrics::gauge!(CPU).set(seconds);
    }
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024.0)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may hold anything, so the fields are counted from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_taken_whatever_the_process_is_called() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!((resident_bytes(""), cpu_seconds("")), (None, None));
    }
}
