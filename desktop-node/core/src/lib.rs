//! An attempt's life on a node and the rules of the node's journal, as a state machine:
//! `(state, now, input) -> (records, actions)`.
//!
//! Promises: an accepted attempt reaches exactly one numbered end (or is dropped because it was
//! fenced), whatever commands come twice, late or from an older leader, and however often the agent
//! dies: the records, replayed, are the state. Records are appended before the actions are carried out.
//!
//! Deliberately absent: clocks, randomness, IO, async. Time and ids come in as arguments; what the
//! supervisor, the uploads and the broker say comes in as [`Input`].

mod attempt;
mod commands;
mod ending;
mod events;
mod input;
pub mod journal;
mod limits;
mod line;
mod node;
mod output;
mod restore;
mod supervised;
mod tombstones;

pub use attempt::{Attempt, JobRun, Phase, StopCause, Stopping};
pub use events::RESEND_AFTER;
pub use input::{Exit, ExitHow, Input, Prepared, Rejected, Supervised, Welcomed};
pub use node::{HELD_MAX, Life, Node, START_HOLD, Settings};
pub use output::{Action, Output, Record};
pub use tombstones::TOMBSTONES_MAX;

#[cfg(test)]
mod tests;
