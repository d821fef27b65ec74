//! The life of one attempt in the supervisor's hands.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use mesh_schemas::{AttemptKey, ByteSize, Timestamp, spec::Resources};

use super::log::{Record, Spawned};
use crate::{
    linux::{AttemptCgroup, Reaped, group_lives},
    protocol::{Event, Exited, Spawn, SpawnFailed, Started},
};

/// Where an attempt is.
#[derive(Debug)]
pub(super) enum Held {
    /// Waits for its resources.
    Queued(Box<Spawn>),
    /// Its resources are taken and a thread is starting it.
    Starting(Starting),
    /// It runs, or its main process has ended and its tree is not yet gone.
    Live(Box<Live>),
    /// It and its tree are gone.
    Exited(Box<Exited>),
    /// It could not be started.
    Failed(Box<SpawnFailed>),
    /// It was killed in the queue.
    Dequeued,
    /// It ran under a supervisor that died.
    Lost,
}

/// An attempt whose pid is not yet known.
#[derive(Debug)]
pub(super) struct Starting {
    pub resources: Resources,
    pub dir: PathBuf,
    pub began: Instant,
    /// It was to be killed before it had a pid.
    pub stop: Option<Stop>,
}

/// An attempt with processes.
#[derive(Debug)]
pub(super) struct Live {
    pub resources: Resources,
    pub began: Instant,
    pub started: Started,
    pub spawned: Spawned,
    pub cgroup: Option<AttemptCgroup>,
    /// Its process group was seen empty after its leader was reaped: the number may be another's.
    pub group_gone: bool,
    /// How the main process ended, once it did.
    pub exit: Option<MainExit>,
    /// What is left is to end.
    pub stop: Option<Stop>,
}

/// How a tree is being ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// When asking turns into killing.
    pub kill_at: Instant,
    /// Whether its processes were asked.
    pub asked: bool,
}

impl Stop {
    pub(super) const fn at(kill_at: Instant) -> Self {
        Self { kill_at, asked: false }
    }
}

/// How a main process ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct MainExit {
    pub reaped: Reaped,
    pub at: Timestamp,
    pub wall: Duration,
}

impl Live {
    /// The process group, as long as the number is surely ours.
    pub(super) const fn group(&self) -> Option<u32> {
        if self.group_gone { None } else { Some(self.started.pid) }
    }

    /// Whether some process of the group is left. Once it is empty it is not looked at again.
    pub(super) fn group_lives(&mut self) -> bool {
        if self.exit.is_some() && !self.group_gone {
            self.group_gone = !group_lives(self.started.pid);
        }
        !self.group_gone
    }

    /// That it runs, and for how long by now.
    pub(super) fn started_now(&self) -> Started {
        Started { elapsed_ms: Some(millis(self.began.elapsed())), ..self.started }
    }

    /// The attempt's end; its tree is gone.
    pub(super) fn exited(&self, exit: &MainExit) -> Exited {
        let cgroup = self.cgroup.as_ref();
        let memory_peak = cgroup.and_then(AttemptCgroup::memory_peak);
        Exited {
            attempt: self.started.attempt,
            code: exit.reaped.code,
            signal: exit.reaped.signal,
            oom_killed: cgroup.is_some_and(AttemptCgroup::oom_killed),
            started_at: self.started.at,
            ended_at: exit.at,
            wall_ms: millis(exit.wall),
            cpu_ms: millis(exit.reaped.cpu),
            memory_peak: ByteSize(memory_peak.unwrap_or(exit.reaped.memory_peak)),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Held {
    /// What the agent is told when it asks again; nothing while there is nothing to tell.
    pub(super) fn event(&self, attempt: AttemptKey) -> Option<Event> {
        match self {
            Self::Queued(_) | Self::Starting(_) => None,
            Self::Live(live) => Some(Event::Started(live.started_now())),
            Self::Exited(exited) => Some(Event::Exited(exited.clone())),
            Self::Failed(failed) => Some(Event::SpawnFailed(failed.clone())),
            Self::Dequeued => Some(Event::Dequeued { attempt }),
            Self::Lost => Some(Event::Lost { attempt }),
        }
    }

    /// What the log says of it; what has not started is not in the log.
    pub(super) fn record(&self, attempt: AttemptKey) -> Option<Record> {
        match self {
            Self::Queued(_) | Self::Starting(_) => None,
            Self::Live(live) => Some(Record::Spawned(live.spawned.clone())),
            Self::Exited(exited) => Some(Record::Exited(**exited)),
            Self::Failed(failed) => Some(Record::Failed((**failed).clone())),
            Self::Dequeued => Some(Record::Dequeued { attempt }),
            Self::Lost => Some(Record::Lost { attempt }),
        }
    }

    /// It has processes, or may have some in a moment.
    pub(super) const fn is_alive(&self) -> bool {
        match self {
            Self::Starting(_) | Self::Live(_) => true,
            Self::Queued(_) | Self::Exited(_) | Self::Failed(_) | Self::Dequeued | Self::Lost => {
                false
            }
        }
    }

    /// It is over, one way or another.
    pub(super) const fn is_over(&self) -> bool {
        match self {
            Self::Exited(_) | Self::Failed(_) | Self::Dequeued | Self::Lost => true,
            Self::Queued(_) | Self::Starting(_) | Self::Live(_) => false,
        }
    }
}
