//! What this machine can do at all: two threads that start `/bin/true` and wait for it, nothing else.
//! Rust's standard library uses `posix_spawn` for a command without hooks.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Slots of the node and threads of the floor.
const THREADS: u32 = 2;

/// How long so many processes take.
pub(crate) fn spawn_all(count: u32) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let spawn = || -> std::io::Result<()> {
            for _ in 0..count / THREADS {
                Command::new("/bin/true").stdin(Stdio::null()).status()?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(spawn)).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(begun.elapsed())
    })
}
