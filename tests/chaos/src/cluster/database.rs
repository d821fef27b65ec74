//! A PostgreSQL that can be killed with all its children and started again on the same directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use mesh_tests::{ports, process::Process, wait::look_until};

use super::{Tmpfs, tree};

/// The superuser.
const USER: &str = "mesh";
/// How long the system may take to reap what was killed.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// Its disk, in MiB: an empty cluster and what a run writes.
const DISK_MIB: u32 = 384;
/// How long a start, or a recovery, may take on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A cluster of PostgreSQL on a loopback port.
#[derive(Debug)]
pub struct Database {
    dir: PathBuf,
    bin: PathBuf,
    port: u16,
    password: String,
    process: Option<Process>,
    /// A small disk for all of it; none where nothing can be mounted.
    disk: Option<Tmpfs>,
}

impl Database {
    /// Makes one with new credentials and starts it.
    ///
    /// # Errors
    /// When PostgreSQL 15 or newer is not installed or does not start.
    pub fn make() -> anyhow::Result<Self> {
        let bin = mesh_tests::postgres::programs()?;
        let password = mesh_fabric::ids::secret("");
        // Not below the run's directory, which only its owner may enter: PostgreSQL refuses root.
        let dir =
            PathBuf::from(format!("/tmp/mesh-chaos-postgres-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&dir)?;
        let disk = Tmpfs::mount(&dir, DISK_MIB).ok();
        let (port, process) = (ports::free(), None);
        let mut database = Self { dir, bin, port, password, process, disk };
        database.init()?;
        database.start()?;
        Ok(database)
    }

    fn init(&self) -> anyhow::Result<()> {
        let file = self.dir.join("password");
        fs::write(&file, &self.password)?;
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").args(["-R", "postgres"]).arg(&self.dir).status()?;
            ensure!(owned.success(), "there is no user postgres");
        }
        let mut command = self.command("initdb");
        command.arg("-D").arg(self.data()).args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8"]);
        command.arg("--locale=C.UTF-8").arg(format!("--pwfile={}", file.display()));
        let made = command.stdin(Stdio::null()).output().context("running initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// One of PostgreSQL's programs; as its own user for root, whom it refuses.
    fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path).current_dir("/");
            return command;
        }
        Command::new(path)
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Starts it, unless it runs, and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> anyhow::Result<()> {
        if self.process.as_mut().is_some_and(|process| process.exited().is_none()) {
            return Ok(());
        }
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.dir);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=32MB"]);
        // Its log must not fill the disk before we do.
        command.args(["-c", "min_wal_size=32MB", "-c", "max_wal_size=96MB", "-p"]);
        command.arg(self.port.to_string());
        let mut process = Process::start(&mut command, &self.log());
        let port = self.port;
        let up = look_until(READY_WITHIN, || process.exited().is_some() || ports::is_open(port));
        ensure!(up && process.exited().is_none(), "no PostgreSQL: {}", process.log_tail());
        self.process = Some(process);
        Ok(())
    }

    /// SIGKILL to all of its processes at once. They are gone when this returns: a new one takes a dead
    /// one that nobody has reaped for alive, and refuses its directory.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            let pids = tree::tree(process.pid());
            // Its children have sessions of their own.
            tree::kill(process.pid());
            drop(process);
            let gone = |pid: &u32| !Path::new("/proc").join(pid.to_string()).exists();
            look_until(GONE_WITHIN, || pids.iter().all(gone));
        }
    }

    /// Its disk, to be filled.
    pub const fn disk(&self) -> Option<&Tmpfs> {
        self.disk.as_ref()
    }

    /// Gives its disk room again, and starts it where it has given up.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn unfill(&mut self) -> anyhow::Result<()> {
        self.disk.as_ref().map_or(Ok(()), Tmpfs::empty_filler)?;
        self.start()
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its URL through some port, without the password.
    pub fn url(&self, port: u16) -> String {
        format!("postgres://{USER}@127.0.0.1:{port}/postgres")
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// What it writes.
    pub fn log(&self) -> PathBuf {
        Path::new("/tmp")
            .join(format!("{}.log", self.dir.file_name().unwrap_or_default().to_string_lossy()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.kill();
        drop(self.disk.take());
        // On a breach the run has printed all that is known of it; the rows are in the history.
        let _kept = fs::remove_dir_all(&self.dir);
        let _kept = fs::remove_file(self.log());
    }
}
