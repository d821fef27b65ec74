//! The supervisor's own signals, handed to its main thread one by one through a pipe.
//!
//! They are caught and not blocked: a child inherits what is blocked, and then could not be asked to
//! end. What is caught is back at its default in a child; what our own parent ignored or blocked for
//! us is put back here, so that it does not reach the jobs either.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{IntoRawFd as _, OwnedFd},
    sync::{
        OnceLock,
        atomic::{AtomicI32, Ordering},
    },
};

use rustix::pipe::{PipeFlags, pipe_with};

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

/// Last number of the classic signals.
const SIGNAL_MAX: i32 = 31;

/// The pipe's end that the handler writes to. Never closed.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);
static READ_END: OnceLock<OwnedFd> = OnceLock::new();

/// Begins to catch signals for [`next_wish`]. Call it before any other thread exists.
///
/// # Errors
/// When there is no pipe to be had, or it was called before.
pub(crate) fn catch_signals() -> io::Result<()> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // A full pipe says enough; the handler must not wait for room in it.
    rustix::fs::fcntl_setfl(&write, rustix::fs::OFlags::NONBLOCK)?;
    READ_END.set(read).map_err(|_again| io::Error::other("signals are caught already"))?;
    WRITE_END.store(write.into_raw_fd(), Ordering::Relaxed);
    for signal in 1..=SIGNAL_MAX {
        match signal {
            libc::SIGTERM | libc::SIGINT => set_handler(signal, handler()),
            // `nohup` ignores it for us on purpose.
            libc::SIGHUP if !is_ignored(signal) => set_handler(signal, handler()),
            // The first two cannot be changed, and Rust sets the third for us and resets it in children.
            libc::SIGKILL | libc::SIGSTOP | libc::SIGPIPE | libc::SIGHUP => {}
            _ if is_ignored(signal) => set_handler(signal, libc::SIG_DFL),
            _ => {}
        }
    }
    unblock_all()
}

fn handler() -> libc::sighandler_t {
    on_signal as extern "C" fn(i32) as libc::sighandler_t
}

/// Writes the signal's number to the pipe: one of the few things that a handler may do.
extern "C" fn on_signal(signal: i32) {
    let byte = u8::try_from(signal).unwrap_or(0);
    #[expect(unsafe_code, reason = "a handler may not use std, which may allocate or lock")]
    // SAFETY: `write` and `errno` are async-signal-safe, and the byte lives for the call.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(WRITE_END.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *errno = before;
    }
}

fn set_handler(signal: i32, handler: libc::sighandler_t) {
    #[expect(unsafe_code, reason = "std has no signal handlers; a zeroed action is a valid one")]
    // SAFETY: the handler is a plain function that lives for ever and is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

fn is_ignored(signal: i32) -> bool {
    #[expect(unsafe_code, reason = "std cannot ask; a zeroed action is a valid one")]
    // SAFETY: only reads into an action of ours.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

fn unblock_all() -> io::Result<()> {
    let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
    #[expect(unsafe_code, reason = "std cannot change the mask; the set is ours")]
    // SAFETY: sigemptyset initialises the set that is then used.
    let failed = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

/// Waits for the next signal. Without [`catch_signals`] before it, it says `Now`.
pub(crate) fn next_wish() -> Wish {
    let Some(pipe) = READ_END.get() else { return Wish::Now };
    let mut byte = [0];
    loop {
        match rustix::io::read(pipe, &mut byte) {
            Ok(1..) => return wish(byte[0].into()),
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => return Wish::Now,
        }
    }
}

const fn wish(signal: i32) -> Wish {
    match signal {
        libc::SIGTERM | libc::SIGHUP => Wish::Drain,
        libc::SIGINT => Wish::Now,
        _ => Wish::Look,
    }
}

/// Makes the main thread's [`next_wish`] return [`Wish::Look`].
pub(crate) fn wake_main() {
    on_signal(0);
}
