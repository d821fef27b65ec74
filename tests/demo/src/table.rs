//! The table at the end, on stdout.

use std::io::Write as _;

use crate::verify::JobRow;

const COLUMNS: [&str; 7] =
    ["JOB", "TASKS", "OWNER NODES", "ATTEMPTS", "TRACE ID", "ARTIFACTS", "DURATION"];

pub(crate) fn print(rows: &[JobRow]) {
    let mut lines = vec![COLUMNS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut stdout = std::io::stdout().lock();
    for line in &lines {
        let text: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        // A closed pipe is no failure.
        let _ = writeln!(stdout, "{}", text.join("  ").trim_end());
    }
}

fn cells(row: &JobRow) -> [String; 7] {
    let kept = row.attempts.iter().filter_map(|attempt| attempt.manifest.as_ref());
    let (files, bytes) = kept.fold((0, 0), |(files, bytes), m| (files + m.files, bytes + m.bytes));
    let took = row.view.finished_at.map(|end| end.since(row.view.created_at).as_secs_f32());
    [
        row.title.to_owned(),
        row.view.counts.total.to_string(),
        row.nodes.join(","),
        row.attempts.len().to_string(),
        row.view.trace_id.clone(),
        format!("{files} ({} KiB)", bytes / 1_024),
        took.map(|seconds| format!("{seconds:.1}s")).unwrap_or_default(),
    ]
}
