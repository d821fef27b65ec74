//! A child process that dies with its value, and everything that it started with it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait::look_until;

/// How much of a log is shown when something failed.
const LOG_SHOWN_BYTES: usize = 4_000;

/// A child in a process group of its own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command with no stdin; stdout and stderr are added to the log file.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        use std::os::unix::process::CommandExt as _;
        let open = || File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(open()).stderr(open()).process_group(0);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Its process id, which is its group's too.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of it, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends the signal to the process alone.
    pub fn signal(&mut self, signal: Signal) {
        // After its end the id may be another process's.
        if self.exited().is_none() {
            let _ = kill_process(self.group(), signal);
        }
    }

    /// SIGKILL to the whole group, and waits for the end of the process. May be called again.
    pub fn kill(&mut self) {
        // There is none any more when all of it has ended.
        let _ = kill_process_group(self.group(), Signal::KILL);
        drop(self.child.wait());
    }

    /// SIGTERM, and waits for the end; the group is killed when the time is over.
    pub fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        look_until(patience, || self.exited().is_some());
        let status = self.exited();
        self.kill();
        status
    }

    /// The last lines of what it wrote.
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let from = bytes.len().saturating_sub(LOG_SHOWN_BYTES);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that is stopped in mid-instruction (SIGSTOP) until this value is dropped.
#[derive(Debug)]
pub struct Frozen(Pid);

impl Frozen {
    /// Freezes it.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn new(pid: u32) -> Self {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_started_dies_with_it() {
        let dir = crate::tmp::dir("process");
        let log = dir.path().join("log");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]);
        let process = Process::start(&mut command, &log);
        let grandchild = || process.log_tail().trim().parse::<i32>().ok();
        assert!(look_until(Duration::from_secs(5), || grandchild().is_some()));
        let grandchild = grandchild().unwrap();
        drop(process);
        let gone = || {
            // Whoever inherits it may be slow to reap it: a zombie is as good as gone.
            let stat = fs::read_to_string(format!("/proc/{grandchild}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        assert!(look_until(Duration::from_secs(5), gone));
    }

    #[test]
    fn stopping_is_gentle_first() {
        let dir = crate::tmp::dir("process");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"]);
        let mut process = Process::start(&mut command, &dir.path().join("log"));
        assert!(look_until(Duration::from_secs(5), || process.log_tail().contains("up")));
        assert_eq!(process.stop(Duration::from_secs(5)).unwrap().code(), Some(7));
    }
}
