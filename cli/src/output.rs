//! Printing: tables for people, JSON for programs, ids for pipes. What jobs and nodes chose as text is
//! shown inert. A closed pipe is success; any other failure to write fails the command at its end.

use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use comfy_table::{Cell, ContentArrangement, Table, presets};
use mesh_schemas::{ErrorCode, Problem, Timestamp, text::is_unsafe_char};
use serde::Serialize;

use crate::args::Format;

/// Why stdout takes no more; the first failure tells most.
static BROKEN: OnceLock<io::Error> = OnceLock::new();

/// Something that can be a row.
pub(crate) trait Row {
    /// Names of the columns.
    const COLUMNS: &'static [&'static str];

    /// One text a column.
    fn cells(&self) -> Vec<String>;

    /// What `--output quiet` prints.
    fn id(&self) -> String;
}

/// Prints a list.
pub(crate) fn list<R: Row + Serialize>(format: Format, rows: &[R]) {
    match format {
        Format::Json => json(&rows),
        Format::Quiet => rows.iter().for_each(|row| line(row.id())),
        Format::Table => table(R::COLUMNS, rows.iter().map(Row::cells).collect()),
    }
}

/// Prints one document as JSON.
pub(crate) fn json<T: Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => note(format!("cannot be written as JSON: {error}")),
    }
}

/// Prints one document as one line of JSON.
pub(crate) fn json_line<T: Serialize>(value: &T) {
    if let Ok(text) = serde_json::to_string(value) {
        line(text);
    }
}

/// Prints a table, without colour where it is not wanted.
pub(crate) fn table(columns: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !io::stdout().is_terminal() {
        // A pipe has no width: never wrap for it.
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(columns.iter().map(|column| Cell::new(column.to_uppercase())));
    for row in rows {
        table.add_row(row.iter().map(|cell| inert(cell)));
    }
    for text in table.to_string().lines() {
        line(text.trim_end());
    }
}

/// One line on stdout.
pub(crate) fn line(text: impl Display) {
    keep_failure(writeln!(io::stdout(), "{text}"));
}

/// Bytes on stdout, as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    keep_failure(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

fn keep_failure(result: io::Result<()>) {
    if let Err(error) = result {
        let _ = BROKEN.set(error);
    }
}

/// Stdout takes no more, for whatever reason: printing on is of no use.
pub(crate) fn is_broken() -> bool {
    BROKEN.get().is_some()
}

/// Everything printed has left this process, or its reader has gone (`| head`).
///
/// # Errors
/// `E_FILE` when something could not be written.
pub(crate) fn finish() -> Result<(), Problem> {
    keep_failure(io::stdout().flush());
    match BROKEN.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(Problem::new(
            ErrorCode::File,
            format!("standard output cannot be written: {error}"),
        )),
        Some(_) | None => Ok(()),
    }
}

/// Colours are wanted on stdout: a terminal, and nobody said no.
pub(crate) fn wants_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// One line on stderr: for the person, never for the pipe.
pub(crate) fn note(text: impl Display) {
    // There is nobody left to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// `error[E_X]: …`, then the hint and the trace.
pub(crate) fn print_problem(problem: &Problem) {
    note(format!("error[{}]: {}", problem.code, inert(&problem.detail)));
    if let Some(hint) = &problem.hint {
        note(format!("  hint: {}", inert(hint)));
    }
    if let Some(trace) = &problem.trace_id {
        note(format!("  trace: {}", inert(trace)));
    }
}

/// The text without what could steer a terminal.
pub(crate) fn inert(text: &str) -> String {
    text.chars().map(|c| if is_unsafe_char(c) || c == '\n' { '\u{fffd}' } else { c }).collect()
}

/// A number of things: `1 task`, `2 tasks`.
pub(crate) fn count(number: impl Into<u64>, thing: &str) -> String {
    let number = number.into();
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// How long between two times, in words as short as they may be.
pub(crate) fn duration(from: Timestamp, to: Timestamp) -> String {
    let millis = to.since(from).as_millis();
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", millis / 60_000, millis / 1_000 % 60),
        _ => format!("{}h{:02}m", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes.saturating_mul(10), 0);
    while value >= 10_240 && unit + 1 < UNITS.len() {
        value /= 1_024;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{}.{} {}", value / 10, value % 10, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(
            inert("a\u{1b}]52;c\u{7}b\u{202e}c\nd"),
            "a\u{fffd}]52;c\u{fffd}b\u{fffd}c\u{fffd}d"
        );
    }

    #[test]
    fn amounts_are_short() {
        let span = |millis| duration(Timestamp::from_millis(0), Timestamp::from_millis(millis));
        assert_eq!(
            [span(5), span(1_550), span(61_000), span(3_660_000)],
            ["5ms", "1.5s", "1m01s", "1h01m"]
        );
        assert_eq!([count(1_u32, "task"), count(0_u64, "task")], ["1 task", "0 tasks"]);
        assert_eq!([size(5), size(1_536), size(5 << 30)], ["5 B", "1.5 KiB", "5.0 GiB"]);
    }
}
