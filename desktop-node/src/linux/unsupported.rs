//! Stands in on systems that have no module of their own yet: the supervisor refuses to start.
//!
//! Only what is called before that refusal says so; the rest does nothing, as there is nothing.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use mesh_schemas::{ByteSize, Cpu, message::Enforcement};

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the supervisor does not run on this system yet")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Drain,
    Now,
    Look,
}

pub(crate) fn catch_signals() -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn next_wish() -> Wish {
    Wish::Now
}

pub(crate) fn wake_main() {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    End,
    Die,
    Stop,
    Continue,
}

pub(crate) fn group_lives(_group: u32) -> bool {
    false
}

pub(crate) fn signal_group(_group: u32, _ask: Ask) {}

pub(crate) fn signal_process(_seen: &Process, _ask: Ask) {}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    pub pid: u32,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub cpu: Duration,
    pub memory_peak: u64,
}

pub(crate) fn become_subreaper() -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn wait_for_an_end() -> io::Result<bool> {
    Err(unsupported())
}

pub(crate) fn reap_one() -> Option<Reaped> {
    None
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub pid: u32,
    pub parent: u32,
    pub group: u32,
    pub born: u64,
}

pub(crate) fn processes() -> Vec<Process> {
    Vec::new()
}

pub(crate) fn process(_pid: u32) -> Option<Process> {
    None
}

pub(crate) fn marker(_pid: u32, _variable: &str) -> Option<String> {
    None
}

pub(crate) fn places(_pid: u32) -> Vec<PathBuf> {
    Vec::new()
}

pub(crate) fn has_terminal(_pid: u32) -> bool {
    false
}

pub(crate) fn boot_id() -> String {
    String::new()
}

#[derive(Debug)]
pub(crate) struct Adopted;

impl Adopted {
    pub(crate) fn open() -> Self {
        Self
    }

    pub(crate) fn read(&self) -> BTreeSet<u32> {
        BTreeSet::new()
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks;

impl Ticks {
    pub(crate) fn start() -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn not_after(&self, _instant: Instant) -> u64 {
        0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    pub memory: Option<ByteSize>,
    pub cpu: Option<Cpu>,
}

#[derive(Debug, Default)]
pub(crate) struct Cgroups;

impl Cgroups {
    pub(crate) fn set_up(_name: &str) -> Self {
        Self
    }

    pub(crate) fn probe() -> Enforcement {
        Enforcement::default()
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    pub(crate) fn enforces(&self) -> Enforcement {
        Enforcement::default()
    }

    pub(crate) fn attempt(&mut self, _limits: Limits) -> io::Result<AttemptCgroup> {
        Err(unsupported())
    }

    pub(crate) fn tear_down(&self) {}
}

pub(crate) fn clear_leftovers(_paths: &[PathBuf]) -> bool {
    false
}

#[derive(Debug, Clone, Default)]
pub(crate) struct AttemptCgroup;

impl AttemptCgroup {
    pub(crate) fn doors(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        Vec::new()
    }

    pub(crate) fn kill(&self) {}

    pub(crate) fn freeze(&self, _frozen: bool) -> bool {
        false
    }

    pub(crate) fn oom_killed(&self) -> bool {
        false
    }

    pub(crate) fn memory_peak(&self) -> Option<u64> {
        None
    }

    pub(crate) fn remove(&self) -> bool {
        true
    }
}
