//! The supervisor's own signals, taken one by one by its main thread.
//!
//! They are blocked in every thread and waited for in one, so that no code runs in a handler. Children
//! start with nothing blocked: `std::process::Command` sees to that.

use std::{io, mem::MaybeUninit};

/// What somebody outside, or another thread of ours, wants of the main thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// SIGTERM or SIGHUP: stop in good order.
    Drain,
    /// SIGINT: stop at once.
    Now,
    /// Another thread changed what the main thread waits for.
    Look,
}

fn wanted() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    #[expect(unsafe_code, reason = "std has no signal sets; the set is ours and initialised here")]
    // SAFETY: sigemptyset initialises the set that the others then change.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Keeps the signals for [`next_wish`]. Call it in the main thread before any other thread exists.
pub(crate) fn block_signals() -> io::Result<()> {
    let set = wanted();
    #[expect(unsafe_code, reason = "std cannot block signals; the set is valid")]
    // SAFETY: a valid set, and no place for the old one.
    let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

/// Waits for the next signal.
pub(crate) fn next_wish() -> Wish {
    let set = wanted();
    let mut signal = 0;
    loop {
        #[expect(unsafe_code, reason = "std cannot wait for signals; both pointers are ours")]
        // SAFETY: a valid set, and a place for the signal's number.
        let failed = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
        match (failed, signal) {
            (0, libc::SIGTERM | libc::SIGHUP) => return Wish::Drain,
            (0, libc::SIGINT) => return Wish::Now,
            (0, _) => return Wish::Look,
            (_, _) => {}
        }
    }
}

/// Makes the main thread's [`next_wish`] return [`Wish::Look`].
pub(crate) fn wake_main() {
    let _ourselves = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1);
}
