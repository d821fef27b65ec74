//! The orchestrator's core: which task runs where, who holds its lease, and how it ends.
//!
//! A pure state machine. [`Core::apply`] takes one input and [`Core::schedule`] places what waits; both
//! push *changes*, which the shell commits in one transaction, and *commands*, which it sends only after
//! that commit. There is no clock, no randomness and no IO in here: time and ids come in as input, and
//! the same core runs under the real shell, the simulation and the benchmarks.
//!
//! The shell's rhythm: collect inputs, `apply` each, `schedule` once, commit the changes, answer the
//! callers, send the commands. What an input carries from the store (the job under an idempotency key,
//! the states of jobs in `after`, the tasks to retry) must be read after the last round's commit. When a
//! commit fails or its outcome is unknown the shell throws the core away and builds a new one from the
//! store's [`Snapshot`].
//!
//! What is in memory: live jobs, and of their tasks those that were granted once or ended singly; an
//! array's other tasks are a range. Ended tasks and jobs are the store's alone.
#![forbid(unsafe_code)]

mod amounts;
mod beat;
mod cancel;
mod change;
mod class;
mod command;
mod config;
mod core;
mod ended;
mod events;
mod history;
mod input;
mod invariants;
mod job;
mod lease;
mod load;
mod node;
mod nodes;
mod prefetch;
mod recall;
mod retry;
mod schedule;
mod submit;
mod task;
mod tick;
mod why;

pub use self::core::Core;
pub use change::{
    AttemptEnd, Change, Command, EventRecord, JobProgress, JobRecord, NodeRecord, NodeSetting,
    NodeStatus, Output, Snapshot, TaskRecord, Tries,
};
pub use config::Config;
pub use input::{Existing, Input, Rejected, Reply, Submit};
