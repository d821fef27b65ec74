//! What the supervisor's threads share, and the one act that several of them do: starting what fits.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{outbox::Outbox, spawn, table::Table};

/// Most starts that a thread does in one go while others wait for it.
const STARTS_MAX: usize = 64;

/// The table and the ways to wake those who wait for it to change.
pub(super) struct Shared {
    table: Mutex<Table>,
    /// A start is over: there may be children again.
    pub(super) started: Condvar,
    /// An attempt is to be ended, or something of one that is being ended has ended.
    pub(super) ending: Condvar,
    /// An attempt or the agent has ended.
    pub(super) ended: Condvar,
    pub(super) outbox: Arc<Outbox>,
    executable: PathBuf,
}

impl Shared {
    pub(super) const fn new(table: Table, outbox: Arc<Outbox>, executable: PathBuf) -> Self {
        Self {
            table: Mutex::new(table),
            started: Condvar::new(),
            ending: Condvar::new(),
            ended: Condvar::new(),
            outbox,
            executable,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        // A thread that panicked left the table between two whole changes.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what fits. Called by whoever learns of a free slot or of new work, and only by threads
    /// that live as long as the supervisor: a child can ask to die with the thread that started it.
    /// Then sends what has gathered for the agent: an end and the start that follows leave together.
    pub(super) fn start_what_fits(&self) {
        for _ in 0..STARTS_MAX {
            if !self.start_one() {
                break;
            }
        }
        match self.lock().has_queued() {
            // Work goes on without the agent: what it is told can wait for more to be told with it.
            true => self.outbox.flush_soon(),
            false => self.outbox.flush(),
        }
    }

    fn start_one(&self) -> bool {
        let Some(admitted) = self.lock().admit() else { return false };
        let attempt = admitted.spawn.attempt;
        let (outcome, cgroup) = match admitted.cgroup {
            Ok(cgroup) => {
                (spawn::start(&admitted.spawn, &self.executable, cgroup.as_ref()), cgroup)
            }
            Err(failure) => (Err(failure), None),
        };
        let mut table = self.lock();
        table.start_done(attempt, outcome, cgroup);
        let (idle, stopping, closed) = (table.idle_reapers > 0, table.stopping > 0, table.closed);
        drop(table);
        // Only those are woken who wait: this is the path of each start.
        if idle {
            self.started.notify_all();
        }
        if stopping {
            self.ending.notify_one();
        }
        if closed {
            self.ended.notify_all();
        }
        true
    }
}

/// Waits on a condition, for at most `time` when there is one.
pub(super) fn wait<'a>(
    condition: &Condvar,
    table: MutexGuard<'a, Table>,
    time: Option<Duration>,
) -> MutexGuard<'a, Table> {
    match time {
        None => condition.wait(table).unwrap_or_else(PoisonError::into_inner),
        Some(time) => condition.wait_timeout(table, time).unwrap_or_else(PoisonError::into_inner).0,
    }
}
