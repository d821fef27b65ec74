//! Progress on a terminal; silence in a pipe.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over bytes, or nothing when stderr is no terminal.
pub(crate) fn bytes(what: &'static str, total: u64) -> ProgressBar {
    bar(total, "{msg:20} {bar:32} {bytes}/{total_bytes} {bytes_per_sec}").with_message(what)
}

/// A bar over tasks, or nothing when stderr is no terminal.
pub(crate) fn tasks(what: String, total: u64) -> ProgressBar {
    bar(total, "{msg:20} {bar:32} {pos}/{len} {elapsed}").with_message(what)
}

/// A bar over things of one kind, or nothing when stderr is no terminal.
pub(crate) fn count(what: &'static str, total: u64) -> ProgressBar {
    tasks(what.to_owned(), total)
}

fn bar(total: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
