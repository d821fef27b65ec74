//! What crosses a process boundary: ids, the job spec, messages on NATS, bodies over HTTP, manifests,
//! subjects and streams, and the errors with their stable codes.
//!
//! A type here is a promise to every version that still runs: changes are additive within `v1`, each
//! message has a JSON snapshot in `tests/`, and the generated JSON Schema files lie beside this crate.
//! Nothing here does IO, reads a clock or makes an id.

pub mod api;
pub mod artifact_path;
pub mod attempt;
pub mod error;
pub mod id;
pub mod idea;
pub mod manifest;
pub mod message;
pub mod quantity;
pub mod spec;
pub mod subject;
pub mod text;
pub mod time;
pub mod trace;

pub use attempt::{AttemptKey, EndClass, Epoch, TaskState};
pub use error::{ErrorCode, Problem};
pub use id::{JobId, JournalId, NodeId, TokenId, UploadId};
pub use quantity::{ByteSize, Cpu, Span};
pub use spec::JobSpec;
pub use time::Timestamp;
pub use trace::TraceParent;
