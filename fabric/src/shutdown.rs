//! Ctrl-C and SIGTERM as a token that every service drains on.

use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told once too often to stop.
const IMPATIENT_EXIT: i32 = 130;

/// A token that SIGINT or SIGTERM cancels; a second signal ends the process at once with code 130.
/// Call it once, inside the runtime.
///
/// # Panics
/// When the system refuses signal handlers, which happens only outside a runtime with IO enabled.
pub fn token() -> CancellationToken {
    let token = CancellationToken::new();
    cancel_in_turn(vec![token.clone()]);
    token
}

/// Two tokens for who must clean up even in haste: the first signal cancels the first, a second one the
/// second, and a third one ends the process at once with code 130. Call it once, inside the runtime.
///
/// # Panics
/// As [`token`].
pub fn stages() -> Stages {
    let stages = Stages { stop: CancellationToken::new(), now: CancellationToken::new() };
    cancel_in_turn(vec![stages.stop.clone(), stages.now.clone()]);
    stages
}

/// How urgently to stop.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Drain, then stop.
    pub stop: CancellationToken,
    /// Stop without draining.
    pub now: CancellationToken,
}

fn cancel_in_turn(tokens: Vec<CancellationToken>) {
    let mut signals = Signals::listen();
    let watch = async move {
        for token in tokens {
            signals.next().await;
            tracing::info!("Told to stop");
            token.cancel();
        }
        signals.next().await;
        tracing::warn!("Told once more to stop; ending at once");
        leave();
    };
    #[expect(clippy::disallowed_methods, reason = "it lives as long as the process, by design")]
    drop(tokio::spawn(watch));
}

#[expect(clippy::exit, reason = "the person at the keyboard asked for it twice")]
fn leave() -> ! {
    std::process::exit(IMPATIENT_EXIT)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).expect("token() is called inside a runtime with IO");
        Self {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_cancels_the_token() {
        let token = token();
        assert!(!token.is_cancelled());
        kill_process(getpid(), Signal::TERM).unwrap();
        let cancelled = token.cancelled();
        tokio::time::timeout(std::time::Duration::from_secs(10), cancelled).await.unwrap();
    }
}
