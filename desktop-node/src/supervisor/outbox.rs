//! What waits to be written to the agent.
//!
//! The threads that watch processes must never wait for an agent that does not read, so they leave
//! their events here and one thread writes them. Events that come while a write is under way leave
//! together with the next one.

use std::{
    io::Write as _,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::protocol::{Event, encode};

/// An agent that has left so much unread is cut off; it may connect again and gets a snapshot.
const WAITING_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Default)]
struct State {
    connection: Option<Arc<UnixStream>>,
    waiting: Vec<u8>,
    close_after: bool,
}

/// The way to the agent; without one, events are dropped: the next snapshot says the same.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Condvar,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes this the agent's connection and the snapshot its first event. The older one is closed.
    pub(super) fn connect(&self, connection: Arc<UnixStream>, snapshot: Event) {
        let mut state = self.lock();
        close(state.connection.replace(connection));
        state.waiting.clear();
        state.close_after = false;
        encode(&snapshot, &mut state.waiting);
        self.filled.notify_one();
    }

    /// Closes the agent's connection.
    pub(super) fn disconnect(&self) {
        let mut state = self.lock();
        close(state.connection.take());
        state.waiting.clear();
    }

    /// Adds an event for the agent that is connected.
    pub(super) fn push(&self, event: &Event) {
        let mut state = self.lock();
        if state.connection.is_none() || state.close_after {
            return;
        }
        let idle = state.waiting.is_empty();
        encode(event, &mut state.waiting);
        if state.waiting.len() > WAITING_BYTES_MAX {
            tracing::warn!("The agent does not read what it is told; its connection is closed");
            close(state.connection.take());
            state.waiting.clear();
        } else if idle {
            self.filled.notify_one();
        }
    }

    /// Adds a last event, after which the connection is closed.
    pub(super) fn push_last(&self, event: &Event) {
        let mut state = self.lock();
        // Both in one step: a writer that took the event alone would not know that it is the last.
        encode(event, &mut state.waiting);
        state.close_after = true;
        self.filled.notify_one();
    }

    /// Writes for ever.
    pub(super) fn run(&self) {
        loop {
            let (connection, bytes, last) = self.next_batch();
            // A broken connection is seen by its reader, too, which ends it.
            if (&*connection).write_all(&bytes).is_err() || last {
                let _gone = connection.shutdown(Shutdown::Both);
            }
        }
    }

    fn next_batch(&self) -> (Arc<UnixStream>, Vec<u8>, bool) {
        let mut state = self.lock();
        loop {
            if let (Some(connection), false) = (&state.connection, state.waiting.is_empty()) {
                let connection = Arc::clone(connection);
                return (connection, std::mem::take(&mut state.waiting), state.close_after);
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Shut down rather than dropped, so that a thread that is writing to it comes back.
fn close(connection: Option<Arc<UnixStream>>) {
    if let Some(connection) = connection {
        let _gone = connection.shutdown(Shutdown::Both);
    }
}
