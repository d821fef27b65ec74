//! Everything that is known of a run, as one plain value: what clients asked and were told, what the
//! database, the object store and the nodes' journals hold afterwards, and what was done to the mesh.
//!
//! A history can be written by hand, kept as JSON and checked again; nothing in it points back to a
//! running process.

use std::collections::BTreeMap;

use mesh_schemas::{
    AttemptKey, EndClass, JobId, NodeId, TaskState, Timestamp,
    api::{EventView, TaskCounts},
    attempt::JobState,
};
use serde::{Deserialize, Serialize};

/// A run, as it can be known afterwards.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct History {
    /// What clients did, in the order in which they began.
    pub ops: Vec<Op>,
    /// The table `job`.
    pub jobs: Vec<JobRow>,
    /// The table `task`.
    pub tasks: Vec<TaskRow>,
    /// The table `attempt`.
    pub attempts: Vec<AttemptRow>,
    /// The table `node`.
    pub nodes: Vec<NodeRow>,
    /// The table `event`, by number.
    pub events: Vec<EventView>,
    /// The manifests that attempts left, each followed to its last byte.
    pub manifests: Vec<StoredManifest>,
    /// The nodes' journals.
    pub journals: Vec<NodeJournal>,
    /// What processes used, at the start and after the drain.
    pub samples: Vec<Sample>,
    /// The search for secrets; absent when nobody searched.
    pub scan: Option<Scan>,
    /// Audit lines of the orchestrator's log; absent when there is no log.
    pub audit: Option<Vec<AuditLine>>,
    /// The ledger of ideas; absent where the mesh has none.
    #[serde(default)]
    pub ledger: Option<Ledger>,
    /// What was done to the mesh.
    pub faults: Vec<FaultNote>,
    /// How it ended.
    pub ending: Ending,
}

/// The ledger of ideas, as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// The ids of its entries, by index.
    pub entries: Vec<String>,
    /// The root over so many entries, in hexadecimal digits, by their number from 0 on.
    pub roots: Vec<String>,
    /// What its own auditor finds wrong.
    pub findings: Vec<String>,
}

/// One request of a client. Without an answer its outcome is unknown, which is never taken for a no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub client: u32,
    /// When it was sent, by the wall clock: to show it among the events.
    pub at: Timestamp,
    /// When it was sent, in milliseconds since the run began.
    pub invoked_ms: u64,
    /// What was asked.
    pub action: Action,
    /// What came back; absent when the client was killed before.
    pub done: Option<Done>,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When, in milliseconds since the run began.
    pub ms: u64,
    /// What.
    pub outcome: Outcome,
}

/// What a client learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A yes, with this answer.
    Ok(Answer),
    /// A no, with this error code: nothing has happened.
    Fail(String),
    /// Neither: it may have happened.
    Unknown(String),
}

/// What a yes said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The job is durable.
    Submitted {
        /// Its id.
        job: JobId,
        /// False when the key named it before.
        created: bool,
    },
    /// So many tasks were touched.
    Changed(u32),
    /// The job was in this state.
    Seen(JobState),
    /// It was done.
    Done,
    /// The idea is kept: in the ledger at this index, or on the way there.
    Filed {
        /// Where it is.
        index: Option<u64>,
    },
    /// The ledger's signed head.
    Head {
        /// Of how many entries.
        size: u64,
        /// Their root, in hexadecimal digits.
        root: String,
        /// By which key.
        key: String,
    },
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Submit a job.
    Submit {
        /// The idempotency key.
        key: String,
        /// Names the body: the same text for the same body.
        body: String,
        /// What must come of it.
        wanted: Wanted,
    },
    /// Cancel a job.
    Cancel(JobId),
    /// Retry a job.
    Retry(JobId),
    /// Look at a job.
    Look(JobId),
    /// Act on a node: `drain`, `resume`, `revoke`.
    Node(NodeId, String),
    /// File an idea.
    File {
        /// Its id.
        entry: String,
    },
    /// Look at the ledger's head.
    Head,
}

/// What a job's command does when nobody interferes, so that its result can be judged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// Number of its tasks.
    pub tasks: u32,
    /// How it must end; absent when that is not known beforehand.
    pub end: Option<JobState>,
    /// What each successful task wrote to stdout; `{task}` stands for its index.
    pub stdout: Option<String>,
    /// BLAKE3 of each file that a successful task must have left, by path.
    pub files: BTreeMap<String, String>,
}

/// A row of `job`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// The idempotency key.
    pub key: Option<String>,
    /// Its state.
    pub state: JobState,
    /// Its tasks by state.
    pub counts: TaskCounts,
    /// Tasks without a row, from the first to the last.
    pub fresh: Option<(u32, u32)>,
    /// What those are.
    pub fresh_state: TaskState,
    /// Its trace, as in `traceparent`.
    pub trace: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last task ended.
    pub finished_at: Option<Timestamp>,
}

/// A row of `task`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskRow {
    /// Its job.
    pub job: JobId,
    /// Its index.
    pub task: u32,
    /// Its state.
    pub state: TaskState,
    /// Its last epoch; 0 when it was never leased.
    pub epoch: u32,
    /// Its last owner.
    pub node: Option<NodeId>,
}

/// A row of `attempt`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Which.
    pub key: AttemptKey,
    /// Its owner.
    pub node: NodeId,
    /// When it was leased.
    pub leased_at: Timestamp,
    /// When its end was recorded.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub class: Option<EndClass>,
    /// Version of the manifest in the row; absent when there is none.
    pub manifest: Option<u32>,
}

/// A row of `node`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// What an administrator or the mesh set it to.
    pub setting: String,
}

/// A manifest and what was found by reading all that it names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredManifest {
    /// Whose.
    pub attempt: AttemptKey,
    /// Its object; absent when it lies in the row.
    pub key: Option<String>,
    /// Its version.
    pub version: u32,
    /// The attempt's last one.
    pub complete: bool,
    /// The attempt's row names it.
    pub recorded: bool,
    /// Keys of its packs.
    pub packs: Vec<String>,
    /// BLAKE3 of its files by path, as computed from the bytes that were read.
    pub files: BTreeMap<String, String>,
    /// Bytes of stdout and stderr.
    pub log_bytes: [u64; 2],
    /// stdout, when it is short.
    pub stdout: Option<String>,
    /// It has a checkpoint.
    pub checkpoint: bool,
    /// Bytes that were read and hashed.
    pub verified_bytes: u64,
    /// What is missing, of another length or with another hash.
    pub damage: Vec<String>,
}

/// A node's journal as it lies on its disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeJournal {
    /// The node.
    pub node: NodeId,
    /// Events that no confirmation covers: `<attempt> <kind>`.
    pub unrecorded: Vec<String>,
    /// A line in the middle cannot be read.
    pub damaged: bool,
}

/// What a process uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// Which part.
    pub part: String,
    /// When.
    pub when: When,
    /// Proportional set size, in KiB.
    pub pss_kib: u64,
    /// Open file descriptors.
    pub fds: u64,
}

/// When a sample was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the first fault, after some work.
    Start,
    /// After the drain.
    End,
}

/// A search for secrets where none may be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Scan {
    /// How many secrets were looked for.
    pub secrets: usize,
    /// How many bytes were looked through.
    pub bytes: u64,
    /// Which secret was found where.
    pub found: Vec<(String, String)>,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// What was done.
    pub act: String,
    /// To what.
    pub subject: String,
}

/// Something that was done to the mesh.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaultNote {
    /// When.
    pub at: Timestamp,
    /// Which scenario.
    pub scenario: String,
    /// What.
    pub what: String,
    /// The node that died by it with all of its work.
    #[serde(default)]
    pub died: Option<String>,
    /// Until the last of it was undone, in milliseconds.
    #[serde(default)]
    pub lasts_ms: u64,
}

/// How the run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whether all work had come to its end in the time given; absent when nobody waited for that.
    pub drained: Option<bool>,
    /// How long that took, in milliseconds.
    pub drain_ms: u64,
}

impl Op {
    /// The job that a yes named.
    pub fn submitted(&self) -> Option<(JobId, bool)> {
        match self.answer()? {
            Answer::Submitted { job, created } => Some((*job, *created)),
            Answer::Changed(_)
            | Answer::Seen(_)
            | Answer::Done
            | Answer::Filed { .. }
            | Answer::Head { .. } => None,
        }
    }

    /// What a yes said.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.done.as_ref()?.outcome {
            Outcome::Ok(answer) => Some(answer),
            Outcome::Fail(_) | Outcome::Unknown(_) => None,
        }
    }

    /// It was said no to.
    pub fn failed(&self) -> Option<&str> {
        match &self.done.as_ref()?.outcome {
            Outcome::Fail(code) => Some(code),
            Outcome::Ok(_) | Outcome::Unknown(_) => None,
        }
    }

    /// The job that it is about, if that is known.
    pub fn job(&self) -> Option<JobId> {
        match &self.action {
            Action::Submit { .. } => self.submitted().map(|(job, _)| job),
            Action::Cancel(job) | Action::Retry(job) | Action::Look(job) => Some(*job),
            Action::Node(..) | Action::File { .. } | Action::Head => None,
        }
    }
}
