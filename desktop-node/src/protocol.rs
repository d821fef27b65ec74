//! What agent and supervisor say to each other over `<data>/supervisor.sock` (mode 0600).
//!
//! Newline-delimited JSON: the agent writes [`Request`]s, the supervisor [`Event`]s, several to a write
//! where there are several. One agent is connected at a time; a newer connection replaces the older.
//! Each connection begins with [`Event::Snapshot`], which says all that the supervisor holds, so that
//! neither side needs to remember what it told the other before. Requests may be doubled: what is
//! already so is answered with the present state and changes nothing.

use std::path::PathBuf;

use mesh_schemas::{
    AttemptKey, ByteSize, ErrorCode, Problem, Timestamp, message::Enforcement, spec::Resources,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of what is said here; [`Snapshot::v`] carries it.
pub const PROTOCOL_VERSION: u32 = 1;
/// The socket's name below the node's data directory.
pub const SOCKET_NAME: &str = "supervisor.sock";
/// Longest request, in bytes: a full command and a full environment, escaped.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Longest event, in bytes: a snapshot of a hundred thousand ends.
pub const EVENT_BYTES_MAX: usize = 64 << 20;
/// The variable that marks each process of an attempt with its key.
pub const ATTEMPT_VARIABLE: &str = "MESH_ATTEMPT";
/// Name of the directory the command starts in, below the attempt's directory.
pub const WORK_DIR: &str = "work";
/// Name of the file that takes the standard output, below the attempt's directory.
pub const STDOUT_FILE: &str = "stdout";
/// Name of the file that takes the standard error, below the attempt's directory.
pub const STDERR_FILE: &str = "stderr";

/// What the agent wants of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Queue this attempt, and start it when all before it have started and its resources are free.
    /// For an attempt already held, its present state is said again.
    Spawn(Box<Spawn>),
    /// End it with its whole tree: SIGTERM, wait, SIGKILL. One that still waits is answered with
    /// [`Event::Dequeued`], one that is not held with [`Event::Unknown`].
    Kill {
        /// Which.
        attempt: AttemptKey,
        /// Between asking and killing, in milliseconds; 0 kills at once. A later Kill with less
        /// grace shortens the wait, one with more does not lengthen it.
        grace_ms: u64,
    },
    /// Stop its processes where they stand.
    Freeze {
        /// Which.
        attempt: AttemptKey,
    },
    /// Let its processes go on.
    Thaw {
        /// Which.
        attempt: AttemptKey,
    },
    /// Their ends are known for good: drop them from later snapshots. Live ones are passed over.
    Forget {
        /// Which.
        attempts: Vec<AttemptKey>,
    },
    /// The agent has drained and exits: kill what is left and exit with 0.
    Shutdown,
}

/// One attempt to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// Which.
    pub attempt: AttemptKey,
    /// Program and arguments. A name without a slash is looked up in the `PATH` of `env`, one with
    /// a slash is relative to the directory it starts in.
    pub argv: Vec<String>,
    /// The complete environment; nothing of the supervisor's own is passed on. [`ATTEMPT_VARIABLE`]
    /// is added.
    pub env: Vec<(String, String)>,
    /// The attempt's directory, absolute; made when missing, its parent included. Output is appended
    /// to `stdout` and `stderr` in it.
    pub dir: PathBuf,
    /// Where to start, relative to `dir`/`work`, without `..`; empty for `work` itself.
    #[serde(default)]
    pub cwd: PathBuf,
    /// What it holds of the node's capacity from its start until its tree is gone.
    pub resources: Resources,
    /// Whether to set limits. They are set where the kernel lets us ([`Snapshot::enforces`]): on
    /// memory when some is asked for, on processors when other than the default of one is asked for
    /// or memory is limited anyhow. An attempt without limits starts twice as fast.
    pub enforce: bool,
}

/// What the supervisor tells the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// First on each connection: everything held.
    Snapshot(Box<Snapshot>),
    /// The command runs.
    Started(Started),
    /// The command ended and its whole process tree is gone.
    Exited(Box<Exited>),
    /// It could not be started; nothing ran.
    SpawnFailed(Box<SpawnFailed>),
    /// It was killed while it waited in the queue; nothing ran.
    Dequeued {
        /// Which.
        attempt: AttemptKey,
    },
    /// It ran under a supervisor that died; nothing of it is left.
    Lost {
        /// Which.
        attempt: AttemptKey,
    },
    /// A request named an attempt that is not held.
    Unknown {
        /// Which.
        attempt: AttemptKey,
    },
    /// A line was no request. The connection is closed after it; nothing of the line was done.
    Refused(Problem),
}

/// Everything a supervisor holds. An attempt is in one of the lists, or not held at all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`PROTOCOL_VERSION`].
    pub v: u32,
    /// What this kernel lets us enforce.
    pub enforces: Enforcement,
    /// Waiting for their resources, in their order.
    pub queued: Vec<AttemptKey>,
    /// Started and not yet gone.
    pub running: Vec<Started>,
    /// Ended and not yet forgotten.
    pub exited: Vec<Exited>,
    /// Not startable and not yet forgotten.
    pub failed: Vec<SpawnFailed>,
    /// Killed in the queue and not yet forgotten.
    pub dequeued: Vec<AttemptKey>,
    /// Started under a supervisor that died; killed by this one, their ends are unknown.
    pub lost: Vec<AttemptKey>,
}

/// A running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Which.
    pub attempt: AttemptKey,
    /// Its main process, which leads its process group.
    pub pid: u32,
    /// By this machine's clock.
    pub at: Timestamp,
    /// For how long it has run when this is said, by the monotonic clock.
    #[serde(default)]
    pub elapsed_ms: Option<u64>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// Which.
    pub attempt: AttemptKey,
    /// Exit code of the main process, when it exited.
    pub code: Option<i32>,
    /// The signal that ended it, when one did.
    pub signal: Option<i32>,
    /// The kernel killed some process of it for the attempt's own memory limit.
    pub oom_killed: bool,
    /// When the command started, by this machine's clock.
    pub started_at: Timestamp,
    /// When its main process ended, by this machine's clock.
    pub ended_at: Timestamp,
    /// Wall time of the main process, by the monotonic clock.
    pub wall_ms: u64,
    /// Processor time, user and system, of the main process and its waited-for children.
    pub cpu_ms: u64,
    /// Largest resident memory of one process; of all together where memory is limited. A small
    /// command shows the supervisor's own size, which the kernel counts before the program is loaded.
    pub memory_peak: ByteSize,
}

/// An attempt that could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnFailed {
    /// Which.
    pub attempt: AttemptKey,
    /// Whose fault it is.
    pub reason: SpawnFailure,
    /// One sentence for people.
    pub message: String,
}

/// Why a command could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnFailure {
    /// The program, its interpreter or the directory to start in does not exist.
    NotFound,
    /// The program is there and cannot be executed, or not with so long a list of arguments.
    NotExecutable,
    /// It asks for more than the node has, or its limits cannot be set.
    Limits,
    /// The node's own fault: disk, descriptors, processes.
    Io,
}

/// Appends a message and its newline.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) {
    let start = out.len();
    // Paths that are not UTF-8 are the one thing that does not serialize; neither side makes any.
    if serde_json::to_writer(&mut *out, message).is_ok() {
        out.push(b'\n');
    } else {
        out.truncate(start);
    }
}

/// Cuts a byte stream into messages; what is not yet a whole line waits for the rest.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    consumed: usize,
    searched: usize,
    line_bytes_max: usize,
}

impl Decoder {
    /// For the supervisor's side.
    pub const fn of_requests() -> Self {
        Self::new(REQUEST_BYTES_MAX)
    }

    /// For the agent's side.
    pub const fn of_events() -> Self {
        Self::new(EVENT_BYTES_MAX)
    }

    const fn new(line_bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), consumed: 0, searched: 0, line_bytes_max }
    }

    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.searched -= self.consumed;
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; call until `None` after each `push`.
    ///
    /// # Errors
    /// `E_SYNTAX` or `E_UNKNOWN_FIELD` for a line that is no message, `E_TOO_LARGE` for one longer
    /// than the side's limit. The stream is of no use after that: close it.
    pub fn next_message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Problem> {
        let newline = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(length) = newline else {
            self.searched = self.buffer.len();
            return self.check_length(self.searched - self.consumed).map(|()| None);
        };
        let end = self.searched + length;
        self.check_length(end - self.consumed)?;
        let line = &self.buffer[self.consumed..end];
        (self.consumed, self.searched) = (end + 1, end + 1);
        serde_json::from_slice(line).map(Some).map_err(|error| syntax(&error))
    }

    fn check_length(&self, length: usize) -> Result<(), Problem> {
        if length <= self.line_bytes_max {
            return Ok(());
        }
        let detail = format!("a line has at most {} bytes", self.line_bytes_max);
        Err(Problem::new(ErrorCode::TooLarge, detail))
    }
}

fn syntax(error: &serde_json::Error) -> Problem {
    let text: String = error.to_string().chars().take(200).collect();
    let code = match text.starts_with("unknown field") || text.starts_with("unknown variant") {
        true => ErrorCode::UnknownField,
        false => ErrorCode::Syntax,
    };
    Problem::new(code, format!("the line is no message: {text}"))
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{Epoch, JobId};

    use super::*;

    fn kill(task: u32) -> Request {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        Request::Kill { attempt: AttemptKey { job, task, epoch: Epoch(1) }, grace_ms: 5 }
    }

    #[test]
    fn messages_survive_any_cut_of_the_stream() {
        let mut bytes = Vec::new();
        for task in 0..3 {
            encode(&kill(task), &mut bytes);
        }
        for size in 1..bytes.len() {
            let (mut decoder, mut seen) = (Decoder::of_requests(), Vec::new());
            for piece in bytes.chunks(size) {
                decoder.push(piece);
                while let Some(request) = decoder.next_message::<Request>().unwrap() {
                    seen.push(request);
                }
            }
            assert_eq!(seen, [kill(0), kill(1), kill(2)]);
        }
    }

    #[test]
    fn garbage_and_endless_lines_are_refused() {
        for (line, code) in [
            (&b"\xff\xfe\n"[..], ErrorCode::Syntax),
            (b"{}\n", ErrorCode::Syntax),
            (b"{\"kind\":\"explode\"}\n", ErrorCode::UnknownField),
            (&vec![b'['; 100_000], ErrorCode::Syntax),
        ] {
            let mut decoder = Decoder::of_requests();
            decoder.push(line);
            decoder.push(b"\n");
            assert_eq!(decoder.next_message::<Request>().unwrap_err().code, code);
        }
        let mut decoder = Decoder::of_requests();
        decoder.push(&vec![b' '; REQUEST_BYTES_MAX + 1]);
        assert_eq!(decoder.next_message::<Request>().unwrap_err().code, ErrorCode::TooLarge);
    }
}
