//! What must not be there when a mesh has stopped: processes of it, and panics in its logs.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use mesh_tests::{mesh::command_line, wait::look_until};

/// How long the last of them may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// What jobs of the run leave behind on purpose, to see it ended.
const LEFT_BY_JOBS: &str = "sleep 86399";

/// Processes that outlived the mesh.
pub(super) fn processes(data: &Path) -> Vec<String> {
    let needle = data.to_string_lossy().into_owned();
    let mut left = Vec::new();
    look_until(GONE_WITHIN, || {
        left = live(|line| line.contains(&needle) || line == LEFT_BY_JOBS);
        left.is_empty()
    });
    left.into_iter().map(|line| format!("a process was left: {line}")).collect()
}

fn live(is_ours: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let others = pids.filter(|pid| *pid != std::process::id());
    others.map(command_line).filter(|line| is_ours(line)).collect()
}

/// Lines of the logs that tell of a panic.
pub(super) fn panics(data: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let text = fs::read(&path).with_context(|| path.display().to_string())?;
            let text = String::from_utf8_lossy(&text);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let lines = text.lines().filter(|line| line.contains("panicked at"));
            found.extend(lines.map(|line| format!("{name}: {line}")));
        }
    }
    Ok(found)
}
