//! The world of the ledger: registries around the real cores of ideas and of their log, which make the same
//! steps in the same order as the service, each of them a place to die at.
//!
//! An append: check, queue; in one transaction decide, leaves, projections, position; commit; answer. A head:
//! packs of texts and then tiles on disk, each durable before the next; the row; the signature; the published checkpoint; the copy in
//! the object store, looked at; its cursor; the witness. Before the first signature of a life, witness and
//! copy have said what they know of the log. Around these: a database that is put back from backups, disks
//! that forget what was not synced, an object store that lies, a stream that is wiped, two registries that
//! both believe to write, clocks that jump, authors who send again until they know an index, forgers, and
//! clients who remember heads.
//!
//! Not here: SQL, files, NATS, HTTP; texts that are sealed and erased; more than some hundred leaves.

mod batch;
mod copy;
mod db;
mod disk;
mod env;
mod faults;
mod finale;
mod follower;
mod instance;
mod integrate;
mod keys;
mod observer;
mod options;
mod outside;
mod packs;
mod people;
mod plan;
mod planted;
mod rebuild;
mod stats;
mod world;
mod writer;

pub use batch::{Batch, run_caught, run_seeds};
pub use options::Options;
pub use planted::Bug;
pub use stats::{Kind, Stats};
pub use world::{Outcome, run};
