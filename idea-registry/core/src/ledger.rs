//! What the log says about ideas, and what may follow it.
//!
//! Three steps, each a function of values: [`decide`] says whether a submission may be appended;
//! [`project`] turns one leaf into [`Change`]s, from the leaf alone; [`Ledger::apply`] takes changes in, with
//! [`Ledger::named`] before it, as an entry may name an idea by an entry that was seen again.
//! Live appends and rebuilding from the log differ in nothing but where the leaves come from.
//!
//! A [`Ledger`] holds as much as was loaded. A shell that keeps its rows in SQL loads what [`Wanted`]
//! names for a batch, decides the first submission, applies its changes, and decides the second on the
//! same value: so entries of one batch see each other. Tests, the simulation and `verify` load all.

mod apply;
mod chain;
mod change;
mod decide;
mod invariants;
mod project;
mod propose;
mod reach;
mod rows;
mod wanted;

pub use chain::{ChainFault, ChainFaultKind, Holder, verify_chain};
pub use change::{Change, TextFacts};
pub use decide::{Decision, decide};
pub use project::{Leaf, project};
pub use propose::proposal;
pub use reach::is_acyclic;
pub use rows::{ContentRow, EdgeKey, EdgeRow, EntryRow, IdeaRow, JobRow, Ledger, RankRow, SeenRow};
pub use wanted::Wanted;
