//! Signals to groups and to single processes.

use rustix::process::{Pid, PidfdFlags, Signal};

use super::proc::{Process, process};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// End in good order; a stopped process is continued so that it can.
    End,
    /// End now.
    Die,
    /// Stop where it stands.
    Stop,
    /// Go on.
    Continue,
}

impl Ask {
    const fn signals(self) -> &'static [Signal] {
        match self {
            Self::End => &[Signal::TERM, Signal::CONT],
            Self::Die => &[Signal::KILL],
            Self::Stop => &[Signal::STOP],
            Self::Continue => &[Signal::CONT],
        }
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// True while a process group has a member, be it one that has ended and was not yet taken.
pub(crate) fn group_lives(group: u32) -> bool {
    // Only "no such process" proves it empty: a member that we may not signal still is one.
    pid_of(group).is_some_and(|group| {
        rustix::process::test_kill_process_group(group) != Err(rustix::io::Errno::SRCH)
    })
}

/// Signals each member of a group at once, so that none can fork out of it meanwhile.
pub(crate) fn signal_group(group: u32, ask: Ask) {
    let Some(group) = pid_of(group) else { return };
    for signal in ask.signals() {
        // It may be gone by now: that is what was wanted.
        let _gone = rustix::process::kill_process_group(group, *signal);
    }
}

/// Signals a process if it still is the one that was seen.
pub(crate) fn signal_process(seen: &Process, ask: Ask) {
    let Some(pid) = pid_of(seen.pid) else { return };
    let Ok(handle) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    // With the handle open the pid cannot become another process's between check and signal.
    if process(seen.pid).is_none_or(|now| now.born != seen.born) {
        return;
    }
    for signal in ask.signals() {
        let _gone = rustix::process::pidfd_send_signal(&handle, *signal);
    }
}
