//! The text of a record. The core's types know nothing of it.

use mesh_schemas::{
    AttemptKey, JournalId, Timestamp,
    message::{NodeEvent, StartTasks},
};
use serde::{Deserialize, Serialize};

use crate::{Record, StopCause};

/// One line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Line {
    Opened { journal: JournalId, boot: String },
    Accepted { start: Box<StartTasks> },
    Stopping { attempt: AttemptKey, cause: String, at: Timestamp },
    Event { seq: u64, event: NodeEvent },
    Recorded { seq: u64 },
    Dropped { attempt: AttemptKey },
    Tombstones { attempts: Vec<AttemptKey> },
}

impl From<Record> for Line {
    fn from(record: Record) -> Self {
        match record {
            Record::Opened { journal, boot } => Self::Opened { journal, boot },
            Record::Accepted(start) => Self::Accepted { start },
            Record::Stopping { attempt, cause, at } => {
                Self::Stopping { attempt, cause: cause.as_str().to_owned(), at }
            }
            Record::Event { seq, event } => Self::Event { seq, event },
            Record::Recorded { seq } => Self::Recorded { seq },
            Record::Dropped { attempt } => Self::Dropped { attempt },
            Record::Tombstones(attempts) => Self::Tombstones { attempts },
        }
    }
}

impl Line {
    /// The record of a line, if it is one.
    pub(crate) fn read(line: &[u8]) -> Option<Record> {
        Some(match serde_json::from_slice(line).ok()? {
            Self::Opened { journal, boot } => Record::Opened { journal, boot },
            Self::Accepted { start } => Record::Accepted(start),
            Self::Stopping { attempt, cause, at } => {
                let cause = StopCause::ALL.into_iter().find(|known| known.as_str() == cause)?;
                Record::Stopping { attempt, cause, at }
            }
            Self::Event { seq, event } => Record::Event { seq, event },
            Self::Recorded { seq } => Record::Recorded { seq },
            Self::Dropped { attempt } => Record::Dropped { attempt },
            Self::Tombstones { attempts } => Record::Tombstones(attempts),
        })
    }
}
