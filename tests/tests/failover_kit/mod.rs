//! Two orchestrators with work, and what is asked of their database afterwards.

mod submitter;

use std::{
    str::FromStr as _,
    time::{Duration, Instant},
};

use mesh_schemas::{
    JobId, JobSpec,
    spec::{ArrayRange, ArraySpec},
};
use mesh_tests::{
    http::Http,
    mesh::{Mesh, Options},
    postgres::Postgres,
    standby::Standby,
    wait::wait_for,
};
use reqwest::Method;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _, postgres::PgConnectOptions,
};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;

pub(crate) use submitter::Submitter;

/// Longest wait for all work to end.
const LONG: Duration = Duration::from_secs(180);
/// Tasks of the array.
const TASKS: u32 = 2_000;

/// One at a time: what is measured here shares two processors with nothing else of this file.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// A mesh with a second orchestrator, and an array of short tasks at work.
pub(crate) struct Duo {
    standby: Standby,
    pub(crate) mesh: Mesh,
    first: Http,
    array: JobId,
    database: String,
    standby_user: String,
    _dir: TempDir,
}

/// Writes since [`Duo::watch_writers`], by whose they are.
#[derive(Debug)]
pub(crate) struct Writers {
    pub(crate) first: i64,
    pub(crate) standby: i64,
    /// Those of the first one after the standby's first.
    pub(crate) first_after_standby: i64,
}

impl Duo {
    pub(crate) async fn start() -> Self {
        let dir = mesh_tests::tmp::dir("duo");
        let postgres = Postgres::shared().await.unwrap();
        let database = postgres.database().await.unwrap();
        let password = dir.path().join("password");
        mesh_fabric::files::write_private(&password, postgres.password().as_bytes()).unwrap();
        let mut args = vec!["--database".to_owned(), database.clone()];
        args.extend(["--database-password-file".into(), password.to_string_lossy().into_owned()]);
        let mesh = Mesh::start(&Options { args, ..Options::default() }).await;
        // A user of its own, by which its writes are told apart.
        let standby_user = format!("standby_{}", database_name(&database));
        let make = format!(
            "CREATE ROLE {standby_user} SUPERUSER LOGIN PASSWORD '{}'",
            postgres.password()
        );
        execute(&database, &make).await;
        let theirs = database.replacen("mesh@", &format!("{standby_user}@"), 1);
        let standby = Standby::start(&mesh, Some(&theirs)).await;
        let mut spec = JobSpec::new(["true"]);
        spec.resources.cpu.0 = 500;
        spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: TASKS - 1 }));
        let array = mesh.submit(&spec).await.job;
        let first = mesh.http().clone();
        Self { standby, mesh, first, array, database, standby_user, _dir: dir }
    }

    /// Somebody who submits one job after the other, to whichever orchestrator takes it.
    pub(crate) fn submitter(&self) -> Submitter {
        Submitter::start([self.first.clone(), self.standby.http().clone()])
    }

    /// Waits until so many tasks of the array have succeeded.
    pub(crate) async fn until_done(&self, wanted: u32) {
        wait_for(LONG, "tasks succeed", async || {
            let path = format!("/api/v1/jobs/{}", self.array);
            let (_, body) = self.mesh.http().get(&path).await.ok()?;
            let done = u32::try_from(body["counts"]["succeeded"].as_u64()?).ok()?;
            (done >= wanted).then_some(())
        })
        .await;
    }

    /// How long after `since` the standby answers as the leader does.
    pub(crate) async fn until_standby_leads(&self, since: Instant) -> Duration {
        wait_for(LONG, "the standby leads", async || {
            let (status, _) = self.standby.http().get("/api/v1/info").await.ok()?;
            status.is_success().then_some(())
        })
        .await;
        since.elapsed()
    }

    /// The mesh's helpers ask the second orchestrator from now on.
    pub(crate) fn talk_to_standby(&mut self) {
        self.mesh.talk_to(self.standby.server(), self.standby.http());
    }

    /// Submits to the first orchestrator, and waits as long as it takes for statuses and codes; `None` for a
    /// connection that it closed without an answer.
    pub(crate) fn ask_the_first(&self, count: usize) -> JoinHandle<Vec<Option<(u16, String)>>> {
        let http = self.first.clone();
        TaskTracker::new().spawn(async move {
            let asks = (0..count).map(async |_| {
                let request = http.request(Method::POST, "/api/v1/jobs");
                let (status, body) =
                    Http::answer(request.json(&JobSpec::new(["true"]))).await.ok()?;
                Some((status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned()))
            });
            futures::future::join_all(asks).await
        })
    }

    /// Status, code and hint of a submit to the standby.
    pub(crate) async fn ask_the_standby(&self) -> (u16, String, String) {
        let request = self.standby.http().request(Method::POST, "/api/v1/jobs");
        let response = request.json(&JobSpec::new(["true"])).send().await.unwrap();
        assert!(response.headers().contains_key("retry-after"), "{:?}", response.headers());
        let status = response.status().as_u16();
        let body: serde_json::Value = response.json().await.unwrap();
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        (status, text("code"), text("hint"))
    }

    pub(crate) async fn first_metric(&self, name: &str) -> u64 {
        metric(&self.first, name).await
    }

    pub(crate) async fn standby_metric(&self, name: &str) -> u64 {
        metric(self.standby.http(), name).await
    }

    /// The array and these jobs have ended.
    pub(crate) async fn all_ended(&self, jobs: &[JobId]) {
        for job in std::iter::once(&self.array).chain(jobs) {
            self.mesh.finished(*job, LONG).await;
        }
    }

    /// Every task of the array and of these jobs ended well, by one attempt, once.
    pub(crate) async fn all_ended_once(&self, jobs: &[JobId]) {
        self.all_ended(jobs).await;
        let mut ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
        ids.push(self.array.to_string());
        let of_ours = format!("job IN ('{}')", ids.join("','"));
        let tasks = i64::from(TASKS) + i64::try_from(jobs.len()).unwrap();
        let once = "GROUP BY job, task HAVING count(*) = 1) AS once";
        let counts = [
            ("tasks that succeeded", format!("FROM task WHERE state = 'succeeded' AND {of_ours}")),
            (
                "tasks with one good attempt",
                format!(
                    "FROM (SELECT job FROM attempt WHERE class = 'success' AND {of_ours} {once}"
                ),
            ),
            (
                "tasks with one recorded end",
                format!(
                    "FROM (SELECT job FROM event WHERE kind = 'task_finished' AND {of_ours} {once}"
                ),
            ),
        ];
        for (what, from) in counts {
            assert_eq!(self.count(&from).await, tasks, "{what}");
        }
        let unended = format!("FROM attempt WHERE ended_at IS NULL AND {of_ours}");
        assert_eq!(self.count(&unended).await, 0, "attempts without an end");
        println!("  {tasks} tasks of {} jobs ended well, each once", ids.len());
    }

    /// Notes each transaction that writes: all of them begin with the row that fences.
    pub(crate) async fn watch_writers(&self) {
        for statement in [
            "CREATE TABLE writers (seq BIGSERIAL, who TEXT NOT NULL)",
            "CREATE FUNCTION note_writer() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO writers (who) VALUES (session_user); RETURN NEW; END'",
            "CREATE TRIGGER note_writer AFTER UPDATE ON meta FOR EACH ROW EXECUTE FUNCTION \
             note_writer()",
        ] {
            execute(&self.database, statement).await;
        }
    }

    /// Who wrote since.
    pub(crate) async fn writers(&self) -> Writers {
        let by = |who: &str| format!("FROM writers WHERE who = '{who}'");
        let standby = by(&self.standby_user);
        Writers {
            first: self.count(&by("mesh")).await,
            standby: self.count(&standby).await,
            first_after_standby: self
                .count(&format!("{} AND seq > (SELECT min(seq) {standby})", by("mesh")))
                .await,
        }
    }

    /// The fence, seen from the database.
    pub(crate) async fn only_the_standby_wrote_since_it_leads(&self) {
        let writers = self.writers().await;
        assert!(writers.first > 0 && writers.standby > 0, "{writers:?}");
        assert_eq!(writers.first_after_standby, 0, "{writers:?}");
        println!(
            "  {} transactions of the old leader before the new one's {}, none after the first of them",
            writers.first, writers.standby
        );
    }

    async fn count(&self, from: &str) -> i64 {
        let mut connection = connect(&self.database).await;
        let query = AssertSqlSafe(format!("SELECT count(*) {from}"));
        sqlx::query(query).fetch_one(&mut connection).await.unwrap().get(0)
    }
}

fn database_name(url: &str) -> &str {
    let name = url.rsplit('/').find(|part| part.starts_with("test_")).unwrap();
    name.split('?').next().unwrap()
}

async fn connect(url: &str) -> PgConnection {
    let password = Postgres::shared().await.unwrap().password();
    PgConnectOptions::from_str(url).unwrap().password(password).connect().await.unwrap()
}

async fn execute(url: &str, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    sqlx::query(statement).execute(&mut connect(url).await).await.unwrap();
}

/// The sum over all labels; 0 when it is not there yet.
async fn metric(http: &Http, name: &str) -> u64 {
    let (_, body) = http.get("/metrics").await.unwrap();
    let body = body.as_str().unwrap_or_default();
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let rest =
            rest.strip_prefix('{').map_or(Some(rest), |rest| rest.split_once('}').map(|r| r.1))?;
        rest.strip_prefix(' ')?.trim().parse::<u64>().ok()
    };
    body.lines().filter_map(value).sum()
}
