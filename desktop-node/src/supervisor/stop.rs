//! The main thread: waits for the end of the supervisor, and brings it about.
//!
//! It spawns nothing, so that the list of its children is the list of orphans (see `linux::Adopted`).

use std::time::{Duration, Instant};

use super::{
    shared::{Shared, wait},
    table::Table,
};
use crate::linux::{Ask, Wish, next_wish, signal_group};

/// How long killed processes may take to be gone before the supervisor exits without them.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an agent that has said `Shutdown` may take to exit.
const AGENT_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns when everything that was started has ended.
pub(super) fn wait_and_stop(shared: &Shared) {
    loop {
        let wish = next_wish();
        let mut table = shared.lock();
        let over = match wish {
            Wish::Now => true,
            Wish::Drain if table.draining => true,
            Wish::Drain => {
                tracing::info!("Told to stop; the agent drains");
                drain(&mut table);
                !table.agent_wanted
            }
            Wish::Look => table.shutdown || !table.agent_wanted && table.draining,
        };
        let at_once = wish != Wish::Look && over && table.agent_wanted;
        drop(table);
        shared.ended.notify_all();
        if over {
            return stop(shared, at_once);
        }
    }
}

fn drain(table: &mut Table) {
    table.draining = true;
    if let Some(agent) = table.agent {
        signal_group(agent, Ask::End);
    }
}

fn stop(shared: &Shared, at_once: bool) {
    let mut table = shared.lock();
    table.draining = true;
    table.close();
    drop(table);
    shared.ending.notify_one();
    wait_until(shared, KILL_TIMEOUT, |table| !table.is_busy());
    if !at_once {
        wait_until(shared, AGENT_TIMEOUT, |table| table.agent.is_none());
    }
    if let Some(agent) = shared.lock().agent {
        signal_group(agent, Ask::Die);
    }
    wait_until(shared, AGENT_TIMEOUT, |table| table.agent.is_none());
    shared.lock().tear_down_cgroups();
    tracing::info!("The supervisor ends; nothing that it started is left");
}

fn wait_until(shared: &Shared, at_most: Duration, reached: impl Fn(&Table) -> bool) {
    let deadline = Instant::now() + at_most;
    let mut table = shared.lock();
    while !reached(&table) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            tracing::warn!("Something that was killed is not gone; it is left behind");
            return;
        }
        table = wait(&shared.ended, table, Some(left));
    }
}
