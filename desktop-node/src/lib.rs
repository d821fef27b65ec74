//! One machine's part in the mesh: a supervisor that owns the processes and an agent that talks.
//!
//! The supervisor ([`supervisor`]) spawns, watches and kills; it never talks to the network. The agent
//! ([`agent`]) may die at any instant: the work goes on, and its next life reads the journal, asks the
//! supervisor what runs, and continues. What is Linux's own stays in [`linux`].

pub mod agent;
pub mod config;
mod files;
pub mod join;
pub mod linux;
pub mod protocol;
pub mod shim;
pub mod supervisor;
