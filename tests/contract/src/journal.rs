//! Records of a node's journal.

use mesh_node_core::Record;
use mesh_schemas::{AttemptKey, Epoch, JobId, Timestamp, message::NodeEvent};
use uuid::Uuid;

/// Records that are appended in one write.
pub const BATCH: u64 = 4;
/// After so many writes the journal is compacted.
pub const COMPACT_EVERY: u64 = 20;
/// So many records are left by that.
pub const KEPT: u64 = 10;

/// The record of this number.
pub fn record(number: u64) -> Record {
    let job = JobId::from_uuid(Uuid::from_u128(u128::from(number)));
    let attempt = AttemptKey { job, task: 0, epoch: Epoch(1) };
    let at = Timestamp::from_millis(i64::try_from(number).unwrap_or(0));
    Record::Event { seq: number, event: NodeEvent::AttemptStarted { attempt, at } }
}

/// The records of this write; the first write is 0.
pub fn batch(write: u64) -> Vec<Record> {
    (write * BATCH + 1..=(write + 1) * BATCH).map(record).collect()
}

/// What a compaction after this write leaves; `None` when there is none.
pub fn kept(write: u64) -> Option<Vec<Record>> {
    let last = (write + 1) * BATCH;
    (write % COMPACT_EVERY == COMPACT_EVERY - 1)
        .then(|| (last + 1 - KEPT..=last).map(record).collect())
}

/// The numbers of the records, each of which must be as it was written; `None` when one is not.
pub fn numbers(records: &[Record]) -> Option<Vec<u64>> {
    let number = |found: &Record| match found {
        Record::Event { seq, .. } if *found == record(*seq) => Some(*seq),
        Record::Event { .. }
        | Record::Opened { .. }
        | Record::Accepted(_)
        | Record::Stopping { .. }
        | Record::Recorded { .. }
        | Record::Dropped { .. }
        | Record::Tombstones(_) => None,
    };
    records.iter().map(number).collect()
}
