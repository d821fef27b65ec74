//! The thread that keeps the agent alive.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::shared::{Shared, wait};

/// Wait before the first restart; each further one of a crash loop waits twice as long.
const RESTART_FIRST: Duration = Duration::from_millis(200);
/// Longest wait before a restart.
const RESTART_MAX: Duration = Duration::from_secs(30);
/// An agent that lived so long was healthy: the next restart waits the shortest time again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Runs the agent, again and again, until the supervisor drains.
pub(super) fn run(shared: &Shared, executable: &Path, arguments: &[OsString]) {
    let mut pause = RESTART_FIRST;
    while !shared.lock().draining {
        let born = Instant::now();
        match start(shared, executable, arguments) {
            Ok(()) => wait_for_its_end(shared),
            Err(error) => tracing::error!(%error, "The agent cannot be started"),
        }
        let lived = born.elapsed();
        if lived >= HEALTHY_AFTER {
            pause = RESTART_FIRST;
        }
        if shared.lock().draining {
            break;
        }
        let lived_ms = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(lived_ms, restart_in = ?pause, "The agent ended and will be started again");
        sleep_unless_draining(shared, pause);
        pause = (pause * 2).min(RESTART_MAX);
    }
    // Whoever waits for the agent's end need not wait for one that will not be started.
    shared.lock().agent_wanted = false;
    crate::linux::wake_main();
}

fn start(shared: &Shared, executable: &Path, arguments: &[OsString]) -> io::Result<()> {
    shared.lock().starts += 1;
    let mut command = Command::new(executable);
    // A group of its own, so that a Ctrl-C at the terminal reaches the supervisor alone, which then
    // ends the agent in good order.
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    let outcome = command.spawn().map(|child| child.id());
    let mut table = shared.lock();
    table.agent_started(outcome.as_ref().ok().copied());
    drop(table);
    shared.started.notify_all();
    outcome.map(|_| ())
}

fn wait_for_its_end(shared: &Shared) {
    let mut table = shared.lock();
    while table.agent.is_some() {
        table = wait(&shared.ended, table, None);
    }
}

fn sleep_unless_draining(shared: &Shared, pause: Duration) {
    let until = Instant::now() + pause;
    let mut table = shared.lock();
    while !table.draining && Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        table = wait(&shared.ended, table, Some(left));
    }
}
