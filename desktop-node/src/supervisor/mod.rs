//! The supervisor: spawns, waits for, freezes, limits and kills process trees.

use std::{ffi::OsString, path::{Path, PathBuf}, process::ExitCode};

use mesh_schemas::{
    ErrorCode, Problem,
    message::{Capacity, Enforcement},
};

/// What a supervisor needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node's data directory, absolute; socket and log lie in it.
    pub data_dir: PathBuf,
    /// What attempts may hold together; the disk is not counted here.
    pub capacity: Capacity,
    /// The binary that answers to `shim`, and to the arguments of `agent`.
    pub executable: PathBuf,
    /// Arguments that make the executable the agent; `None` runs no agent (tests).
    pub agent: Option<Vec<OsString>>,
}

impl Options {
    /// The usual: this executable, `agent --config FILE`.
    ///
    /// # Errors
    /// `E_IO` when this executable's path is unknown.
    pub fn new(data_dir: &Path, capacity: Capacity, config: &Path) -> Result<Self, Problem> {
        let executable = std::env::current_exe().map_err(|error| {
            Problem::new(ErrorCode::Io, format!("this executable's path is unknown: {error}"))
        })?;
        let agent = vec!["agent".into(), "--config".into(), config.as_os_str().to_owned()];
        Ok(Self { data_dir: data_dir.to_owned(), capacity, executable, agent: Some(agent) })
    }
}

/// What this kernel and these rights let us enforce. Makes and removes a cgroup to find out.
pub fn enforcement() -> Enforcement {
    Enforcement::default()
}

/// Runs until it is told to stop. Call it before any other thread exists.
///
/// # Errors
/// `E_LOCKED` when another supervisor holds the directory, `E_IO` when socket or log cannot be made.
pub fn run(_options: Options) -> Result<ExitCode, Problem> {
    Err(Problem::new(ErrorCode::Internal, "the supervisor does not run yet"))
}
