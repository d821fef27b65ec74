//! What waits to be written to the agent.
//!
//! The threads that watch processes must never wait for an agent that does not read. They add their
//! events here and send what has gathered when they are done with what else is to be done; what does
//! not fit into the socket is left to a thread that may wait.

use std::{
    io::{self, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::net::{SendFlags, send};

use crate::protocol::{Event, encode};

/// An agent that has left so much unread is cut off; it may connect again and gets a snapshot.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// How long events wait for one another at most when they can wait.
const GATHER: Duration = Duration::from_millis(8);

#[derive(Debug, Default)]
struct State {
    connection: Option<Arc<UnixStream>>,
    waiting: Vec<u8>,
    /// The socket was full: the rest is the waiting thread's, so that the order is kept.
    stuck: bool,
    /// When what waits is to be sent; it is the waiting thread's to do so.
    due: Option<Instant>,
    close_after: bool,
}

/// The way to the agent; without one, events are dropped: the next snapshot says the same.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// There is something for the waiting thread to do, now or soon.
    wanted: Condvar,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes this the agent's connection and the snapshot its first event. The older one is closed.
    pub(super) fn connect(&self, connection: Arc<UnixStream>, snapshot: &Event) {
        let mut state = self.lock();
        state.drop_connection();
        state.connection = Some(connection);
        encode(snapshot, &mut state.waiting);
    }

    /// Closes the agent's connection.
    pub(super) fn disconnect(&self) {
        self.lock().drop_connection();
    }

    /// Adds an event for the agent that is connected.
    pub(super) fn push(&self, event: &Event) {
        let mut state = self.lock();
        if state.connection.is_none() || state.close_after {
            return;
        }
        encode(event, &mut state.waiting);
        if state.waiting.len() > WAITING_BYTES_MAX {
            tracing::warn!("The agent does not read what it is told; its connection is closed");
            state.drop_connection();
        }
    }

    /// Adds a last event, after which the connection is closed.
    pub(super) fn push_last(&self, event: &Event) {
        self.push(event);
        self.lock().close_after = true;
    }

    /// Sends what waits, as far as the socket takes it. Never blocks.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        if state.stuck {
            return;
        }
        state.send();
        if state.stuck {
            self.wanted.notify_one();
        }
    }

    /// Sends what waits together with what comes within a few milliseconds. Never blocks.
    pub(super) fn flush_soon(&self) {
        let mut state = self.lock();
        if state.due.is_none() && !state.waiting.is_empty() && !state.stuck {
            state.due = Some(Instant::now() + GATHER);
            self.wanted.notify_one();
        }
    }

    /// Writes what [`Self::flush`] could not and what [`Self::flush_soon`] left, for ever.
    pub(super) fn run(&self) {
        loop {
            let (connection, bytes) = self.next_stuck();
            // A broken connection is seen by its reader, too, which ends it.
            let _broken = (&*connection).write_all(&bytes);
            let mut state = self.lock();
            let is_current =
                state.connection.as_ref().is_some_and(|now| Arc::ptr_eq(now, &connection));
            if is_current {
                state.stuck = false;
                state.send();
            }
        }
    }

    fn next_stuck(&self) -> (Arc<UnixStream>, Vec<u8>) {
        let mut state = self.lock();
        loop {
            if let (Some(connection), true) = (&state.connection, state.stuck) {
                let connection = Arc::clone(connection);
                return (connection, std::mem::take(&mut state.waiting));
            }
            let left = state.due.map(|due| due.saturating_duration_since(Instant::now()));
            state = match left {
                None => self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    state.send();
                    state
                }
                Some(left) => {
                    let woken = self.wanted.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl State {
    fn send(&mut self) {
        self.due = None;
        let Some(connection) = &self.connection else { return };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while !self.waiting.is_empty() && !self.stuck {
            match send(&**connection, &self.waiting, flags).map_err(io::Error::from) {
                Ok(sent) => drop(self.waiting.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stuck = true,
                // Its reader sees the same and ends it.
                Err(_) => self.waiting.clear(),
            }
        }
        if self.waiting.is_empty() && self.close_after {
            self.drop_connection();
        }
    }

    /// Shut down rather than dropped, so that a thread that is writing to it comes back.
    fn drop_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _gone = connection.shutdown(Shutdown::Both);
        }
        self.waiting.clear();
        (self.stuck, self.close_after, self.due) = (false, false, None);
    }
}
