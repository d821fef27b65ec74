//! What only Linux has: reaping with usage, process trees through `/proc`, cgroups, signals to threads.
//!
//! The supervisor sees this module's functions and types and nothing of the system behind them, so
//! that another system is one more module with the same names. On systems without one, each function
//! says that it is not supported and the supervisor refuses to start.

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod cgroup_mounts;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod reap;
#[cfg(target_os = "linux")]
mod send;
#[cfg(target_os = "linux")]
mod signals;

#[cfg(target_os = "linux")]
pub(crate) use self::{
    cgroup::{AttemptCgroup, Cgroups, Limits, clear_leftovers},
    proc::{Adopted, Process, Ticks, boot_id, has_terminal, marker, places, process, processes},
    reap::{Reaped, become_subreaper, reap_one, wait_for_an_end},
    send::{Ask, group_lives, signal_group, signal_process},
    signals::{Wish, catch_signals, next_wish, wake_main},
};

#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
pub(crate) use unsupported::*;
