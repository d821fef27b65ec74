//! One suite of laws for each port, run on the simulation's model of it and on the real things.
//!
//! A law is a scenario over a port's trait. It asserts what may never be, whoever is behind the trait, and
//! returns what came of it. The model goes through it with many seeds, and what they lead to is what the
//! cores were tested against; the real thing goes through it once, with faults of its own, and what it did
//! must be among that. So a model can neither promise what no server keeps nor miss what one does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "every function here is part of a test")]

mod broker;
mod database;
mod journal;
mod objects;
mod within;
