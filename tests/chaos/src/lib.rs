//! Chaos with real processes, and the proof afterwards.
//!
//! [`run`] starts a mesh whose every wire leads through a fault proxy ([`cluster`]), lets clients work
//! ([`client`], [`workload`], [`filer`]) and strikes ([`scenarios`]); then it heals, drains, stops, reads all that is
//! left ([`read`]) into one plain value ([`history`]) and judges that ([`check`]).

pub mod check;
pub mod client;
pub mod cluster;
pub mod filer;
pub mod history;
pub mod measure;
pub mod read;
pub mod record;
pub mod report;
pub mod rng;
pub mod run;
pub mod scenarios;
pub mod workload;
