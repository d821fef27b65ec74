//! A modelled supervisor: starts, ends and remembers attempts' processes. It outlives the agent, not the
//! machine.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use mesh_node_core::{Exit, ExitHow, StopCause, Supervised};
use mesh_schemas::{AttemptKey, Span, Timestamp, message::Usage};

use super::{Machine, OnNode};
use crate::{env::Env, planted::Bug, stats::Kind};

/// Something about a process that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Its command ends by itself.
    Done,
    /// It writes.
    Writes,
    /// It was asked to end, and does.
    Stops,
    /// It is killed.
    Killed,
}

/// Where an attempt is with the supervisor.
#[derive(Debug)]
enum Held {
    Queued { cpu: u32 },
    Running { cpu: u32, since: u64, started_at: Timestamp, stopping: bool },
    Over(Exit),
}

/// The supervisor.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) life: u32,
    held: BTreeMap<AttemptKey, Held>,
    queue: VecDeque<AttemptKey>,
    /// Thousandths of processors.
    free: u32,
    pub(crate) capacity: u32,
}

fn over(now: Timestamp, started_at: Option<Timestamp>, how: ExitHow) -> Exit {
    Exit { started_at, ended_at: now, how, usage: Usage::default() }
}

fn lost(now: Timestamp, started_at: Option<Timestamp>) -> Exit {
    over(now, started_at, ExitHow::Lost { message: "its supervisor died".into() })
}

impl Supervisor {
    pub(crate) const fn new(cpus: u32) -> Self {
        let capacity = cpus * 1_000;
        Self { life: 0, held: BTreeMap::new(), queue: VecDeque::new(), free: capacity, capacity }
    }

    /// All that it holds.
    pub(crate) fn snapshot(&self, now: u64) -> Vec<(AttemptKey, Supervised)> {
        self.held.iter().map(|(key, held)| (*key, held.state(now))).collect()
    }

    /// It dies, with all that runs; the next one says so, of what it finds in its own log.
    pub(crate) fn die(&mut self, env: &mut Env, wall: Timestamp, power_cut: bool) {
        self.life += 1;
        self.queue.clear();
        self.free = self.capacity;
        let before = std::mem::take(&mut self.held);
        for (key, held) in before {
            // Its log is not synced either.
            let forgets = power_cut && env.rng.chance(200);
            let exit = match held {
                Held::Queued { .. } => continue,
                Held::Running { .. } if forgets => continue,
                Held::Running { started_at, .. } => lost(wall, Some(started_at)),
                Held::Over(exit) if forgets => lost(wall, exit.started_at),
                Held::Over(exit) => exit,
            };
            self.held.insert(key, Held::Over(exit));
        }
    }

    /// It comes back without its disk.
    pub(crate) fn wipe(&mut self) {
        self.held.clear();
    }

    pub(crate) fn forget(&mut self, key: AttemptKey) {
        if matches!(self.held.get(&key), Some(Held::Over(_))) {
            self.held.remove(&key);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.held.is_empty()
    }
}

impl Held {
    fn state(&self, now: u64) -> Supervised {
        match self {
            Self::Queued { .. } => Supervised::Queued,
            Self::Running { since, started_at, .. } => Supervised::Running {
                started_at: *started_at,
                elapsed: Some(Duration::from_millis(now - since)),
            },
            Self::Over(exit) => Supervised::Exited(exit.clone()),
        }
    }
}

impl Machine {
    fn run_after(&self, env: &mut Env, wait: u64, attempt: AttemptKey, what: What) {
        let supervisor = self.supervisor.life;
        self.after(env, wait, OnNode::Run { supervisor, attempt, what });
    }

    /// Tells the agent where an attempt is, over a socket that keeps the order.
    fn tell(&self, env: &mut Env, attempt: AttemptKey, state: Supervised) {
        if let Some(agent) = &self.agent {
            self.after(env, 1, OnNode::Said { agent: agent.life, attempt, state });
        }
    }

    /// Runs an attempt when there is room; says where it is when it is known.
    pub(super) fn spawn(&mut self, env: &mut Env, attempt: AttemptKey, cpu: u32) {
        if let Some(held) = self.supervisor.held.get(&attempt) {
            let state = held.state(env.now);
            return self.tell(env, attempt, state);
        }
        self.supervisor.held.insert(attempt, Held::Queued { cpu });
        self.supervisor.queue.push_back(attempt);
        self.tell(env, attempt, Supervised::Queued);
        self.admit(env);
    }

    fn admit(&mut self, env: &mut Env) {
        while let Some(attempt) = self.supervisor.queue.front().copied() {
            let cpu = match self.supervisor.held.get(&attempt) {
                Some(Held::Queued { cpu }) => *cpu,
                Some(Held::Running { .. } | Held::Over(_)) | None => {
                    self.supervisor.queue.pop_front();
                    continue;
                }
            };
            if cpu > self.supervisor.free {
                return;
            }
            self.supervisor.queue.pop_front();
            self.start(env, attempt, cpu);
        }
    }

    fn start(&mut self, env: &mut Env, attempt: AttemptKey, cpu: u32) {
        let wall = self.clock.wall(env.now);
        if env.strikes(5) {
            let message = "it is not there".into();
            let how = ExitHow::CannotStart { code: 127, message };
            return self.end(env, attempt, over(wall, None, how));
        }
        env.observer.starts(attempt);
        self.supervisor.free -= cpu;
        let held = Held::Running { cpu, since: env.now, started_at: wall, stopping: false };
        let state = held.state(env.now);
        self.supervisor.held.insert(attempt, held);
        self.tell(env, attempt, state);
        let millis = match env.rng.between(0, 9) {
            0..=4 => env.rng.between(1, 150),
            5..=7 => env.rng.between(200, 5_000),
            _ => env.rng.between(5_000, 45_000),
        };
        if millis > 200 {
            for part in 1..4 {
                self.run_after(env, millis * part / 4, attempt, What::Writes);
            }
        }
        self.run_after(env, millis, attempt, What::Done);
    }

    /// Ends an attempt's processes: asks, waits, kills.
    pub(super) fn stop(&mut self, env: &mut Env, attempt: AttemptKey, grace: Span) {
        let wall = self.clock.wall(env.now);
        let recalled = self.is_recalled(attempt);
        match self.supervisor.held.get_mut(&attempt) {
            None => {
                let how = ExitHow::Lost { message: "the supervisor does not hold it".into() };
                self.tell(env, attempt, Supervised::Exited(over(wall, None, how)));
            }
            Some(Held::Queued { .. }) => {
                let exit = over(wall, None, ExitHow::NeverStarted);
                env.stats.add(Kind::GivenBack, u64::from(recalled));
                if recalled && env.options.bug == Some(Bug::RecalledAndRun) {
                    return self.tell(env, attempt, Supervised::Exited(exit));
                }
                self.end(env, attempt, exit);
            }
            Some(Held::Running { stopping, .. }) => {
                let again = std::mem::replace(stopping, true);
                let grace = u64::try_from(grace.duration().as_millis()).unwrap_or(0);
                self.run_after(env, grace + 2, attempt, What::Killed);
                // Some end when asked, some ignore it.
                if !again && env.rng.chance(700) {
                    let wait = env.rng.between(1, 200);
                    self.run_after(env, wait, attempt, What::Stops);
                }
            }
            Some(held @ Held::Over(_)) => {
                let state = held.state(env.now);
                self.tell(env, attempt, state);
            }
        }
    }

    fn is_recalled(&self, attempt: AttemptKey) -> bool {
        let stop = self.agent.as_ref().and_then(|agent| agent.node.attempt(attempt)?.stop);
        stop.is_some_and(|stop| stop.cause == StopCause::Preempted)
    }

    fn end(&mut self, env: &mut Env, attempt: AttemptKey, exit: Exit) {
        let before = self.supervisor.held.insert(attempt, Held::Over(exit.clone()));
        if let Some(Held::Running { cpu, .. }) = before {
            self.supervisor.free += cpu;
        }
        self.tell(env, attempt, Supervised::Exited(exit));
        self.admit(env);
    }

    /// Something about a running process is due.
    pub(super) fn due(&mut self, env: &mut Env, attempt: AttemptKey, what: What) {
        let Some(Held::Running { started_at, .. }) = self.supervisor.held.get(&attempt) else {
            return;
        };
        let started_at = Some(*started_at);
        let wall = self.clock.wall(env.now);
        let how = match what {
            What::Writes => return self.write(env, attempt),
            What::Done => how_it_ends(env),
            What::Stops => ExitHow::Signal(15),
            What::Killed => ExitHow::Signal(9),
        };
        if what == What::Done {
            self.write(env, attempt);
        }
        if how == ExitHow::Code(0) {
            env.observer.ran(attempt);
        }
        self.end(env, attempt, over(wall, started_at, how));
    }

    fn write(&mut self, env: &mut Env, attempt: AttemptKey) {
        // A full disk takes nothing; that is the job's own misfortune.
        if self.disk.is_full(env) {
            return env.stats.count(Kind::DiskFull);
        }
        let Some(dir) = self.disk.dirs.get_mut(&attempt) else { return };
        if env.rng.chance(600) {
            dir.log += env.rng.between(1, 120);
        }
        dir.output += 1;
        dir.checkpoint += 1;
        if let Some(agent) = &self.agent {
            self.after(env, 1, OnNode::Wrote { agent: agent.life, attempt });
        }
    }
}

fn how_it_ends(env: &mut Env) -> ExitHow {
    match env.rng.between(0, 29) {
        0 | 1 => ExitHow::Code(1),
        2 => ExitHow::Signal(11),
        3 => ExitHow::OutOfMemory { signal: Some(9) },
        _ => ExitHow::Code(0),
    }
}
