//! Starting one command, as fast as the system can.
//!
//! `std` uses `posix_spawn` only when there is no hook and no search in a changed `PATH`; so the
//! program is found here, and limits are set by the shim. That also tells apart why a start failed.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::{fs::DirBuilderExt as _, fs::OpenOptionsExt as _, process::CommandExt as _},
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    linux::AttemptCgroup,
    protocol::{ATTEMPT_VARIABLE, STDERR_FILE, STDOUT_FILE, Spawn, SpawnFailure, WORK_DIR},
    shim,
};

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Why it did not start.
#[derive(Debug)]
pub(super) struct Failure {
    pub reason: SpawnFailure,
    pub message: String,
}

impl Failure {
    pub(super) fn new(reason: SpawnFailure, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Makes the attempt's directory and starts its command in a process group of its own; returns the pid.
pub(super) fn start(
    spawn: &Spawn,
    executable: &Path,
    cgroup: Option<&AttemptCgroup>,
) -> Result<u32, Failure> {
    let name = spawn.argv.first().map(String::as_str).unwrap_or_default();
    check_environment(spawn)?;
    let work = spawn.dir.join(WORK_DIR);
    make_dirs(&spawn.dir, &work).map_err(|error| disk("make the attempt's directory", &error))?;
    let cwd = working_dir(&work, &spawn.cwd)?;
    let program = find_program(name, &cwd, spawn)?;
    let mut command = match cgroup {
        None => {
            let mut command = Command::new(&program);
            command.arg0(name).args(&spawn.argv[1..]);
            command
        }
        Some(cgroup) => {
            let mut command = Command::new(executable);
            command.args(shim::arguments(&cgroup.doors(), &program, &spawn.argv));
            command
        }
    };
    command
        .env_clear()
        .envs(spawn.env.iter().map(|(name, value)| (name, value)))
        .env(ATTEMPT_VARIABLE, spawn.attempt.to_string())
        .current_dir(&cwd)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output(&spawn.dir.join(STDOUT_FILE))?)
        .stderr(output(&spawn.dir.join(STDERR_FILE))?);
    // The child is waited for by the reapers; `Child` does nothing when it is dropped.
    command.spawn().map(|child| child.id()).map_err(|error| not_started(&program, &error))
}

fn check_environment(spawn: &Spawn) -> Result<(), Failure> {
    let usable = |name: &str| !name.is_empty() && !name.contains('=');
    match spawn.env.iter().find(|(name, _)| !usable(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("{name:?} cannot be the name of a variable");
            Err(Failure::new(SpawnFailure::NotExecutable, message))
        }
    }
}

fn make_dirs(dir: &Path, work: &Path) -> io::Result<()> {
    if !dir.is_absolute() {
        return Err(io::Error::other("it is not absolute"));
    }
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    // The agent has made both, as a rule.
    match builder.create(work) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            builder.recursive(true).create(work)
        }
        made => made,
    }
}

fn working_dir(work: &Path, cwd: &Path) -> Result<PathBuf, Failure> {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !cwd.components().all(inside) {
        let message = format!("the working directory {} leaves the attempt's own", cwd.display());
        return Err(Failure::new(SpawnFailure::NotFound, message));
    }
    if cwd.as_os_str().is_empty() {
        return Ok(work.to_owned());
    }
    let place = work.join(cwd);
    if place.is_dir() {
        return Ok(place);
    }
    let message = format!("the working directory {} does not exist", cwd.display());
    Err(Failure::new(SpawnFailure::NotFound, message))
}

fn output(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(path).map_err(|error| disk("open the attempt's output", &error))
}

fn disk(what: &str, error: &io::Error) -> Failure {
    Failure::new(SpawnFailure::Io, format!("cannot {what}: {error}"))
}

/// Finds the program as a shell would, without the shell's habit of trying the current directory.
fn find_program(name: &str, cwd: &Path, spawn: &Spawn) -> Result<PathBuf, Failure> {
    if name.contains('/') {
        let program = cwd.join(name);
        return executable_file(&program)
            .map(|()| program)
            .map_err(|reason| unusable(name, reason));
    }
    let path = spawn.env.iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map_or(DEFAULT_PATH, |(_, value)| value);
    let mut reason = SpawnFailure::NotFound;
    for dir in path.split(':').filter(|dir| dir.starts_with('/') && !name.is_empty()) {
        let program = Path::new(dir).join(name);
        match executable_file(&program) {
            Ok(()) => return Ok(program),
            Err(SpawnFailure::NotFound) => {}
            Err(found) => reason = found,
        }
    }
    Err(unusable(name, reason))
}

fn executable_file(program: &Path) -> Result<(), SpawnFailure> {
    use rustix::{fs::Access, io::Errno};
    match rustix::fs::access(program, Access::EXEC_OK) {
        Ok(()) if program.is_file() => Ok(()),
        Ok(()) => Err(SpawnFailure::NotExecutable),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL) => {
            Err(SpawnFailure::NotFound)
        }
        Err(_) => Err(SpawnFailure::NotExecutable),
    }
}

fn unusable(name: &str, reason: SpawnFailure) -> Failure {
    let what = match reason {
        SpawnFailure::NotFound => "was not found",
        SpawnFailure::NotExecutable | SpawnFailure::Limits | SpawnFailure::Io => {
            "cannot be executed"
        }
    };
    let name: String = name.chars().take(256).collect();
    Failure::new(reason, format!("the program {name:?} {what}"))
}

fn not_started(program: &Path, error: &io::Error) -> Failure {
    let reason = match (error.raw_os_error(), error.kind()) {
        // The program is there: it is the interpreter in its first line that is not.
        (Some(libc::ENOENT | libc::ENOTDIR), _) => SpawnFailure::NotFound,
        // Too long a list of arguments is too long on each node.
        (Some(libc::EACCES | libc::EPERM | libc::ENOEXEC | libc::E2BIG), _) => {
            SpawnFailure::NotExecutable
        }
        // Std's own: a zero byte in an argument or a variable.
        (None, io::ErrorKind::InvalidInput) => SpawnFailure::NotExecutable,
        (Some(_) | None, _) => SpawnFailure::Io,
    };
    Failure::new(reason, format!("cannot execute {}: {error}", program.display()))
}
