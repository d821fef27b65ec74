//! Tasks, attempts and their ends: the words that the core, the store, the API and the nodes share.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::JobId;

/// The fencing number of an attempt: grows with each lease of the task, beginning with 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch of the next lease.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One try at one task; the text form is `job_…/<task>#<epoch>`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct AttemptKey {
    /// The job.
    pub job: JobId,
    /// The task's index in its job.
    pub task: u32,
    /// Which lease of the task.
    pub epoch: Epoch,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.job, self.task, self.epoch)
    }
}

/// The text is not an attempt's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an attempt like job_…/<task>#<epoch>")]
pub struct AttemptKeyError;

impl FromStr for AttemptKey {
    type Err = AttemptKeyError;

    fn from_str(text: &str) -> Result<Self, AttemptKeyError> {
        let (job, rest) = text.split_once('/').ok_or(AttemptKeyError)?;
        let (task, epoch) = rest.split_once('#').ok_or(AttemptKeyError)?;
        Ok(Self {
            job: job.parse().map_err(|_| AttemptKeyError)?,
            task: task.parse().map_err(|_| AttemptKeyError)?,
            epoch: Epoch(epoch.parse().map_err(|_| AttemptKeyError)?),
        })
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Each value, in the order of its life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word used in code, API, CLI and store alike.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::attempt::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::attempt::UnknownWord> {
                const ALLOWED: &str = concat!($(" ", $text),*);
                let unknown = $crate::attempt::UnknownWord { allowed: ALLOWED };
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or(unknown)
            }
        }
    };
}
pub(crate) use words;

/// The text is none of the words of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("allowed are{allowed}")]
pub struct UnknownWord {
    /// The words that would have been taken, each after a space.
    pub(crate) allowed: &'static str,
}

words! {
    /// Where a task is. The last four are ends: a task reaches one of them once and stays.
    TaskState {
        /// Waits for a node (or for the jobs it comes after).
        Queued = "queued",
        /// Granted to a node that has not yet said it started.
        Leased = "leased",
        /// A node said that it started.
        Running = "running",
        /// Ended well.
        Succeeded = "succeeded",
        /// Ended badly with no retry left.
        Failed = "failed",
        /// Ended because somebody said so.
        Cancelled = "cancelled",
        /// Ended because it kept losing nodes; its evidence is kept.
        Quarantined = "quarantined",
    }
}

impl TaskState {
    /// An end, which nothing leaves.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Leased | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Quarantined => true,
        }
    }
}

words! {
    /// Where a job is, as derived from its tasks.
    JobState {
        /// No task has been granted yet.
        Queued = "queued",
        /// At least one task was granted and not all have ended.
        Running = "running",
        /// Every task succeeded.
        Succeeded = "succeeded",
        /// All ended, at least one failed.
        Failed = "failed",
        /// All ended, none failed or quarantined, at least one was cancelled.
        Cancelled = "cancelled",
        /// All ended, at least one was quarantined.
        Quarantined = "quarantined",
    }
}

impl JobState {
    /// An end; only `retry` leads out of it, by making new tasks' leases with higher epochs.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Quarantined => true,
        }
    }
}

words! {
    /// How an attempt ended. Only the first is good; only the next four may burn the user's retries.
    EndClass {
        /// Exit code 0.
        Success = "success",
        /// Exit code other than 0, killed by a signal of its own, or it could not be started.
        UserError = "user_error",
        /// Killed for its memory.
        OutOfMemory = "out_of_memory",
        /// Ran, or waited in the queue, longer than its time-out.
        Timeout = "timeout",
        /// Wrote no output for longer than its stall time-out.
        Stalled = "stalled",
        /// The node, its supervisor or something the node owed the work was lost.
        NodeLost = "node_lost",
        /// Made room for other work.
        Preempted = "preempted",
        /// The node's owner wanted the machine back.
        OwnerReclaimed = "owner_reclaimed",
        /// Its budget ran out.
        Budget = "budget",
        /// Somebody cancelled it.
        Cancelled = "cancelled",
    }
}

impl EndClass {
    /// True when the end is not the user's fault: such ends never burn the user's retries.
    pub const fn is_loss(self) -> bool {
        match self {
            Self::NodeLost | Self::Preempted | Self::OwnerReclaimed => true,
            Self::Success
            | Self::UserError
            | Self::OutOfMemory
            | Self::Timeout
            | Self::Stalled
            | Self::Budget
            | Self::Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempt_key_round_trips() {
        let key = AttemptKey {
            job: JobId::from_uuid(uuid::Uuid::from_u128(1)),
            task: 5,
            epoch: Epoch(2),
        };
        assert_eq!(key.to_string().parse(), Ok(key));
        assert!("job_1/5".parse::<AttemptKey>().is_err());
    }

    #[test]
    fn words_are_the_same_in_text_and_json() {
        for state in TaskState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
    }

    #[test]
    fn a_word_that_is_none_is_told_those_that_are() {
        let unknown = "done".parse::<JobState>().unwrap_err().to_string();
        assert_eq!(unknown, "allowed are queued running succeeded failed cancelled quarantined");
    }
}
