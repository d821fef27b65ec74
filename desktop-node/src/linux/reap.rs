//! Learning that children ended, in two steps: waiting without taking, then taking under a lock.
//!
//! A pid that was taken may be another process a moment later. Waiting does not take, and the
//! supervisor takes while it holds its table, so that nothing is signalled after it was taken.

use std::{io, time::Duration};

use rustix::process::{WaitId, WaitIdOptions};

/// A child that ended, with what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    pub pid: u32,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// User and system time, of the process and its waited-for children.
    pub cpu: Duration,
    /// Largest resident size of one of them, in bytes.
    pub memory_peak: u64,
}

/// Makes orphans of our descendants our children instead of init's.
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Blocks until some child has ended; it stays to be taken. False when there is no child at all.
pub(crate) fn wait_for_an_end() -> io::Result<bool> {
    loop {
        match rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::CHILD) => return Ok(false),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Takes one child that has ended, if there is one. Never blocks.
pub(crate) fn reap_one() -> Option<Reaped> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "no safe wrapper gives a child's usage; both pointers are ours")]
    // SAFETY: both out-pointers live for the call, and a zeroed rusage is a valid one.
    let (pid, usage) = unsafe {
        let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (pid, usage.assume_init())
    };
    let pid = u32::try_from(pid).ok().filter(|pid| *pid != 0)?;
    Some(Reaped {
        pid,
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
        memory_peak: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}
