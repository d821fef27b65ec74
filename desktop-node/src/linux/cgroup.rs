//! Cgroups: one for the whole supervisor, so that the next one can end all that a dead one left, and
//! one for each attempt with limits.
//!
//! Version 2 is used where its controllers may be used, version 1 else. What cannot be set up is
//! absent and reported by [`Cgroups::enforces`]; nothing here pretends.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mesh_schemas::{ByteSize, Cpu, message::Enforcement};

use super::cgroup_mounts::Places;

/// What our cgroups' names begin with; nothing else is ever removed.
const PREFIX: &str = "mesh-";
/// Period of processor shares, in microseconds: the kernel's default.
const PERIOD_US: u64 = 100_000;
/// Smallest processor share the kernel takes, in microseconds of a period.
const QUOTA_US_MIN: u64 = 1_000;
/// How long the killed may take to be gone.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// What an attempt may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    pub memory: Option<ByteSize>,
    pub cpu: Option<Cpu>,
}

/// The cgroups of one supervisor.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    /// Where the supervisor was before, to go back to at its end.
    home: Option<PathBuf>,
    unified: Option<PathBuf>,
    /// The unified hierarchy has the controllers.
    unified_limits: bool,
    memory_v1: Option<PathBuf>,
    cpu_v1: Option<PathBuf>,
    made: u64,
}

impl Cgroups {
    /// Makes the supervisor's cgroups and moves this process, and so all that it will start, into
    /// the unified one.
    pub(crate) fn set_up(name: &str) -> Self {
        let places = Places::read();
        let name = format!("{PREFIX}{name}");
        let unified = places.unified.as_deref().and_then(|home| enter(home, &name).ok());
        let unified_limits = match (&places.unified, &unified) {
            (Some(home), Some(own)) => pass_controllers(home) && pass_controllers(own),
            (_, _) => false,
        };
        let v1 = |place: Option<PathBuf>| {
            place.filter(|_| !unified_limits).and_then(|place| make(place.join(&name)).ok())
        };
        Self {
            home: places.unified.filter(|_| unified.is_some()),
            unified,
            unified_limits,
            memory_v1: v1(places.memory_v1),
            cpu_v1: v1(places.cpu_v1),
            made: 0,
        }
    }

    /// What could be enforced, found out with cgroups that are removed again and hold nothing.
    pub(crate) fn probe() -> Enforcement {
        let places = Places::read();
        let name = format!("{PREFIX}probe-{}", std::process::id());
        let has = |home: &Option<PathBuf>, file: &str| {
            let dir = home.as_ref().and_then(|home| make(home.join(&name)).ok());
            let found = dir.as_ref().is_some_and(|dir| dir.join(file).exists());
            dir.iter().for_each(|dir| remove(dir));
            found
        };
        let unified = places.unified.as_deref();
        let v2 = unified.is_some_and(|home| has_controllers(home) && pass_controllers(home));
        Enforcement {
            cpu: v2 || has(&places.cpu_v1, "cpu.cfs_quota_us"),
            memory: v2 || has(&places.memory_v1, "memory.limit_in_bytes"),
            tree_kill: has(&places.unified, "cgroup.kill"),
        }
    }

    /// What was made, for the next supervisor to clear.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        [&self.unified, &self.memory_v1, &self.cpu_v1].into_iter().flatten().cloned().collect()
    }

    /// What limits can be set.
    pub(crate) fn enforces(&self) -> Enforcement {
        Enforcement {
            cpu: self.unified_limits || self.cpu_v1.is_some(),
            memory: self.unified_limits || self.memory_v1.is_some(),
            tree_kill: self.unified.is_some(),
        }
    }

    /// Makes the cgroup of one attempt; the process joins it by itself, before it executes anything.
    ///
    /// # Errors
    /// When a limit that [`Self::enforces`] cannot be set after all.
    pub(crate) fn attempt(&mut self, limits: Limits) -> io::Result<AttemptCgroup> {
        self.made += 1;
        let name = format!("attempt-{}", self.made);
        let mut made = AttemptCgroup::default();
        let outcome = self.fill(&name, limits, &mut made);
        match outcome {
            Ok(()) => Ok(made),
            Err(error) => {
                made.remove();
                Err(error)
            }
        }
    }

    fn fill(&self, name: &str, limits: Limits, made: &mut AttemptCgroup) -> io::Result<()> {
        if let Some(unified) = &self.unified {
            let dir = make(unified.join(name))?;
            made.unified = Some(dir.clone());
            if self.unified_limits {
                return limit_unified(&dir, limits);
            }
        }
        if let (Some(parent), Some(memory)) = (&self.memory_v1, limits.memory) {
            let dir = made.memory_v1.insert(make(parent.join(name))?);
            set(dir.join("memory.limit_in_bytes"), memory.0.to_string())?;
        }
        if let (Some(parent), Some(cpu)) = (&self.cpu_v1, limits.cpu) {
            let dir = made.cpu_v1.insert(make(parent.join(name))?);
            set(dir.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
            set(dir.join("cpu.cfs_quota_us"), quota_us(cpu).to_string())?;
        }
        Ok(())
    }

    /// Goes back to where the supervisor was and removes what it made; all must have ended.
    pub(crate) fn tear_down(&self) {
        if let Some(home) = &self.home {
            // Refused where the home has controllers: then the next supervisor removes the rest.
            let _refused = set(home.join("cgroup.procs"), "0");
        }
        self.paths().iter().for_each(|path| remove(path));
    }
}

/// Writes to a control file, and never makes one where there is none.
fn set(file: PathBuf, text: impl AsRef<[u8]>) -> io::Result<()> {
    File::options().write(true).open(file)?.write_all(text.as_ref())
}

fn quota_us(cpu: Cpu) -> u64 {
    (u64::from(cpu.0) * PERIOD_US / 1_000).max(QUOTA_US_MIN)
}

fn limit_unified(dir: &Path, limits: Limits) -> io::Result<()> {
    if let Some(memory) = limits.memory {
        set(dir.join("memory.max"), memory.0.to_string())?;
        // Swap would only make the end slower; kernels without swap accounting lack the file.
        let _absent = set(dir.join("memory.swap.max"), "0");
    }
    if let Some(cpu) = limits.cpu {
        set(dir.join("cpu.max"), format!("{} {PERIOD_US}", quota_us(cpu)))?;
    }
    Ok(())
}

fn make(dir: PathBuf) -> io::Result<PathBuf> {
    fs::create_dir(&dir)?;
    Ok(dir)
}

/// Makes our cgroup below `home` and moves this process into a leaf of it: a cgroup that passes
/// controllers on may hold no process itself.
fn enter(home: &Path, name: &str) -> io::Result<PathBuf> {
    let own = make(home.join(name))?;
    let moved = make(own.join("main")).and_then(|main| set(main.join("cgroup.procs"), "0"));
    if let Err(error) = moved {
        remove(&own);
        return Err(error);
    }
    Ok(own)
}

fn has_controllers(dir: &Path) -> bool {
    let text = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    ["memory", "cpu"].iter().all(|wanted| text.split_whitespace().any(|name| name == *wanted))
}

/// Hands the memory and processor controllers down to the children of a cgroup.
fn pass_controllers(dir: &Path) -> bool {
    set(dir.join("cgroup.subtree_control"), "+memory +cpu").is_ok()
}

/// Kills all that a dead supervisor left in its cgroups, and removes them. True when nothing is left.
pub(crate) fn clear_leftovers(paths: &[PathBuf]) -> bool {
    let own = |path: &&PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX))
    };
    let deadline = Instant::now() + CLEAR_TIMEOUT;
    let paths: Vec<&PathBuf> = paths.iter().filter(own).filter(|path| path.is_dir()).collect();
    loop {
        for path in &paths {
            let _absent = set(path.join("cgroup.kill"), "1");
            remove(path);
        }
        if paths.iter().all(|path| !path.is_dir()) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Removes a cgroup and those below it; one that still holds a process stays.
fn remove(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _busy = fs::remove_dir(dir);
}

/// The cgroups of one attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttemptCgroup {
    unified: Option<PathBuf>,
    memory_v1: Option<PathBuf>,
    cpu_v1: Option<PathBuf>,
}

impl AttemptCgroup {
    fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.unified, &self.memory_v1, &self.cpu_v1].into_iter().flatten()
    }

    /// Files that a process writes itself into to join.
    pub(crate) fn doors(&self) -> Vec<PathBuf> {
        self.dirs().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Every process in it, wherever it was re-parented to.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let Some(dir) = self.dirs().next() else { return Vec::new() };
        let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Kills all of it in one stroke, where the kernel can.
    pub(crate) fn kill(&self) {
        if let Some(dir) = &self.unified {
            let _absent = set(dir.join("cgroup.kill"), "1");
        }
    }

    /// Freezes or thaws all of it; false where the kernel cannot.
    pub(crate) fn freeze(&self, frozen: bool) -> bool {
        let text = if frozen { "1" } else { "0" };
        self.unified.as_ref().is_some_and(|dir| set(dir.join("cgroup.freeze"), text).is_ok())
    }

    /// The kernel killed something in it for its memory limit.
    pub(crate) fn oom_killed(&self) -> bool {
        let v2 = self.unified.as_ref().map(|dir| dir.join("memory.events"));
        let v1 = self.memory_v1.as_ref().map(|dir| dir.join("memory.oom_control"));
        [v2, v1].into_iter().flatten().any(|file| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|n| n.trim() != "0"))
        })
    }

    /// Most memory that all of it used at once, in bytes.
    pub(crate) fn memory_peak(&self) -> Option<u64> {
        let v2 = self.unified.as_ref().map(|dir| dir.join("memory.peak"));
        let v1 = self.memory_v1.as_ref().map(|dir| dir.join("memory.max_usage_in_bytes"));
        let mut files = [v2, v1].into_iter().flatten();
        files.find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
    }

    /// Removes it. False when it still holds a process, or the kernel is not done with one.
    pub(crate) fn remove(&self) -> bool {
        self.dirs().for_each(|dir| remove(dir));
        self.dirs().all(|dir| !dir.is_dir())
    }
}
