//! The supervisor: spawns, waits for, freezes, limits and kills process trees, and keeps the agent alive.
//!
//! It promises that an attempt is started once, in the order asked; that its end is on disk before it is
//! told and stays there until it is forgotten; that no process of it outlives it; and that the work goes
//! on whatever becomes of the agent. A supervisor that dies loses its attempts: the next one kills what
//! is left of them and says that they are lost.
//!
//! It knows nothing of jobs, leases, time-outs or the network, and it never updates itself. It is a few
//! threads and one lock, without a runtime: starting a process must not depend on anything that a job,
//! or the network, can slow down.

use std::{
    ffi::OsString,
    io,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

use mesh_schemas::{
    ErrorCode, Problem,
    message::{Capacity, Enforcement},
};

use crate::linux::{self, Adopted, Cgroups, Ticks};

mod agent;
mod endings;
mod held;
mod lives;
mod log;
mod outbox;
mod reaper;
mod recover;
mod resources;
mod shared;
mod socket;
mod spawn;
mod stop;
mod strays;
mod table;

use self::{
    log::{Began, Log, Past, Record},
    outbox::Outbox,
    shared::Shared,
    table::{Parts, Table},
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
        let executable = std::env::current_exe()
            .map_err(|error| failed("find this executable's own path", &error))?;
        let agent = vec!["agent".into(), "--config".into(), config.as_os_str().to_owned()];
        Ok(Self { data_dir: data_dir.to_owned(), capacity, executable, agent: Some(agent) })
    }
}

/// What this kernel and these rights let us enforce. Makes and removes cgroups to find out.
pub fn enforcement() -> Enforcement {
    Cgroups::probe()
}

/// Runs until it is told to stop: SIGTERM lets the agent drain first, SIGINT or a second SIGTERM does
/// not. Call it before any other thread exists. When it returns, the process is to exit.
///
/// # Errors
/// `E_LOCKED` when another supervisor holds the directory, `E_IO` when socket or log cannot be made.
pub fn run(options: Options) -> Result<ExitCode, Problem> {
    let _lock = mesh_fabric::files::lock_dir(&options.data_dir)?;
    linux::catch_signals().map_err(|error| failed("catch signals", &error))?;
    linux::become_subreaper().map_err(|error| failed("become a subreaper", &error))?;
    let outbox = Arc::new(Outbox::default());
    let table = open_table(&options, Arc::clone(&outbox))
        .map_err(|error| failed("open the supervisor's log", &error))?;
    let listener = socket::listen(&options.data_dir)
        .map_err(|error| failed("make the supervisor's socket", &error))?;
    let shared = Arc::new(Shared::new(table, outbox, options.executable.clone()));
    start_threads(&shared, listener, options)
        .map_err(|error| failed("start the supervisor's threads", &error))?;
    tracing::info!(pid = std::process::id(), "The supervisor runs");
    stop::wait_and_stop(&shared);
    Ok(ExitCode::SUCCESS)
}

fn failed(what: &str, error: &io::Error) -> Problem {
    Problem::new(ErrorCode::Io, format!("cannot {what}: {error}"))
}

fn open_table(options: &Options, outbox: Arc<Outbox>) -> io::Result<Table> {
    let past = recover::recover(Past::read(&options.data_dir)?);
    let ticks = Ticks::start()?;
    let name = format!("{}-{}", std::process::id(), mesh_fabric::time::now().as_millis());
    let cgroups = Cgroups::set_up(&name);
    let began = Began {
        boot: linux::boot_id(),
        cgroups: cgroups.paths(),
        holds_all: cgroups.enforces().tree_kill,
    };
    let held = past.iter().filter_map(|(attempt, held)| held.record(*attempt));
    let records: Vec<Record> = std::iter::once(Record::Began(began.clone())).chain(held).collect();
    let log = Log::begin(&options.data_dir, &records)?;
    Ok(Table::new(Parts {
        data_dir: options.data_dir.clone(),
        capacity: options.capacity.clone(),
        began,
        past,
        log,
        cgroups,
        adopted: Adopted::open(),
        ticks,
        outbox,
        agent_wanted: options.agent.is_some(),
    }))
}

fn start_threads(shared: &Arc<Shared>, listener: UnixListener, options: Options) -> io::Result<()> {
    let start = |name: &str, run: Box<dyn FnOnce(&Shared) + Send>| {
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new().name(name.into()).stack_size(256 << 10);
        thread.spawn(move || run(&shared)).map(|_runs_for_ever| ())
    };
    for _ in 0..reaper::count() {
        start("reaper", Box::new(reaper::run))?;
    }
    start("endings", Box::new(endings::run))?;
    start("outbox", Box::new(|shared| shared.outbox.run()))?;
    start("socket", Box::new(move |shared| socket::run(shared, &listener)))?;
    if let Some(arguments) = options.agent {
        let executable = options.executable;
        start("agent", Box::new(move |shared| agent::run(shared, &executable, &arguments)))?;
    }
    Ok(())
}
