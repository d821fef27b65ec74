//! The supervisor against real processes.

mod daemons;
mod harness;
mod lifecycle;
mod limits;
mod queue;
mod restart;
