//! The job spec: what a user asks for, as YAML, JSON or flags.
//!
//! Reading and checking are two steps: [`JobSpec::from_text`] turns bytes into a spec under limits of
//! size and depth, and [`JobSpec::check`] proves each rule. Whoever accepts a spec calls both.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::JobId,
    idea::IdeaId,
    manifest::ManifestRef,
    quantity::{ByteSize, Cpu, Span},
};

mod array;
mod check;
mod read;

pub use array::{ArrayRange, ArraySpec};

/// Most tasks of one job.
pub const TASKS_MAX: u32 = 10_000_000;
/// Longest spec text, in bytes; the lines of an array from a file count.
pub const SPEC_BYTES_MAX: usize = 8 << 20;
/// Longest command with its arguments, in bytes.
pub const COMMAND_BYTES_MAX: usize = 128 << 10;
/// Most variables in `env`.
pub const ENV_VARS_MAX: usize = 1_024;
/// Longest `env` altogether, names and values, in bytes.
pub const ENV_BYTES_MAX: usize = 128 << 10;
/// Most jobs in `after`.
pub const AFTER_MAX: usize = 1_000;
/// Most patterns in `outputs`.
pub const OUTPUTS_MAX: usize = 256;
/// Longest time-out.
pub const TIMEOUT_MAX: Span = Span::from_secs(30 * 24 * 3_600);
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What a user asks for: a command, run once or as an array of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// A name for people; defaults to the command's first word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The project it belongs to.
    #[serde(default = "default_project")]
    pub project: String,
    /// The program and its arguments; not a shell line. Each task also gets `MESH_TASK_INDEX` and,
    /// in an array over items, `MESH_ITEM`.
    #[serde(deserialize_with = "read::command")]
    #[schemars(with = "Vec<String>")]
    pub command: Vec<String>,
    /// Variables added to the clean environment of each task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Directory to start in, relative to the attempt's own directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Labels that a node must carry, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What each task needs of a node.
    #[serde(default)]
    pub resources: Resources,
    /// Higher goes first; from -100 to 100.
    #[serde(default)]
    pub priority: i16,
    /// How long things may take; nothing is limited that is not named.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How many more attempts each class of failure gets.
    #[serde(default)]
    pub retries: Retries,
    /// Many tasks instead of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<ArraySpec>,
    /// Patterns of files to keep, relative to the attempt's directory, such as `target/*.txt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Directory whose contents the next attempt starts with, relative to the attempt's directory;
    /// its absolute path is in `MESH_CHECKPOINT_DIR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// When output leaves the node while the task runs.
    #[serde(default)]
    pub upload: UploadPolicy,
    /// Jobs that must have succeeded before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<JobId>,
    /// A shipped directory that each attempt starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<ManifestRef>,
    /// The idea that this job works on; it must be in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idea: Option<IdeaId>,
    /// Nobody asked for this job but a program: it is accepted only with an idea in the ledger.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub autonomous: bool,
    /// The same key with the same spec is the same job, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What one task needs of a node while it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Processors; 1 when not said.
    #[serde(default)]
    pub cpu: Cpu,
    /// Memory; enforced where the node's kernel lets it.
    #[serde(default)]
    pub memory: ByteSize,
    /// Disk of the attempt's directory.
    #[serde(default)]
    pub disk: ByteSize,
    /// Whole graphics processors.
    #[serde(default)]
    pub gpu: u32,
    /// Units of pools that nodes declare by name, such as licences.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, u32>,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu: Cpu::ONE,
            memory: ByteSize(0),
            disk: ByteSize(0),
            gpu: 0,
            pools: BTreeMap::new(),
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// From being accepted to being granted for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Span>,
    /// From start to end of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Span>,
    /// Without a byte on stdout or stderr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Span>,
    /// Between asking (SIGTERM) and killing.
    #[serde(default = "default_kill_grace")]
    pub kill_grace: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { queue: None, run: None, stall: None, kill_grace: default_kill_grace() }
    }
}

/// How many attempts more each class of failure gets, from 0 to 100.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// The command failed.
    #[serde(default)]
    pub user_error: u16,
    /// It was killed for its memory.
    #[serde(default)]
    pub out_of_memory: u16,
    /// It ran too long.
    #[serde(default)]
    pub timeout: u16,
    /// It stopped writing.
    #[serde(default)]
    pub stalled: u16,
    /// Losses that are not its fault, before the task is quarantined. Counted apart.
    #[serde(default = "default_lost")]
    pub lost: u16,
}

impl Default for Retries {
    fn default() -> Self {
        Self { user_error: 0, out_of_memory: 0, timeout: 0, stalled: 0, lost: default_lost() }
    }
}

/// When output leaves the node while a task runs: at whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadPolicy {
    /// This long after the last upload; from 1 s to 1 h.
    #[serde(default = "default_upload_every")]
    pub every: Span,
    /// So many new bytes of logs; from 64 KiB to 1 GiB.
    #[serde(default = "default_upload_bytes")]
    pub bytes: ByteSize,
}

impl Default for UploadPolicy {
    fn default() -> Self {
        Self { every: default_upload_every(), bytes: default_upload_bytes() }
    }
}

fn default_project() -> String {
    "default".into()
}

const fn default_kill_grace() -> Span {
    Span::from_secs(10)
}

const fn default_lost() -> u16 {
    10
}

const fn default_upload_every() -> Span {
    Span::from_secs(60)
}

const fn default_upload_bytes() -> ByteSize {
    ByteSize::mib(8)
}

impl JobSpec {
    /// A spec that says only what to run.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(command: I) -> Self {
        Self {
            name: None,
            project: default_project(),
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            workdir: None,
            labels: BTreeMap::new(),
            resources: Resources::default(),
            priority: 0,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            array: None,
            outputs: Vec::new(),
            checkpoint: None,
            upload: UploadPolicy::default(),
            after: Vec::new(),
            input: None,
            idea: None,
            autonomous: false,
            idempotency_key: None,
        }
    }

    /// The name for people.
    pub fn display_name(&self) -> &str {
        let program = self.command.first().map_or("job", String::as_str);
        self.name.as_deref().unwrap_or_else(|| program.rsplit('/').next().unwrap_or(program))
    }

    /// The indices of its tasks; one task has the index 0.
    pub fn task_range(&self) -> ArrayRange {
        self.array.as_ref().map_or(ArrayRange { first: 0, last: 0 }, ArraySpec::range)
    }

    /// The line of the array's file that belongs to a task.
    pub fn item(&self, task: u32) -> Option<&str> {
        match self.array.as_ref()? {
            ArraySpec::Range(_) => None,
            ArraySpec::Items(items) => items.get(usize::try_from(task).ok()?).map(String::as_str),
        }
    }
}
