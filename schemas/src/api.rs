//! Bodies of the HTTP API, `/api/v1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod access;
mod bytes;
mod event;
mod job;
mod node;

pub use access::{NewToken, Scope, TokenRequest, TokenView};
pub use bytes::{ArtifactsView, DownloadRequest, LogPiece, UploadCheck, UploadRequest, UploadUrls};
pub use event::{EventKind, EventView, ServerInfo};
pub use job::{
    AttemptView, BATCH_JOBS_MAX, BatchItem, Changed, JobDetail, JobView, Submitted, SubmittedBatch,
    TaskCounts, TaskView, WaitReason, Why, WhyReason,
};
pub use node::{JoinCode, JoinCodeRequest, JoinRequest, Joined, NodeAction, NodeState, NodeView};

/// Most rows of one page.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// A page of rows; pass `next` as `cursor` for the following one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
