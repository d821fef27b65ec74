//! The agent's side of the supervisor's socket.

use std::{io, path::Path, time::Duration};

use mesh_node_core::{Exit, ExitHow, Input, Supervised};
use mesh_schemas::{
    AttemptKey, ErrorCode, Problem, Timestamp,
    message::{Enforcement, Usage},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::protocol::{
    self, Decoder, Event, Exited, PROTOCOL_VERSION, Request, SOCKET_NAME, Snapshot, SpawnFailed,
    SpawnFailure, Started,
};

/// How long the supervisor may take to say what it holds.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
/// Why an attempt of a dead supervisor ended.
const LOST_WITH_SUPERVISOR: &str = "the supervisor died while the attempt ran";
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// What the supervisor says, one batch after the other.
#[derive(Debug)]
pub(super) struct Events {
    socket: OwnedReadHalf,
    decoder: Decoder,
    buffer: Vec<u8>,
}

/// Writes requests to the supervisor, many in one write.
#[derive(Debug)]
pub(super) struct Requests {
    socket: OwnedWriteHalf,
    buffer: Vec<u8>,
}

/// What a new connection begins with.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) events: Events,
    pub(super) requests: Requests,
    pub(super) enforces: Enforcement,
    pub(super) held: Vec<(AttemptKey, Supervised)>,
}

/// Connects and waits for the snapshot.
///
/// # Errors
/// `E_UNREACHABLE` when no supervisor serves this directory, `E_CONFIG` when its version is another.
pub(super) async fn connect(data_dir: &Path) -> Result<Connected, Problem> {
    let path = data_dir.join(SOCKET_NAME);
    let socket = UnixStream::connect(&path).await.map_err(|error| {
        let detail = format!("no supervisor answers at {}: {error}", path.display());
        Problem::new(ErrorCode::Unreachable, detail).hint("start mesh-node --config FILE instead")
    })?;
    let (read, write) = socket.into_split();
    let mut events = Events { socket: read, decoder: Decoder::of_events(), buffer: Vec::new() };
    let first = tokio::time::timeout(SNAPSHOT_TIMEOUT, events.first()).await;
    let silent = |_| Problem::new(ErrorCode::Unreachable, "the supervisor says nothing");
    let snapshot = first.map_err(silent)??;
    let requests = Requests { socket: write, buffer: Vec::new() };
    let (enforces, held) = (snapshot.enforces, held(snapshot));
    Ok(Connected { events, requests, enforces, held })
}

impl Events {
    async fn first(&mut self) -> Result<Snapshot, Problem> {
        loop {
            match self.decoder.next_message()? {
                Some(Event::Snapshot(snapshot)) if snapshot.v == PROTOCOL_VERSION => {
                    return Ok(*snapshot);
                }
                Some(_) => {
                    let detail = "the supervisor speaks another version of the protocol";
                    return Err(Problem::new(ErrorCode::Config, detail)
                        .hint("restart the node, so that both are of one version"));
                }
                None => self.fill().await?,
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Problem> {
        self.buffer.resize(READ_BYTES, 0);
        let count = self.socket.read(&mut self.buffer).await.map_err(|error| gone(&error))?;
        if count == 0 {
            return Err(Problem::new(ErrorCode::Unreachable, "the supervisor closed the line"));
        }
        self.decoder.push(self.buffer.get(..count).unwrap_or_default());
        Ok(())
    }

    /// The next batch of what came to pass. May be dropped half-way: nothing is lost.
    ///
    /// # Errors
    /// The supervisor is gone, or speaks nonsense: the agent ends.
    pub(super) async fn next(&mut self) -> Result<Vec<Input>, Problem> {
        loop {
            let mut inputs = Vec::new();
            while let Some(event) = self.decoder.next_message()? {
                inputs.push(input(event)?);
            }
            if !inputs.is_empty() {
                return Ok(inputs);
            }
            self.fill().await?;
        }
    }
}

impl Requests {
    /// Adds a request to the next write.
    pub(super) fn push(&mut self, request: &Request) {
        protocol::encode(request, &mut self.buffer);
    }

    /// Writes what was added.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub(super) async fn flush(&mut self) -> Result<(), Problem> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.socket.write_all(&self.buffer).await;
        self.buffer.clear();
        written.map_err(|error| gone(&error))
    }
}

fn gone(error: &io::Error) -> Problem {
    Problem::new(ErrorCode::Unreachable, format!("the supervisor is gone: {error}"))
}

fn input(event: Event) -> Result<Input, Problem> {
    let (attempt, state) = match event {
        Event::Started(started) => (started.attempt, running(started)),
        Event::Exited(exited) => (exited.attempt, exit_of(&exited)),
        Event::SpawnFailed(failed) => (failed.attempt, failure_of(*failed)),
        Event::Dequeued { attempt } => (attempt, over(ExitHow::NeverStarted)),
        Event::Lost { attempt } => (attempt, lost(LOST_WITH_SUPERVISOR)),
        Event::Unknown { attempt } => (attempt, lost("the supervisor does not hold the attempt")),
        Event::Snapshot(snapshot) => return Ok(Input::Snapshot(held(*snapshot))),
        Event::Refused(problem) => return Err(problem),
    };
    Ok(Input::Supervised { attempt, state })
}

/// Each attempt that the supervisor holds, with where it is.
fn held(snapshot: Snapshot) -> Vec<(AttemptKey, Supervised)> {
    let Snapshot { v: _, enforces: _, queued, running, exited, failed, dequeued, lost } = snapshot;
    let mut held: Vec<_> = queued.into_iter().map(|key| (key, Supervised::Queued)).collect();
    held.extend(running.into_iter().map(|started| (started.attempt, self::running(started))));
    held.extend(exited.iter().map(|exited| (exited.attempt, exit_of(exited))));
    held.extend(failed.into_iter().map(|failed| (failed.attempt, failure_of(failed))));
    held.extend(dequeued.into_iter().map(|key| (key, over(ExitHow::NeverStarted))));
    held.extend(lost.into_iter().map(|key| (key, self::lost(LOST_WITH_SUPERVISOR))));
    held
}

fn running(started: Started) -> Supervised {
    let elapsed = started.elapsed_ms.map(Duration::from_millis);
    Supervised::Running { started_at: started.at, elapsed }
}

fn lost(message: &str) -> Supervised {
    over(ExitHow::Lost { message: message.into() })
}

fn exit_of(exited: &Exited) -> Supervised {
    let how = match (exited.oom_killed, exited.code, exited.signal) {
        // A command that got over the death of a child and ended well has succeeded.
        (_, Some(0), _) => ExitHow::Code(0),
        (true, _, signal) => ExitHow::OutOfMemory { signal },
        (false, Some(code), _) => ExitHow::Code(code),
        (false, None, Some(signal)) => ExitHow::Signal(signal),
        (false, None, None) => ExitHow::Lost { message: "its exit is unknown".into() },
    };
    Supervised::Exited(Exit {
        started_at: Some(exited.started_at),
        ended_at: exited.ended_at,
        how,
        usage: Usage {
            wall_ms: exited.wall_ms,
            cpu_ms: exited.cpu_ms,
            memory_peak: exited.memory_peak,
        },
    })
}

fn failure_of(failed: SpawnFailed) -> Supervised {
    let message = failed.message;
    over(match failed.reason {
        SpawnFailure::NotFound => ExitHow::CannotStart { code: 127, message },
        SpawnFailure::NotExecutable => ExitHow::CannotStart { code: 126, message },
        // The orchestrator places by what the node said it has: not the user's fault.
        SpawnFailure::Limits | SpawnFailure::Io => ExitHow::Lost { message },
    })
}

fn over(how: ExitHow) -> Supervised {
    let ended_at: Timestamp = mesh_fabric::time::now();
    Supervised::Exited(Exit { started_at: None, ended_at, how, usage: Usage::default() })
}
