//! Fail points: named instants at which a process can be told to die, so that a test need not wait for chance
//! to hit them.
//!
//! Only builds with debug assertions have them; in a release passing one compiles to nothing.
//! `MESH_FAIL_POINTS` arms them, each with the passing at which the process ends:
//! `orchestrator.after-commit=3,ledger.after-row=1`. It ends as by `kill -9`: nothing is dropped, flushed
//! or said. With `MESH_FAIL_POINTS_LOG` the name is put into that file before, and a point that stands
//! there does not fire again, in no later life and in no other process: so what is started again goes on,
//! and whoever armed the points can count.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::{Signal, getpid, kill_process};

/// Names the points and their passings.
pub const POINTS_VARIABLE: &str = "MESH_FAIL_POINTS";
/// Names the file for those that fired.
pub const LOG_VARIABLE: &str = "MESH_FAIL_POINTS_LOG";

macro_rules! fail_points {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One of the instants.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FailPoint {
            $($(#[$doc])* $variant,)*
        }

        impl FailPoint {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in the variable and in the file.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

fail_points! {
    /// A round is durable, and nobody who waits for it has been answered.
    OrchestratorAfterCommit = "orchestrator.after-commit",
    /// Those who waited are answered, and no node has heard what follows.
    OrchestratorBeforePublish = "orchestrator.before-publish",
    /// Some nodes have heard what follows from a round, and others have not.
    OrchestratorMidBatch = "orchestrator.mid-batch",
    /// A manifest is in the store, and its uploader has not written that down.
    UploadStored = "upload.stored",
    /// The supervisor has told of an exit, and the agent has not written that down.
    AgentExitHeard = "agent.exit-heard",
    /// An end is in the agent's journal, and nobody else knows.
    AgentExitWritten = "agent.exit-written",
    /// Entries are durable, and nobody who waits for them has been answered.
    LedgerAfterCommit = "ledger.after-commit",
    /// A head has its row, and neither signature nor file.
    LedgerAfterRow = "ledger.after-row",
}

impl FailPoint {
    /// The instant is here: the process ends if it is to.
    #[inline]
    pub fn pass(self) {
        self.pass_if(|| true);
    }

    /// The instant is here if so.
    #[inline]
    pub fn pass_if(self, is_here: impl FnOnce() -> bool) {
        if cfg!(debug_assertions) && is_here() && self.is_due() {
            self.die();
        }
    }

    /// Counts a passing; true when the process is to end now, which is for the caller to do.
    #[inline]
    pub fn is_due(self) -> bool {
        cfg!(debug_assertions) && ARMED.is_due(self)
    }

    /// Ends the process as `kill -9` does, unless this point has fired before or cannot be written down.
    pub fn die(self) {
        if !ARMED.has_fired(self) && ARMED.note(self) {
            // SIGKILL to oneself is there before the call returns.
            let _killed = kill_process(getpid(), Signal::KILL);
            std::process::abort();
        }
    }
}

static ARMED: LazyLock<Armed> = LazyLock::new(|| {
    let points = std::env::var(POINTS_VARIABLE).unwrap_or_default();
    Armed::new(&points, std::env::var_os(LOG_VARIABLE).map(PathBuf::from))
});

/// What is armed in this process.
#[derive(Debug, Default)]
struct Armed {
    /// How many passings are left of each.
    left: Vec<(FailPoint, AtomicU32)>,
    log: Option<PathBuf>,
}

impl Armed {
    fn new(points: &str, log: Option<PathBuf>) -> Self {
        let mut armed = Self { left: Vec::new(), log };
        for text in points.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            match read(text) {
                Some((point, passing)) => armed.left.push((point, AtomicU32::new(passing))),
                None => {
                    tracing::warn!("{POINTS_VARIABLE} has {text:?}, which is not `point=passing`")
                }
            }
        }
        armed
    }

    fn is_due(&self, point: FailPoint) -> bool {
        let Some((_, left)) = self.left.iter().find(|(armed, _)| *armed == point) else {
            return false;
        };
        let passed = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        passed == Ok(1)
    }

    fn has_fired(&self, point: FailPoint) -> bool {
        let fired = self.log.as_ref().and_then(|log| fs::read_to_string(log).ok());
        fired.is_some_and(|fired| fired.lines().any(|line| line == point.name()))
    }

    /// True when it is written down, or need not be.
    fn note(&self, point: FailPoint) -> bool {
        let Some(log) = &self.log else { return true };
        let line = format!("{}\n", point.name());
        let open = File::options().create(true).append(true).open(log);
        open.and_then(|mut file| file.write_all(line.as_bytes())).is_ok()
    }
}

fn read(text: &str) -> Option<(FailPoint, u32)> {
    let (name, passing) = text.split_once('=')?;
    let point = FailPoint::ALL.iter().copied().find(|point| point.name() == name)?;
    Some((point, passing.parse().ok().filter(|passing| *passing > 0)?))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, path::Path, process::Command};

    use super::*;

    const POINT: FailPoint = FailPoint::OrchestratorAfterCommit;
    /// Where the process that may die says what it did.
    const SAYS: &str = "MESH_TEST_SAYS";

    struct Says(PathBuf);

    impl Says {
        fn say(&self, what: &str) {
            let mut file = File::options().create(true).append(true).open(&self.0).unwrap();
            file.write_all(what.as_bytes()).unwrap();
        }
    }

    impl Drop for Says {
        fn drop(&mut self) {
            self.say("dropped");
        }
    }

    /// What the other test starts as a process of its own; by itself it does nothing.
    #[test]
    fn passes_three_times() {
        let Some(says) = std::env::var_os(SAYS).map(|file| Says(file.into())) else { return };
        for passing in 1..=3 {
            POINT.pass();
            says.say(&format!("{passing} "));
        }
    }

    fn run(dir: &Path, armed: &str) -> (Option<i32>, String) {
        let says = dir.join("says");
        let _absent = fs::remove_file(&says);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "fail_point::tests::passes_three_times"]);
        command.env(POINTS_VARIABLE, armed).env(LOG_VARIABLE, dir.join("log")).env(SAYS, &says);
        let signal = command.output().unwrap().status.signal();
        (signal, fs::read_to_string(says).unwrap_or_default())
    }

    #[test]
    fn an_armed_point_kills_at_its_passing_once_and_nothing_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let killed = Some(9);
        assert_eq!(run(dir.path(), "ledger.after-row=1"), (None, "1 2 3 dropped".into()));
        let armed = format!("ledger.after-row=1,{}=3", POINT.name());
        assert_eq!(run(dir.path(), &armed), (killed, "1 2 ".into()));
        assert_eq!(
            fs::read_to_string(dir.path().join("log")).unwrap(),
            "orchestrator.after-commit\n"
        );
        assert_eq!(run(dir.path(), &armed), (None, "1 2 3 dropped".into()), "it has fired");
        // Where nothing can be written down it would fire in each life again.
        fs::remove_file(dir.path().join("log")).unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        assert_eq!(run(dir.path(), &armed), (None, "1 2 3 dropped".into()));
    }

    #[test]
    fn what_is_not_a_point_and_a_passing_arms_nothing() {
        for text in ["", "x=1", "ledger.after-row", "ledger.after-row=0", "ledger.after-row=-1"] {
            assert!(Armed::new(text, None).left.is_empty(), "{text}");
        }
        let both = Armed::new(" ledger.after-row=1 , upload.stored=2", None);
        assert_eq!(both.left.len(), 2);
        let stored = |_| both.is_due(FailPoint::UploadStored);
        assert_eq!([(); 4].map(stored), [false, true, false, false]);
    }

    #[test]
    fn names_are_all_different() {
        let mut names: Vec<_> = FailPoint::ALL.iter().map(|point| point.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FailPoint::ALL.len());
    }
}
