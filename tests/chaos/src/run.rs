//! One run: start, warm up, strike and heal for some minutes, drain, stop, read, judge.

mod deck;
mod leftovers;
mod prober;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use mesh_fabric::{fail_point::FailPoint, ids};
use mesh_schemas::{
    api::{JobView, Page},
    attempt::JobState,
};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    check::{Report, check},
    client::Client,
    cluster::{Cluster, Fired, ORCHESTRATOR, Options, STORE, StoreKind},
    filer::Filer,
    history::{Ending, FaultNote, History, Sample, When},
    read::{Secret, Source, read},
    record::{self, Recorder},
    report::say,
    rng::Rng,
    scenarios::{Later, Stage},
};
use deck::Deck;
use prober::Prober;

/// Clients that work all the time.
const CLIENTS: u32 = 3;
/// Work before the first fault; what memory is compared with is measured after it.
const WARM_UP: Duration = Duration::from_secs(8);
/// Mean wait between two faults.
const FAULT_EVERY: Duration = Duration::from_secs(5);
/// Length of a period; of so many in a row one is calm.
const PERIOD: Duration = Duration::from_secs(20);
const CALM_OF: u64 = 4;
/// Longest wait for the work to end after healing.
const DRAIN_MAX: Duration = Duration::from_secs(300);
/// How long the mesh idles before it is measured: leases, uploads and confirmations of the last work.
const SETTLE: Duration = Duration::from_secs(3);
/// How often the run looks whether something is due.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Small disks, in MiB. A node takes no work while it has less than 512 MiB free.
const SMALL_DISKS: [(&str, u32); 3] = [("node-1", 768), (STORE, 768), (ORCHESTRATOR, 256)];

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where everything is kept.
    pub root: PathBuf,
    /// How long faults come.
    pub length: Duration,
    /// What schedule and requests come from.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// Where the jobs are kept.
    pub store: StoreKind,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
    /// Only scenarios whose number begins with one of these; all when empty.
    pub only: Vec<String>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The verdicts.
    pub report: Report,
    /// How often each scenario struck.
    pub fired: BTreeMap<&'static str, u32>,
    /// How often each fail point was armed, and how often a process died there.
    pub points: BTreeMap<FailPoint, Fired>,
    /// How often a part was seen to die at one; an agent's death is its supervisor's to see.
    pub point_deaths: u32,
    /// Scenarios that could not be run, and why.
    pub unfit: Vec<(&'static str, String)>,
    /// Breaches beyond the invariants: panics, leftovers, damaged bytes handed out.
    pub broken: Vec<String>,
    /// Parts that ended though nobody had killed them.
    pub ended: Vec<String>,
    /// What was read.
    pub history: History,
    /// How long the API did not answer after each kill of the orchestrator.
    pub recoveries: Vec<Duration>,
}

impl Outcome {
    /// Nothing is broken.
    pub fn is_good(&self) -> bool {
        self.report.is_good() && self.broken.is_empty()
    }
}

/// Runs it.
///
/// # Errors
/// When the mesh does not start or what it left cannot be read.
pub async fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    fs::create_dir_all(&plan.root)?;
    say(begun, "starting the mesh");
    let (cluster, lacks) = Cluster::start(&options(plan)).await?;
    lacks.iter().for_each(|lack| say(begun, lack));
    let recorder = Arc::new(Recorder::create(&plan.root)?);
    let mut running = Running::new(plan, cluster, &recorder, begun);
    let clients = running.start_clients(plan, &recorder);
    let filer = running.start_filer(plan, &recorder);
    say(begun, format_args!("{} nodes are online; {CLIENTS} clients work", plan.nodes));
    running.wait(WARM_UP).await;
    let mut samples = running.cluster.samples(When::Start);
    running.strike_for(plan).await?;
    let ending = running.heal_and_drain(clients, filer).await?;
    samples.extend(running.cluster.samples(When::End));
    running.finish(plan, samples, ending).await
}

fn options(plan: &Plan) -> Options {
    let disks = SMALL_DISKS.iter().map(|(part, mib)| ((*part).to_owned(), *mib));
    Options {
        data: plan.root.join("data"),
        nodes: plan.nodes,
        store: plan.store,
        lease_ttl: plan.lease_ttl,
        small_disks: disks.collect(),
        faketime: find_faketime(),
    }
}

/// Where Debian puts it.
fn find_faketime() -> Option<PathBuf> {
    let machine = std::env::consts::ARCH;
    let path = format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1");
    Some(PathBuf::from(path)).filter(|path| path.is_file())
}

type Clients = Vec<JoinHandle<anyhow::Result<Client>>>;
type Filing = JoinHandle<anyhow::Result<Filer>>;

/// A run between its start and its end.
struct Running {
    begun: Instant,
    cluster: Cluster,
    rng: Rng,
    deck: Deck,
    /// For requests of scenarios.
    client: Client,
    canary: String,
    stop: CancellationToken,
    tasks: TaskTracker,
    prober: Prober,
    pending: Vec<(Instant, Later)>,
    faults: Vec<FaultNote>,
    broken: Vec<String>,
    ended: Vec<String>,
}

impl Running {
    fn new(plan: &Plan, cluster: Cluster, recorder: &Arc<Recorder>, begun: Instant) -> Self {
        let mut rng = Rng::new(plan.seed);
        let deck = Deck::new(&cluster, &plan.only, &mut rng);
        let canary = ids::secret("canary-");
        let client = Client::new(0, cluster.http.clone(), Arc::clone(recorder), plan.seed, &canary);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let prober = Prober::start(cluster.direct.clone(), &tasks, &stop);
        Self {
            begun,
            cluster,
            rng,
            deck,
            client,
            canary,
            stop,
            tasks,
            prober,
            pending: Vec::new(),
            faults: Vec::new(),
            broken: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn start_clients(&self, plan: &Plan, recorder: &Arc<Recorder>) -> Clients {
        let client = |number| {
            let (http, recorder) = (self.cluster.http.clone(), Arc::clone(recorder));
            let client = Client::new(number, http, recorder, plan.seed, &self.canary);
            self.tasks.spawn(client.run(self.stop.clone()))
        };
        (1..=CLIENTS).map(client).collect()
    }

    /// One more, who files ideas.
    fn start_filer(&self, plan: &Plan, recorder: &Arc<Recorder>) -> Filing {
        let http = self.cluster.http.clone();
        let filer = Filer::new(CLIENTS + 1, http, Arc::clone(recorder), plan.seed);
        self.tasks.spawn(filer.run(self.stop.clone()))
    }

    /// Minds the mesh and does what is due, for so long.
    async fn wait(&mut self, during: Duration) {
        let until = Instant::now() + during;
        loop {
            self.do_what_is_due();
            for ended in self.cluster.mind() {
                say(self.begun, &ended);
                self.ended.push(ended);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }

    fn do_what_is_due(&mut self) {
        let now = Instant::now();
        let pending = std::mem::take(&mut self.pending);
        let (due, later): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(at, _)| *at <= now);
        self.pending = later;
        for (_, later) in due {
            if matches!(&later, Later::Start(part) if part.starts_with(ORCHESTRATOR)) {
                self.prober.orchestrator_starts();
            }
            if let Err(error) = later.carry_out(&mut self.cluster) {
                self.broken.push(format!("{later:?}: {error:#}"));
            }
        }
    }

    /// Faults, for as long as the plan says.
    async fn strike_for(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let until = Instant::now() + plan.length;
        let mut period_ends = Instant::now();
        let (mut calm, mut period) = (false, 0);
        let mut calm_at = self.rng.between(1, CALM_OF - 1);
        while Instant::now() < until {
            if Instant::now() >= period_ends {
                period_ends = Instant::now() + PERIOD;
                if period == CALM_OF {
                    (period, calm_at) = (0, self.rng.between(0, CALM_OF - 1));
                }
                calm = period == calm_at;
                period += 1;
                if calm {
                    say(self.begun, "a calm period");
                }
            }
            if calm {
                self.wait(period_ends.min(until).saturating_duration_since(Instant::now())).await;
                continue;
            }
            self.strike().await?;
            let wait = self.rng.exponential(FAULT_EVERY).min(FAULT_EVERY * 4);
            self.wait(wait.min(until.saturating_duration_since(Instant::now()))).await;
        }
        Ok(())
    }

    async fn strike(&mut self) -> anyhow::Result<()> {
        let Some(scenario) = self.deck.draw(&mut self.rng) else { return Ok(()) };
        let number = u32::try_from(self.faults.len()).unwrap_or(u32::MAX);
        let stage =
            Stage { cluster: &mut self.cluster, rng: &mut self.rng, client: &self.client, number };
        let at = mesh_fabric::time::now();
        let strike = (scenario.strike)(stage).await.with_context(|| scenario.id)?;
        say(self.begun, format_args!("{:<4} {}: {}", scenario.id, scenario.title, strike.what));
        let lasts = strike.later.iter().map(|(after, _)| *after).max().unwrap_or_default();
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let now = Instant::now();
        self.pending.extend(strike.later.into_iter().map(|(after, later)| (now + after, later)));
        self.broken.extend(strike.broken.map(|what| format!("{}: {what}", scenario.id)));
        let (scenario, what, died) = (scenario.id.into(), strike.what, strike.died);
        self.faults.push(FaultNote { at, scenario, what, died, lasts_ms });
        Ok(())
    }

    /// Everything good again; then all work must end.
    async fn heal_and_drain(&mut self, clients: Clients, filer: Filing) -> anyhow::Result<Ending> {
        say(self.begun, "healing");
        self.wait(Duration::ZERO).await;
        self.pending.clear();
        self.cluster.heal()?;
        self.stop.cancel();
        let healed = Instant::now();
        for client in clients {
            client.await.context("a client")??.settle().await?;
        }
        let left = filer.await.context("the filer")??.settle().await?;
        if left > 0 {
            self.broken.push(format!("{left} ideas have no place in the ledger after healing"));
        }
        let mut open = None;
        while healed.elapsed() < DRAIN_MAX {
            self.wait(Duration::from_millis(200)).await;
            open = self.open_jobs().await;
            if open == Some(0) {
                break;
            }
        }
        let drain_ms = u64::try_from(healed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let drained = open == Some(0);
        say(
            self.begun,
            format_args!("drained: {drained}, after {:.1} s", healed.elapsed().as_secs_f32()),
        );
        self.wait(SETTLE).await;
        Ok(Ending { drained: Some(drained), drain_ms })
    }

    async fn open_jobs(&self) -> Option<usize> {
        let mut open = 0;
        for state in [JobState::Queued, JobState::Running] {
            let path = format!("/jobs?state={state}&limit=1000");
            let page: Page<JobView> = self.cluster.ask(&path).await?;
            open += page.items.len();
        }
        Some(open)
    }

    /// Stops everything, reads what is left and judges it.
    async fn finish(
        mut self,
        plan: &Plan,
        samples: Vec<Sample>,
        ending: Ending,
    ) -> anyhow::Result<Outcome> {
        say(self.begun, "stopping");
        self.cluster.stop();
        let data = self.cluster.data.clone();
        self.broken.extend(leftovers::processes(&data));
        self.broken.extend(leftovers::panics(&data)?);
        let database = self
            .cluster
            .database
            .as_mut()
            .map(|database| (database.url(database.port()), database.password().to_owned()));
        for tmpfs in std::mem::take(&mut self.cluster.tmpfs).into_values() {
            tmpfs.settle()?;
        }
        say(self.begun, "reading what is left");
        let mut history = read(&source(&data, database, &self.canary)).await?;
        history.ops = record::read(&plan.root.join(record::FILE))?;
        history.faults = self.faults;
        history.samples = samples;
        history.ending = ending;
        keep(&plan.root, &history)?;
        say(self.begun, "judging it");
        let report = check(&history);
        Ok(Outcome {
            report,
            fired: self.deck.fired().clone(),
            points: self.cluster.fired().clone(),
            point_deaths: self.cluster.point_deaths(),
            unfit: self.deck.unfit().to_vec(),
            broken: self.broken,
            ended: self.ended,
            history,
            recoveries: self.prober.recoveries(),
        })
    }
}

fn source(data: &Path, database: Option<(String, String)>, canary: &str) -> Source {
    let (database, password) = database.unzip();
    let canary =
        |name: &str, of_a_job| Secret { name: name.into(), value: canary.into(), of_a_job };
    let mut secrets = vec![canary("a job's secret variable", true)];
    secrets.extend(password.as_ref().map(|password| Secret {
        name: "the database's password".into(),
        value: password.clone(),
        of_a_job: false,
    }));
    Source { data: data.to_owned(), database, password, secrets }
}

/// The history as one file, to be checked again.
fn keep(root: &Path, history: &History) -> anyhow::Result<()> {
    let file = root.join("history.json");
    fs::write(&file, serde_json::to_vec(history)?).with_context(|| file.display().to_string())
}
