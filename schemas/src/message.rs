//! What travels on NATS between orchestrator and nodes, as JSON.
//!
//! Any of these may be lost, doubled, late or stale. Commands are level-triggered: the orchestrator
//! says again what it wants until a node's beats and events show it. Events carry a growing number in
//! the node's journal and are sent again until the orchestrator has said that they are *recorded*.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    attempt::{AttemptKey, EndClass, Epoch, words},
    error::Problem,
    id::{JobId, JournalId, NodeId},
    manifest::{ManifestRef, ManifestSummary, PackRef, StreamName, TimeMark},
    quantity::{ByteSize, Cpu, Span},
    spec::{Resources, Timeouts, UploadPolicy},
    time::Timestamp,
    trace::TraceParent,
};

/// Version of every message here.
pub const MESSAGE_VERSION: u32 = 1;
/// Longest message between orchestrator and nodes, in bytes; the broker takes four times that.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Most tasks in one [`StartTasks`]; more are sent as several.
pub const START_TASKS_MAX: usize = 512;
/// Most objects in one ask about objects; more are asked about in several.
pub const OBJECTS_MAX: usize = 64;
/// Most events in one [`NodeEvents`].
pub const EVENTS_MAX: usize = 512;

// ---- orchestrator to node: subject `mesh.v1.cmd.<node>` ----

/// One batch of commands, from the leader to one node. Also says what of the node's journal is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeCommands {
    /// [`MESSAGE_VERSION`].
    pub v: u32,
    /// The leader's own epoch: a node refuses commands of an older leader than it has seen.
    pub leader: u64,
    /// In the order they are to be carried out.
    pub commands: Vec<NodeCommand>,
}

/// What the orchestrator wants of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeCommand {
    /// Run these; what the node already holds or has ended is passed over.
    StartTasks(Box<StartTasks>),
    /// End these, whole process trees; what the node does not hold is passed over.
    StopAttempts(StopAttempts),
    /// Events of this journal up to and including `seq` are recorded: forget them.
    Recorded {
        /// Whose numbers these are.
        journal: JournalId,
        /// The last recorded number.
        seq: u64,
    },
    /// Say hello again, with everything held: the orchestrator does not know this node's state.
    Report,
}

/// Run tasks of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartTasks {
    /// The job.
    pub job: JobId,
    /// What to run.
    pub run: RunSpec,
    /// The trace of the job.
    pub trace: TraceParent,
    /// The journal of the node that is meant. A node that has another one by now has lost its memory since, perhaps
    /// that of having begun these, and refuses; any node when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalId>,
    /// Which tasks; at most [`START_TASKS_MAX`].
    pub tasks: Vec<TaskStart>,
}

/// The part of a job spec that a node needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunSpec {
    /// See [`crate::JobSpec::command`].
    pub command: Vec<String>,
    /// See [`crate::JobSpec::env`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// See [`crate::JobSpec::workdir`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// See [`crate::JobSpec::resources`].
    pub resources: Resources,
    /// See [`crate::JobSpec::timeouts`].
    pub timeouts: Timeouts,
    /// See [`crate::JobSpec::outputs`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// See [`crate::JobSpec::checkpoint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// See [`crate::JobSpec::upload`].
    pub upload: UploadPolicy,
    /// See [`crate::JobSpec::input`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<ManifestRef>,
}

impl From<&crate::JobSpec> for RunSpec {
    fn from(spec: &crate::JobSpec) -> Self {
        Self {
            command: spec.command.clone(),
            env: spec.env.clone(),
            workdir: spec.workdir.clone(),
            resources: spec.resources.clone(),
            timeouts: spec.timeouts.clone(),
            outputs: spec.outputs.clone(),
            checkpoint: spec.checkpoint.clone(),
            upload: spec.upload.clone(),
            input: spec.input.clone(),
        }
    }
}

/// One task to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStart {
    /// Its index.
    pub task: u32,
    /// The epoch granted.
    pub epoch: Epoch,
    /// Its line of the array's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The last manifest of an earlier attempt, whose checkpoint this one starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<ManifestRef>,
}

/// End attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopAttempts {
    /// Which.
    pub attempts: Vec<AttemptKey>,
    /// Why.
    pub reason: StopReason,
}

words! {
    /// Why an attempt is to end.
    StopReason {
        /// Somebody cancelled it: ask, wait the kill grace, kill; keep logs and report the end.
        Cancelled = "cancelled",
        /// Its lease is not the current one: kill at once and report nothing.
        Fenced = "fenced",
        /// Room is needed, or it was granted ahead and waits in vain: what has not begun is handed back, what runs is
        /// asked, waited for and killed; the end is `preempted`.
        Preempted = "preempted",
    }
}

// ---- node to orchestrator: subject `mesh.v1.up.<node>.event`, kept by the stream NODE_EVENT ----

/// A run of events of one node's journal: `events[i]` has the number `first_seq + i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeEvents {
    /// [`MESSAGE_VERSION`].
    pub v: u32,
    /// Who says it; must be the node of the subject.
    pub node: NodeId,
    /// The journal that numbers them.
    pub journal: JournalId,
    /// Number of the first; numbers begin with 1.
    pub first_seq: u64,
    /// At most [`EVENTS_MAX`].
    pub events: Vec<NodeEvent>,
}

/// What came to pass on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeEvent {
    /// The attempt's command runs. Left out when the end follows at once.
    AttemptStarted {
        /// Which.
        attempt: AttemptKey,
        /// By the node's clock, for people.
        at: Timestamp,
    },
    /// Output up to this manifest is in the object store.
    ManifestCommitted {
        /// Which.
        attempt: AttemptKey,
        /// What is stored by now.
        manifest: Box<ManifestSummary>,
    },
    /// The attempt ended and its whole process tree is gone.
    AttemptEnded(Box<AttemptEnded>),
}

impl NodeEvent {
    /// Whose event it is.
    pub const fn attempt(&self) -> AttemptKey {
        match self {
            Self::AttemptStarted { attempt, .. } | Self::ManifestCommitted { attempt, .. } => {
                *attempt
            }
            Self::AttemptEnded(ended) => ended.attempt,
        }
    }
}

/// How an attempt ended. Sent after its last output is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptEnded {
    /// Which.
    pub attempt: AttemptKey,
    /// By the node's clock; absent when the command never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// By the node's clock.
    pub ended_at: Timestamp,
    /// The class of the end.
    pub class: EndClass,
    /// The command's exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed it, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// More for people, e.g. why it could not be started; at most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// All that it left behind.
    pub manifest: ManifestSummary,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
}

/// What an attempt used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Wall time.
    pub wall_ms: u64,
    /// Processor time, user and system, of the command and its waited-for children.
    pub cpu_ms: u64,
    /// Largest resident memory of one process.
    pub memory_peak: ByteSize,
}

// ---- node to orchestrator: subject `mesh.v1.up.<node>.beat`, not kept ----

/// "I am alive, and this is what I hold." Renews the leases of the attempts it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeBeat {
    /// [`MESSAGE_VERSION`].
    pub v: u32,
    /// Who says it; must be the node of the subject.
    pub node: NodeId,
    /// Its journal.
    pub journal: JournalId,
    /// Attempts held, ended but unrecorded ones included, by job.
    pub held: Vec<HeldAttempts>,
    /// The owner's wish: no new work.
    pub paused: bool,
    /// How busy the machine is.
    pub load: Load,
}

/// Attempts of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldAttempts {
    /// The job.
    pub job: JobId,
    /// Task and epoch of each.
    pub tasks: Vec<(u32, Epoch)>,
}

/// How busy a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Processors in use, in thousandths.
    pub cpu_millis: u32,
    /// Memory that can be had without swapping.
    pub memory_available: ByteSize,
    /// Free space where attempts live.
    pub disk_available: ByteSize,
}

// ---- node asks orchestrator: request on `mesh.v1.up.<node>.ask`, answer to the node's own inbox ----

/// What a node asks of the orchestrator. One [`NodeAnswer`] comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeAsk {
    /// At each start and reconnect of the agent, before anything else.
    Hello(Box<NodeReport>),
    /// URLs to upload objects of an attempt that the node holds.
    PutUrls {
        /// Whose objects.
        attempt: AttemptKey,
        /// Name below the attempt's prefix (letters, digits, `-`, `_`, `.`) and exact length.
        objects: Vec<ObjectPut>,
    },
    /// URLs to download objects that this attempt may read: its job's input and its checkpoint.
    GetUrls {
        /// Who reads.
        attempt: AttemptKey,
        /// Full keys.
        keys: Vec<String>,
    },
    /// Before a manifest is reported: are these objects there, with these lengths?
    CheckObjects {
        /// Whose objects.
        attempt: AttemptKey,
        /// What to look for.
        objects: Vec<PackRef>,
    },
    /// A new credential before this one expires.
    Renew,
}

/// One object to upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectPut {
    /// Name below the owner's prefix.
    pub name: String,
    /// Exact length in bytes.
    pub size: u64,
}

/// The answer to a [`NodeAsk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeAnswer {
    /// To `Hello`.
    Welcome(Welcome),
    /// To `PutUrls` and `GetUrls`, in the order asked.
    Urls {
        /// One for each.
        urls: Vec<ObjectUrl>,
    },
    /// To `CheckObjects`: all are there.
    Present,
    /// To `Renew`.
    Credential {
        /// A NATS user JWT for the node's key.
        jwt: String,
    },
    /// It cannot be.
    Refused(Problem),
}

/// A presigned URL: exact, short-lived, and a secret until it expires.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectUrl {
    /// The object's full key.
    pub key: String,
    /// The URL.
    pub url: String,
    /// Headers that must be sent along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl std::fmt::Debug for ObjectUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectUrl").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What the orchestrator tells a node that said hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The leader's own epoch.
    pub leader: u64,
    /// Last recorded number of the node's journal.
    pub recorded_seq: u64,
    /// How often to beat.
    pub beat_every: Span,
    /// How long leases last without a beat.
    pub lease_ttl: Span,
}

/// What a node is and can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeReport {
    /// [`MESSAGE_VERSION`].
    pub v: u32,
    /// Which.
    pub node: NodeId,
    /// Its journal.
    pub journal: JournalId,
    /// A name for people.
    pub name: String,
    /// Version of the agent.
    pub version: String,
    /// Labels: `os`, `arch`, `hostname` and what its owner added.
    pub labels: BTreeMap<String, String>,
    /// What it offers to jobs.
    pub capacity: Capacity,
    /// What its kernel lets it enforce.
    pub enforces: Enforcement,
    /// Attempts held, as in a beat.
    pub held: Vec<HeldAttempts>,
    /// The owner's wish: no new work.
    pub paused: bool,
}

/// What a node offers to jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// Processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: ByteSize,
    /// Disk.
    pub disk: ByteSize,
    /// Graphics processors.
    pub gpu: u32,
    /// Pools by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, u32>,
}

/// What a node's kernel lets it enforce; what is false is measured and reported only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Enforcement {
    /// A job's processor share.
    pub cpu: bool,
    /// A job's memory.
    pub memory: bool,
    /// A job's whole process tree, daemons included, in one stroke.
    pub tree_kill: bool,
}

// ---- orchestrator asks node: request on `mesh.v1.cmd.<node>.ask`, answer to `mesh.v1.up.<node>.reply.<id>` ----

/// What the orchestrator asks of a node. One [`AgentAnswer`] comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AgentAsk {
    /// Log bytes from `offset` on. When there are none yet, waits up to `wait` for some.
    ReadLog {
        /// Whose.
        attempt: AttemptKey,
        /// Which stream.
        stream: StreamName,
        /// First byte wanted.
        offset: u64,
        /// Most bytes wanted; the node may send fewer.
        bytes_max: u32,
        /// How long to wait for the first; at most 30 s.
        wait: Span,
    },
}

/// The answer to an [`AgentAsk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AgentAnswer {
    /// To `ReadLog`.
    Log {
        /// Base64 (standard alphabet, padded) of the bytes from the wanted offset.
        data: String,
        /// When which of these bytes was seen.
        marks: Vec<TimeMark>,
        /// The attempt has ended and nothing follows these bytes.
        end: bool,
    },
    /// It cannot be; `E_NOT_FOUND` when the node does not hold the attempt.
    Refused(Problem),
}
