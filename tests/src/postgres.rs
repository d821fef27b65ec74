//! A PostgreSQL of the tests' own: one cluster for a test process, one database for each test.
//!
//! It listens on a Unix socket in its own directory alone, asks for a password as a real one would, and
//! keeps its durable defaults. A shell beside it waits for the end of its standard input, which closes
//! when this process ends in any way, `kill -9` included; then it ends the server and removes the directory.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions,
};

/// The superuser of the cluster.
const USER: &str = "mesh";
/// How long initdb and the start may take on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Makes the cluster in `$1` with the programs in `$2`, serves it, and clears up when standard input ends.
/// The password is the first line of the input. At each further line the server is killed with all of its
/// children, before one of them could see that it is alone, and started again.
const SCRIPT: &str = r#"
dir=$1 bin=$2
umask 077
mkdir "$dir" && cd "$dir" || exit 1
read -r password
printf '%s' "$password" > password
"$bin/initdb" -D data -U mesh -A scram-sha-256 --pwfile=password -E UTF8 --locale=C.UTF-8 \
    > initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
serve() {
    "$bin/postgres" -D data -k "$dir" -c listen_addresses= -c max_connections=200 \
        -c shared_buffers=32MB >> postgres.log 2>&1 < /dev/null &
    server=$!
}
serve
while read -r _; do
    kill -STOP "$server"
    kill -KILL $(cat "/proc/$server/task/$server/children") "$server"
    wait "$server"
    serve
    # A child that is not gone yet has the shared memory, and the server ends at once.
    until "$bin/pg_isready" -q -h "$dir"; do
        grep -q '^State:.[^ZX]' "/proc/$server/status" || serve
        sleep 0.1
    done
done
kill -QUIT "$server"
wait "$server"
cd / && rm -rf "$dir"
"#;

/// A running cluster; it ends with this value, or with this process.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    password: String,
    databases: AtomicU32,
    keeper: Child,
    /// Open as long as the cluster is wanted.
    stdin: Option<ChildStdin>,
}

impl Postgres {
    /// The cluster of this process, started by the first caller.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: tokio::sync::OnceCell<Postgres> = tokio::sync::OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts a cluster, in about a second.
    ///
    /// # Errors
    /// When PostgreSQL 15 or newer is not installed or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let bin = programs()?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        // Short, as the path of a socket has at most 107 bytes.
        let dir = PathBuf::from(format!("/tmp/mesh-postgres-{}", &password[..12]));
        let mut keeper = keeper(&dir, &bin)?;
        let mut stdin = keeper.stdin.take().context("the keeper has no standard input")?;
        writeln!(stdin, "{password}").context("failed to give PostgreSQL its password")?;
        let databases = AtomicU32::new(0);
        let mut cluster = Self { dir, password, databases, keeper, stdin: Some(stdin) };
        cluster.until_ready().await?;
        Ok(cluster)
    }

    /// Makes an empty database; its URL, which says all but the password.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn database(&self) -> anyhow::Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connect().await?;
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut connection).await.context("failed to make a database")?;
        connection.close().await?;
        Ok(format!("postgres://{USER}@localhost/{name}?host={}", self.dir.display()))
    }

    /// The password of the user in the URLs.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where it listens, for a proxy before it.
    pub fn socket(&self) -> PathBuf {
        self.dir.join(".s.PGSQL.5432")
    }

    /// SIGKILL to the server and its children at once; another one then serves what is on the disk. Returns
    /// before that: [`Self::started_at`] tells one from the other.
    ///
    /// # Errors
    /// When the shell that looks after it is gone.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut stdin = self.stdin.as_ref().context("the keeper has no standard input")?;
        writeln!(stdin, "kill").context("the keeper does not listen")
    }

    /// When the server that now serves was started.
    ///
    /// # Errors
    /// When none does.
    pub async fn started_at(&self) -> anyhow::Result<String> {
        let mut connection = self.connect().await?;
        let query = sqlx::query_scalar("SELECT pg_postmaster_start_time()::text");
        let started = query.fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(started)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass().socket(&self.dir);
        options.username(USER).password(&self.password).database("postgres").connect().await
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let error = match self.connect().await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) => error,
            };
            let ended = self.keeper.try_wait().context("failed to look after PostgreSQL")?;
            ensure!(ended.is_none(), "PostgreSQL could not be started; its words are above");
            ensure!(Instant::now() < deadline, "PostgreSQL does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Nothing can be done about a keeper that cannot be waited for.
        let _ = self.keeper.wait();
    }
}

/// The newest installed version's directory of programs.
///
/// # Errors
/// When there is no PostgreSQL 15 or newer.
pub fn programs() -> anyhow::Result<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let found = installed
        .filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin"))))
        .filter(|(version, bin)| *version >= 15 && bin.join("initdb").exists())
        .max();
    let (_, bin) = found.context(
        "no PostgreSQL 15 or newer in /usr/lib/postgresql (hint: `./run test` installs it)",
    )?;
    Ok(bin)
}

/// The shell that runs the cluster: as the user `postgres` for root, whom PostgreSQL refuses. It has a
/// process group of its own, so that Ctrl-C in a terminal does not end it before it has cleared up.
fn keeper(dir: &Path, bin: &Path) -> anyhow::Result<Child> {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.args(["-c", SCRIPT, "keeper"]).args([dir, bin]).current_dir("/");
    command.stdin(Stdio::piped()).spawn().context("failed to run PostgreSQL's shell")
}
